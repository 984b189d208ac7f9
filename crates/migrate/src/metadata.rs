//! What of an object's metadata goes on.

use crate::cert_manager;
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
