//! What has to be written so that the Certificates are as the sources want them.

use super::Wanted;
use gatecert_api::{Certificate, CertificateSpec, annotation};
use gatecert_render::ObjectName;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// What has to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// To be applied, server-side and by force: all fields that sources set, and no other.
    pub apply: Vec<Certificate>,
    /// To be deleted.
    pub delete: Vec<Arc<Certificate>>,
    /// Certificates that exist and that no source made. They are left alone.
    pub conflicts: Vec<Conflict>,
}

/// A Certificate that exists and that a source may not overwrite.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The Certificate.
    pub certificate: ObjectName,
    /// The source that wants one of that name.
    pub source: ObjectReference,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.certificate.name;
        write!(
            f,
            "the Certificate {name} exists and was not made for an annotated object: it stays as it is; delete it, or \
             take the annotation away, or name another Secret"
        )
    }
}

impl Wanted {
    /// What has to be written where `existing` are all Certificates that exist.
    ///
    /// A Certificate that a source made goes to another source of its namespace when that is now its owner. One whose
    /// owner is gone altogether is left to the cluster's garbage collection; so nothing is deleted when a kind of
    /// source can not be listed any more.
    pub fn changes(&self, existing: &[Arc<Certificate>]) -> Changes {
        let mut changes = Changes::default();
        let wanted: HashMap<_, _> = self.certificates.iter().map(|wanted| (name(wanted), wanted)).collect();
        let mut seen = HashSet::new();
        for certificate in existing {
            let name = name(certificate);
            let Some(wanted) = wanted.get(&name) else {
                if !self.held.contains(&name) && self.is_left_over(certificate) {
                    changes.delete.push(Arc::clone(certificate));
                }
                continue;
            };
            if made_by(certificate).is_none() {
                changes.conflicts.push(Conflict { certificate: name.clone(), source: source(wanted) });
            } else if !is_same(wanted, certificate) {
                changes.apply.push((*wanted).clone());
            }
            seen.insert(name);
        }
        let missing = self.certificates.iter().filter(|wanted| !seen.contains(&name(wanted)));
        changes.apply.extend(missing.cloned());
        changes
    }

    /// Whether a source made it that is still there.
    fn is_left_over(&self, certificate: &Certificate) -> bool {
        made_by(certificate).is_some_and(|owner| self.present.contains(&owner.uid))
    }
}

fn name(certificate: &Certificate) -> ObjectName {
    ObjectName::new(certificate.namespace().unwrap_or_default(), certificate.name_any())
}

/// The source that a Certificate was made for.
fn made_by(certificate: &Certificate) -> Option<&OwnerReference> {
    let is_managed =
        certificate.labels().get(annotation::MANAGED_BY).is_some_and(|by| by == annotation::MANAGER);
    controller(certificate).filter(|owner| is_managed && is_source(owner))
}

fn controller(certificate: &Certificate) -> Option<&OwnerReference> {
    certificate.owner_references().iter().find(|owner| owner.controller == Some(true))
}

fn is_source(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    matches!(
        (group, owner.kind.as_str()),
        ("networking.istio.io", "Gateway")
            | ("gateway.networking.k8s.io", "Gateway" | "ListenerSet")
            | ("networking.k8s.io", "Ingress")
    )
}

fn source(wanted: &Certificate) -> ObjectReference {
    let owner = controller(wanted).cloned().unwrap_or_default();
    ObjectReference {
        api_version: Some(owner.api_version),
        kind: Some(owner.kind),
        name: Some(owner.name),
        namespace: wanted.namespace(),
        uid: Some(owner.uid),
        ..ObjectReference::default()
    }
}

/// Whether `existing` has what sources set, and the same owner. What else it has is not ours: labels, a template for
/// the Secret.
fn is_same(wanted: &Certificate, existing: &Certificate) -> bool {
    let has_owner =
        controller(existing).map(|owner| &owner.uid) == controller(wanted).map(|owner| &owner.uid);
    has_owner && of_sources(&wanted.spec) == of_sources(&existing.spec)
}

/// The fields that sources set.
fn of_sources(spec: &CertificateSpec) -> impl PartialEq + '_ {
    (
        (&spec.secret_name, &spec.secret_namespace, &spec.dns_names, &spec.common_name),
        (&spec.issuer_ref, &spec.private_key, &spec.profile, &spec.renew_before),
    )
}
