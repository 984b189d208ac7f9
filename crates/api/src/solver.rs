//! How names are proved: by HTTP-01 on the gateways that serve them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the names that a selector fits are proved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Solver {
    /// The names that it is for. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The challenge, which is the only one that there is.
    pub http01: Http01Solver,
}

/// Names. Where both are given, either is enough; a name goes before a zone, and a longer zone before a shorter.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Exact names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub dns_names: Option<Vec<String>>,
    /// Names that are these or below them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub dns_zones: Option<Vec<String>>,
}

/// The gateways that answer challenges. Exactly one kind.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = ("(has(self.auto) ? 1 : 0) + (has(self.istio) ? 1 : 0) + (has(self.gatewayAPI) ? 1 : 0) + (has(self.ingress) ? 1 : 0) == 1", "exactly one of auto, istio, gatewayAPI and ingress is needed"))]
pub struct Http01Solver {
    /// Whatever gateway serves the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<AutoSolver>,
    /// Istio Gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio: Option<IstioSolver>,
    /// Gateways of the Gateway API.
    #[serde(rename = "gatewayAPI", skip_serializing_if = "Option::is_none")]
    pub gateway_api: Option<GatewayApiSolver>,
    /// An Ingress of a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSolver>,
}

/// Whatever gateway serves the name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoSolver {
    /// Who answers on an Istio gateway. Absent: `Gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// Istio Gateways.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IstioSolver {
    /// The Gateways. Absent: all that serve the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub gateways: Option<Vec<GatewayReference>>,
    /// Who answers. Absent: `Gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// `address` or `address:port` of gateways outside of the cluster, which are asked before the CA is told. Absent:
    /// the endpoints of the Services that the Gateways select.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 64)))]
    pub addresses: Option<Vec<String>>,
    /// The namespaces of the gateways' Envoys, which the VirtualService of a challenge is exported to. Absent: those of
    /// the Services that the Gateways select; where none is seen, all, and then an older route that takes every path of
    /// the name comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub export_to: Option<Vec<String>>,
}

/// Who answers a challenge on an Istio gateway.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Envoy itself, by a direct response: no Pod is asked.
    #[default]
    Gateway,
    /// The controller's responder Service.
    Responder,
}

/// An Istio Gateway.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Absent: the Certificate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// Gateways of the Gateway API.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GatewayApiSolver {
    /// The Gateways and ListenerSets. Absent: all that serve the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub parent_refs: Option<Vec<ParentReference>>,
    /// As for Istio.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 64)))]
    pub addresses: Option<Vec<String>>,
}

/// A Gateway or ListenerSet of the Gateway API.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// `gateway.networking.k8s.io`, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// `Gateway` or `ListenerSet`. Absent: `Gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Absent: the Certificate's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// One of its listeners. Absent: those for HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// An Ingress of a class.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IngressSolver {
    /// The class.
    #[schemars(length(min = 1, max = 253))]
    pub ingress_class_name: String,
    /// As for Istio. Absent: the addresses in the status of the Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 64)))]
    pub addresses: Option<Vec<String>>,
}
