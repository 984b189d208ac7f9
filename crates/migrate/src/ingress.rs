//! Ingresses. Those of Istio's class become Gateways with routes, a namespace at a time; the others stay Ingresses.

mod gateway_api;
mod istio;
pub(crate) mod old;
mod site;

use crate::annotations::{Asked, can_be_proved, wildcards};
use crate::certificate::ADOPT;
use crate::challenge;
use crate::inputs::{Input, Inputs, is_name};
use crate::issuer::ISTIO;
use crate::metadata::{self, is_theirs};
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin, adopt_command, copy_command, kubectl};
use crate::options::{Options, Target};
use crate::source;
use crate::staying::Staying;
use gatecert_api::annotation;
use k8s_openapi::api::networking::v1::Ingress;
use site::Site;
use std::collections::{BTreeMap, BTreeSet};

/// The class before there were Ingress classes.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Converts all Ingresses.
pub(crate) fn convert(inputs: &Inputs, options: &Options, staying: &Staying, migration: &mut Migration) {
    let mut istio: BTreeMap<Option<String>, Vec<Input<Ingress>>> = BTreeMap::new();
    for input in &inputs.ingresses {
        let Some(object) = challenge::without(input, staying, migration) else { continue };
        let input = Input { origin: input.origin.clone(), object };
        if class(&input.object) == Some(ISTIO) {
            istio.entry(input.origin.namespace.clone()).or_default().push(input);
        } else if !source::ingress(&input, staying, migration) {
            migration.notes.push(input.origin.note(NoteKind::PassedOver, "nothing of cert-manager's"));
        }
    }
    for (namespace, ingresses) in &istio {
        let site = Site::of(namespace.as_deref(), ingresses, &inputs.services, migration);
        Conversion { inputs, options, staying, namespace: namespace.as_deref(), ingresses, site: &site }
            .run(migration);
    }
}

fn class(ingress: &Ingress) -> Option<&str> {
    let annotated = ingress.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS));
    annotated.map(String::as_str).or_else(|| ingress.spec.as_ref()?.ingress_class_name.as_deref())
}

/// The Ingresses of one namespace, and what they serve together.
struct Conversion<'a> {
    inputs: &'a Inputs,
    options: &'a Options,
    staying: &'a Staying,
    namespace: Option<&'a str>,
    ingresses: &'a [Input<Ingress>],
    site: &'a Site,
}

impl Conversion<'_> {
    fn run(&self, migration: &mut Migration) {
        if self.site.hosts.is_empty() {
            return;
        }
        let mut comments = Comments::default();
        let annotations = self.annotations(&mut comments, migration);
        match self.options.to {
            Target::Istio => self.istio(annotations, comments, migration),
            Target::GatewayApi => self.gateway_api(annotations, comments, migration),
        }
        self.after(migration);
    }

    /// What the Gateway asks gatecert for: what the first of the Ingresses asked cert-manager for.
    fn annotations(&self, comments: &mut Comments, migration: &mut Migration) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        for Input { origin, object } in self.ingresses {
            let Some(asked) = Asked::of(origin, object.metadata.annotations.as_ref()) else { continue };
            // The comments on the key are for all of them together.
            let mut own = Comments::default();
            match asked.wanted(&mut own, &mut migration.notes) {
                Ok(wanted) if annotations.is_empty() => {
                    annotations = wanted;
                    comments.0.extend(own.0);
                }
                Ok(wanted) if wanted == annotations => {}
                Ok(_) => {
                    let text = "asks for other certificates than another Ingress of its namespace does, and they share a \
                                Gateway now: write a Certificate for its hosts";
                    migration.notes.push(origin.not_migrated(text));
                }
                Err(why) => migration.notes.push(origin.not_migrated(why)),
            }
        }
        if let Some(first) = self.ingresses.first().filter(|_| !annotations.is_empty()) {
            let hosts = self.site.hosts.iter().filter(|(_, host)| host.secret.is_some());
            wildcards(&first.origin, hosts.map(|(name, _)| name.as_str()), &mut migration.notes);
        }
        self.adopt(&annotations, migration);
        annotations
    }

    /// Where the Gateway makes Certificates, their Secrets are taken over.
    fn adopt(&self, annotations: &BTreeMap<String, String>, migration: &mut Migration) {
        let Some(first) = self.ingresses.first().filter(|_| !annotations.is_empty()) else { return };
        let to = self.options.gateway_namespace.as_str();
        for secret in self.written_secrets().into_iter().filter(|secret| is_name(secret)) {
            if let Some(note) = self.staying.note_on_secret(&first.origin, Some(to), secret) {
                migration.notes.push(note);
                continue;
            }
            if let Some(from) = self.namespace.filter(|from| *from != to) {
                let text = "Copy what is served to where Istio's gateway reads it, or it is issued anew:";
                let command = copy_command(from, to, secret);
                migration.notes.push(first.origin.note(NoteKind::Before, text).command(command));
            }
            let command = adopt_command(Some(&self.options.gateway_namespace), secret);
            migration.notes.push(first.origin.note(NoteKind::Before, ADOPT).command(command));
        }
    }

    fn secrets(&self) -> BTreeSet<&str> {
        self.site.hosts.values().filter_map(|host| host.secret.as_deref()).collect()
    }

    /// Those that gatecert writes for an annotated Gateway.
    fn written_secrets(&self) -> BTreeSet<&str> {
        let hosts = self.site.hosts.iter().filter(|(name, _)| can_be_proved(name));
        hosts.filter_map(|(_, host)| host.secret.as_deref()).collect()
    }

    /// The Secrets that nothing of what was read writes.
    fn orphans(&self, annotations: &BTreeMap<String, String>) -> Vec<&str> {
        if !annotations.is_empty() {
            return Vec::new();
        }
        let is_written = |secret: &str| {
            self.inputs.certificates.iter().any(|certificate| {
                certificate.object.spec.secret_name == secret
                    && certificate.origin.namespace.as_ref() == Some(&self.options.gateway_namespace)
            })
        };
        self.secrets().into_iter().filter(|secret| !is_written(secret)).collect()
    }

    /// The comment on those.
    fn say_orphans(
        &self,
        annotations: &BTreeMap<String, String>,
        field: &'static [&'static str],
        comments: &mut Comments,
    ) {
        let orphans: Vec<_> = self.orphans(annotations).into_iter().map(crate::error::word).collect();
        if !orphans.is_empty() {
            comments.add(field, format!(
                "no Certificate that was read writes {} in `{}`: write one, or annotate this Gateway with \
                 `{}: NAME`",
                orphans.join(", "),
                self.options.gateway_namespace,
                annotation::CLUSTER_ISSUER
            ));
        }
    }

    /// cert-manager wrote the Secret of an annotated Ingress beside that, where Istio's gateway does not look.
    fn say_elsewhere(
        &self,
        annotations: &BTreeMap<String, String>,
        field: &'static [&'static str],
        comments: &mut Comments,
    ) {
        let to = &self.options.gateway_namespace;
        let Some(from) = self.namespace.filter(|from| from != to && !annotations.is_empty()) else { return };
        let text = format!(
            "Istio reads the Secrets in `{to}`: those that cert-manager wrote in `{from}` are copied there before, or \
             issued anew"
        );
        comments.add(field, text);
    }

    /// What stood on the Ingresses for others does not go over to objects of other kinds.
    fn say_dropped(&self, comments: &mut Comments) {
        let is_dropped = |key: &&String| {
            ![CLASS, site::ALLOW_HTTP].contains(&key.as_str())
                && !key.starts_with("kubectl.kubernetes.io/")
                && !is_theirs(key)
        };
        let keys = self.ingresses.iter().flat_map(|input| {
            let metadata = &input.object.metadata;
            let annotations = metadata.annotations.iter().flat_map(BTreeMap::keys).filter(is_dropped);
            metadata.labels.iter().flat_map(BTreeMap::keys).chain(annotations)
        });
        let keys: BTreeSet<_> = keys.map(|key| crate::error::word(key)).collect();
        let all = self.ingresses.iter().map(|input| &input.object.metadata);
        metadata::say_dropped(all, "which is for the Ingresses alone", comments);
        if !keys.is_empty() {
            let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
            comments.add(
                &["metadata"],
                format!("labels and annotations of the Ingresses that are left out: {keys}"),
            );
        }
    }

    fn origins(&self) -> Vec<&Origin> {
        self.ingresses.iter().map(|input| &input.origin).collect()
    }

    /// The Ingresses that a host comes from.
    fn origins_of(&self, host: &site::Host) -> Vec<&Origin> {
        host.ingresses
            .iter()
            .filter_map(|index| self.ingresses.get(*index))
            .map(|input| &input.origin)
            .collect()
    }

    /// The name of the Gateway.
    fn gateway_name(&self) -> String {
        self.namespace.map_or_else(|| "ingress".to_owned(), |namespace| format!("{namespace}-ingress"))
    }

    fn after(&self, migration: &mut Migration) {
        for input in self.ingresses {
            let origin = &input.origin;
            if let Some(certificate) = challenge::needed_by(input, self.staying) {
                migration.notes.push(challenge::kept(origin, certificate));
                continue;
            }
            let command = format!("{} delete ingress {}", kubectl(self.namespace), origin.name);
            let text = "When the gateway answers by the new routes, delete the Ingresses that they replace:";
            migration.notes.push(origin.note(NoteKind::After, text).command(command));
        }
    }
}
