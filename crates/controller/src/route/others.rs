//! The cluster without what gatecert put there itself: its own Gateways and routes serve nobody's names.

use crate::cluster::Cluster;
use gatecert_api::annotation;
use gatecert_render::{ObjectName, gateway_api, istio};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What others own.
pub(super) struct Others<'a> {
    /// Everything, for what gatecert makes none of: Services, Namespaces, …
    pub(super) cluster: &'a Cluster,
    pub(super) istio_gateways: Vec<&'a istio::Gateway>,
    pub(super) virtual_services: Vec<&'a istio::VirtualService>,
    pub(super) gateways: Vec<&'a gateway_api::Gateway>,
    pub(super) listener_sets: Vec<&'a gateway_api::ListenerSet>,
    pub(super) http_routes: Vec<&'a gateway_api::HttpRoute>,
    pub(super) ingresses: Vec<&'a Ingress>,
}

impl<'a> Others<'a> {
    /// The cluster, seen so.
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            istio_gateways: of_others(&cluster.istio_gateways),
            virtual_services: of_others(&cluster.virtual_services),
            gateways: of_others(&cluster.gateways),
            listener_sets: of_others(&cluster.listener_sets),
            http_routes: of_others(&cluster.http_routes),
            ingresses: of_others(&cluster.ingresses),
        }
    }

    /// The labels of a namespace that is there.
    pub(super) fn namespace_labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        let mut all = self.cluster.namespaces.iter();
        let found = all.find(|one| one.metadata.name.as_deref() == Some(namespace))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    }
}

fn of_others<K: Resource>(objects: &[Arc<K>]) -> Vec<&K> {
    objects.iter().map(Arc::as_ref).filter(|object| !is_ours(object.meta())).collect()
}

fn is_ours(metadata: &ObjectMeta) -> bool {
    let part = metadata.labels.as_ref().and_then(|labels| labels.get(annotation::PART));
    part.is_some_and(|part| part == annotation::PART_CHALLENGE)
}

/// The namespace of an object.
pub(super) fn namespace_of(object: &impl Resource) -> &str {
    object.meta().namespace.as_deref().unwrap_or_default()
}

/// The name of an object in its namespace.
pub(super) fn name_of(object: &impl Resource) -> &str {
    object.meta().name.as_deref().unwrap_or_default()
}

/// An object by namespace and name.
pub(super) fn object_name(object: &impl Resource) -> ObjectName {
    ObjectName::new(namespace_of(object), name_of(object))
}
