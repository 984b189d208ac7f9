//! What of an object's metadata goes on.

use crate::cert_manager;
use crate::migration::Comments;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// What `kubectl apply` remembers.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Name, namespace, labels, and the annotations that are not of cert-manager's or of kubectl's. The rest is the API
/// server's to say, and an owner of a Certificate is not one of the new Certificate.
pub(crate) fn kept(metadata: &ObjectMeta) -> ObjectMeta {
    let annotations = metadata.annotations.iter().flatten();
    let annotations = annotations.filter(|(key, _)| !is_theirs(key) && *key != LAST_APPLIED);
    with(metadata, annotations.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Why an object of gatecert's has not the owners of cert-manager's, which would take it away with them.
pub(crate) const OF_ANOTHER: &str = "which is for cert-manager's object alone";

/// Why the manifest of an object that goes on does not have what the object in the cluster has.
pub(crate) const BY_CONTROLLERS: &str = "which controllers set and manifests do not";

/// The comment on what controllers put there.
pub(crate) fn say_dropped<'a>(
    all: impl IntoIterator<Item = &'a ObjectMeta> + Clone,
    why: &str,
    comments: &mut Comments,
) {
    let has_owners =
        |metadata: &ObjectMeta| metadata.owner_references.as_ref().is_some_and(|all| !all.is_empty());
    let has_finalizers =
        |metadata: &ObjectMeta| metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty());
    let dropped = [
        ("`ownerReferences`", all.clone().into_iter().any(has_owners)),
        ("`finalizers`", all.into_iter().any(has_finalizers)),
    ];
    let dropped: Vec<_> = dropped.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    if !dropped.is_empty() {
        comments.add(&["metadata"], format!("gone, {why}: {}", dropped.join(", ")));
    }
}

/// The same with these annotations.
pub(crate) fn with(metadata: &ObjectMeta, annotations: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        labels: metadata.labels.clone().filter(|labels| !labels.is_empty()),
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..ObjectMeta::default()
    }
}

/// Whether an annotation is one of cert-manager's.
pub(crate) fn is_theirs(key: &str) -> bool {
    let group = key.split('/').next().unwrap_or_default();
    [cert_manager::GROUP, cert_manager::OLD_GROUP].iter().any(|theirs| {
        group.strip_suffix(theirs).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }) || key == TLS_ACME
}

/// The annotation of kube-lego, which cert-manager took over.
pub(crate) const TLS_ACME: &str = "kubernetes.io/tls-acme";
