//! Objects of the cluster that others own, as far as the controller reads them: small types, since there may be many
//! such objects.

use gatecert_render::{gateway_api, istio};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A Service's selector and ports.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub struct Service {
    /// Namespace, name, labels.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What it selects.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// A Service's selector and ports.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct ServiceSpec {
    /// Labels of the Pods.
    pub selector: BTreeMap<String, String>,
    /// The ports.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service. Which port of a Pod it leads to stands in the EndpointSlices.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct ServicePort {
    /// Its name, empty where a Service has one port only.
    pub name: String,
    /// Its number.
    pub port: u32,
}

/// Where a Service's Pods are.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Namespace, name, labels.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// `IPv4`, `IPv6` or `FQDN`.
    #[serde(default)]
    pub address_type: String,
    /// The Pods.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Their ports.
    #[serde(default)]
    pub ports: Vec<EndpointPort>,
}

/// A Pod.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Endpoint {
    /// Its addresses, which are the same Pod.
    pub addresses: Vec<String>,
    /// Whether it serves.
    pub conditions: EndpointConditions,
}

/// Whether a Pod serves.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
#[serde(default)]
pub struct EndpointConditions {
    /// Absent is ready.
    pub ready: Option<bool>,
}

/// A port of a Pod.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct EndpointPort {
    /// The name of the Service's port.
    pub name: String,
    /// The number on the Pod.
    pub port: u32,
}

/// A namespace's labels.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::core::v1::Namespace)]
pub struct Namespace {
    /// Name, labels.
    #[serde(default)]
    pub metadata: ObjectMeta,
}

/// Which controller an Ingress class is of.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::networking::v1::IngressClass)]
pub struct IngressClass {
    /// Name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The controller.
    #[serde(default)]
    pub spec: IngressClassSpec,
}

/// Which controller an Ingress class is of.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct IngressClassSpec {
    /// Such as `istio.io/ingress-controller`.
    pub controller: String,
}

/// What the cluster's gateways are and serve, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Istio's Gateways.
    pub istio_gateways: Vec<Arc<istio::Gateway>>,
    /// Istio's VirtualServices.
    pub virtual_services: Vec<Arc<istio::VirtualService>>,
    /// The Gateway API's Gateways.
    pub gateways: Vec<Arc<gateway_api::Gateway>>,
    /// The Gateway API's ListenerSets.
    pub listener_sets: Vec<Arc<gateway_api::ListenerSet>>,
    /// The Gateway API's HTTPRoutes.
    pub http_routes: Vec<Arc<gateway_api::HttpRoute>>,
    /// The Gateway API's ReferenceGrants.
    pub reference_grants: Vec<Arc<gateway_api::ReferenceGrant>>,
    /// Ingresses.
    pub ingresses: Vec<Arc<Ingress>>,
    /// Ingress classes.
    pub ingress_classes: Vec<Arc<IngressClass>>,
    /// Services.
    pub services: Vec<Arc<Service>>,
    /// EndpointSlices.
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    /// Namespaces.
    pub namespaces: Vec<Arc<Namespace>>,
}
