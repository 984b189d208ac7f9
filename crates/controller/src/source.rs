//! From the annotated objects of a cluster to the Certificates that they ask for.
//!
//! A source is an Istio Gateway, a Gateway or ListenerSet of the Gateway API, or an Ingress with the annotation
//! [`annotation::ISSUER`] or [`annotation::CLUSTER_ISSUER`]. Sources of one namespace that name the same Secret share a
//! Certificate with the names of all of them, so no source can say alone what it gets: [`wanted`] looks at the whole
//! cluster, and [`Wanted::changes`] compares the result with the Certificates that exist. Both are pure and linear in
//! the number of objects, to be run again after every change.

mod changes;
mod gateway_api;
mod group;
mod ingress;
mod istio;
mod settings;
mod warning;
mod workload;

pub use changes::{Changes, Conflict};
pub use settings::SourceError;
pub use warning::SourceWarning;

use crate::cluster::Cluster;
use gatecert_api::{Algorithm, Certificate, annotation};
use gatecert_render::ObjectName;
use group::{Ask, Groups, Origin};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource, ResourceExt};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use workload::Gateways;

/// What the sources of a cluster ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The Certificates, sorted by namespace and name, with the oldest source of each as its owner.
    pub certificates: Vec<Certificate>,
    /// Certificates that stay as they are, there or not, until a source that has a part in them can be read.
    pub held: BTreeSet<ObjectName>,
    /// Sources that can not be read, and why. To be told to the operator, as are the warnings.
    pub errors: Vec<(ObjectReference, SourceError)>,
    /// What the sources get otherwise than they may expect.
    pub warnings: Vec<(ObjectReference, SourceWarning)>,
    /// The uids of all objects that could be sources, annotated or not.
    present: HashSet<String>,
}

/// What the sources of `cluster` ask for. Every kind of object has to be listed in full: the names of a source that is
/// missing are missing from the Certificates too.
pub fn wanted(cluster: &Cluster) -> Wanted {
    let gateways = Gateways::of(cluster);
    let mut wanted = Wanted::default();
    let mut groups = Groups::default();
    wanted.read_all(&cluster.istio_gateways, &gateways, &mut groups);
    wanted.read_all(&cluster.gateways, &gateways, &mut groups);
    wanted.read_all(&cluster.listener_sets, &gateways, &mut groups);
    wanted.read_all(&cluster.ingresses, &gateways, &mut groups);
    groups.decide(&mut wanted);
    wanted
}

impl Wanted {
    fn read_all<S: Source>(&mut self, sources: &[Arc<S>], gateways: &Gateways<'_>, groups: &mut Groups) {
        for source in sources {
            self.present.extend(source.uid());
            if is_annotated(source.as_ref()) {
                self.read(source.as_ref(), gateways, groups);
            }
        }
    }

    fn read<S: Source>(&mut self, source: &S, gateways: &Gateways<'_>, groups: &mut Groups) {
        let (Some(namespace), Some(owner)) = (source.namespace(), source.controller_owner_ref(&())) else {
            return;
        };
        let reference = source.object_ref(&());
        // Which Secrets it names is known even where its annotations can not be read: those have to be left alone.
        let settings = Settings::read(source.annotations())
            .map_err(|error| self.errors.push((reference.clone(), error)))
            .ok();
        let mut asked = Asked::default();
        source.ask(&namespace, gateways, &mut asked);
        let warnings = asked.warnings(settings.as_ref().and_then(|settings| settings.common_name.as_deref()));
        self.warnings.extend(warnings.into_iter().map(|warning| (reference.clone(), warning)));
        let origin = Rc::new(Origin { created: source.creation_timestamp(), reference, owner, settings });
        let provable = asked.secrets.into_iter().filter(|(_, names)| !names.names.is_empty());
        for (secret, names) in provable {
            groups.add(&namespace, secret, Ask { names, origin: Rc::clone(&origin) });
        }
    }
}

fn is_annotated(source: &impl Resource<DynamicType = ()>) -> bool {
    let annotations = source.annotations();
    annotations.contains_key(annotation::ISSUER) || annotations.contains_key(annotation::CLUSTER_ISSUER)
}

/// An object that names Secrets and the hosts they are for.
trait Source: Resource<DynamicType = ()> {
    /// Says in `asked` which Secrets it names. `namespace` is its own.
    fn ask(&self, namespace: &str, gateways: &Gateways<'_>, asked: &mut Asked);
}

/// What one source asks for.
#[derive(Default)]
struct Asked {
    secrets: BTreeMap<ObjectName, Names>,
    warnings: Vec<SourceWarning>,
}

/// What one source wants in a Secret.
#[derive(Default)]
struct Names {
    /// What can be proved, in lower case.
    names: BTreeSet<String>,
    /// What can not.
    left_out: BTreeSet<String>,
    /// Set where the place of the Secret in the source decides.
    algorithm: Option<Algorithm>,
}

impl Asked {
    /// Asks for `hosts` in `secret`. No host is every host.
    fn add<'a>(&mut self, secret: ObjectName, hosts: impl IntoIterator<Item = &'a str>) -> &mut Names {
        let wanted = self.secrets.entry(secret).or_default();
        let mut hosts = hosts.into_iter().peekable();
        if hosts.peek().is_none() {
            wanted.left_out.insert("*".to_owned());
        }
        for host in hosts {
            let host = host.to_ascii_lowercase();
            if is_dns_name(&host) {
                wanted.names.insert(host)
            } else {
                wanted.left_out.insert(host)
            };
        }
        wanted
    }

    fn warnings(&mut self, common_name: Option<&str>) -> Vec<SourceWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        for (secret, Names { names, left_out, .. }) in &self.secrets {
            let (secret, hosts) = (secret.clone(), left_out.clone());
            if names.is_empty() {
                warnings.push(SourceWarning::NothingLeft { secret, hosts });
            } else if !hosts.is_empty() {
                warnings.push(SourceWarning::LeftOut { secret, hosts });
            }
        }
        if let Some(name) = common_name
            && !self.secrets.values().any(|wanted| wanted.names.contains(name))
        {
            warnings.push(SourceWarning::CommonName { name: name.to_owned() });
        }
        warnings
    }
}

/// Whether `host`, in lower case, can stand in a Certificate. The definition of the resource asks for the same, and one
/// name that breaks it would stop all others.
fn is_dns_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name =
        |(_, last): (&str, &str)| !last.contains('_') && last.bytes().any(|byte| byte.is_ascii_lowercase());
    host.len() <= 253 && host.split('.').all(is_label) && host.rsplit_once('.').is_some_and(is_name)
}

#[cfg(test)]
mod tests;
