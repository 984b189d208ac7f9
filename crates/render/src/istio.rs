//! Istio's `networking.istio.io/v1`, as far as gatecert reads and writes it
//! ([reference](https://istio.io/latest/docs/reference/config/networking/)).

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which hosts and ports the selected Envoys serve.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(group = "networking.istio.io", version = "v1", kind = "Gateway", namespaced)]
#[kube(schema = "disabled", derive = "PartialEq", doc = "An Istio Gateway.")]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Labels of the Pods that it is for; none select all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, String>,
    /// What they serve.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<Server>,
}

/// Hosts on a port.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// The port.
    pub port: Port,
    /// The hosts: `www.example.com`, `*.example.com` or `*`, each perhaps behind a namespace: `shop/…`, `./…`, `*/…`.
    pub hosts: Vec<String>,
    /// How TLS is ended, and whether plain requests are sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A port.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// Its number.
    pub number: u32,
    /// `HTTP`, `HTTPS`, `HTTP2`, `GRPC`, `TLS`, …
    pub protocol: String,
    /// Its name.
    pub name: String,
}

/// How TLS is ended.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerTls {
    /// Whether every plain request is answered with 301 to `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_redirect: Option<bool>,
    /// `SIMPLE`, `MUTUAL`, `OPTIONAL_MUTUAL`, `PASSTHROUGH`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The Secret, in the namespace of the Pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_name: Option<String>,
    /// One or two Secrets, of different key types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credential_names: Vec<String>,
}

impl ServerTls {
    /// All Secrets that it names.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        self.credential_name
            .iter()
            .chain(&self.credential_names)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// Whether Envoy ends TLS itself with a certificate from a Secret.
    pub fn is_terminating(&self) -> bool {
        matches!(self.mode.as_deref(), Some("SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL"))
    }
}

impl Server {
    /// Whether it takes plain HTTP requests.
    pub fn is_http(&self) -> bool {
        matches!(self.port.protocol.to_ascii_uppercase().as_str(), "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB")
    }

    /// Whether it ends TLS and then takes HTTP requests.
    pub fn is_https(&self) -> bool {
        self.port.protocol.eq_ignore_ascii_case("HTTPS")
            && self.tls.as_ref().is_some_and(ServerTls::is_terminating)
    }

    /// Whether it answers every plain request with a redirect to `https://`.
    pub fn is_redirecting(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.https_redirect == Some(true))
    }
}

/// Where requests for hosts go.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(group = "networking.istio.io", version = "v1", kind = "VirtualService", namespaced)]
#[kube(schema = "disabled", derive = "PartialEq", doc = "An Istio VirtualService.")]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualServiceSpec {
    /// The hosts: `www.example.com`, `*.example.com` or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The Gateways, `namespace/name`; `mesh` stands for all sidecars. None is `mesh`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// The routes of HTTP requests, the first that matches wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRoute>,
    /// The namespaces that see it, `.` and `*` among them. None is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
}

/// One route.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRoute {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Any of these; none is every request.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// Answered by Envoy itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_response: Option<DirectResponse>,
    /// Answered with a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// Sent on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<Destination>,
}

/// A condition on a request.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatch {
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<StringMatch>,
    /// The port of the Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
}

/// A condition on a string.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct StringMatch {
    /// It is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// It begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// An answer of Envoy's own.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct DirectResponse {
    /// The status.
    pub status: u32,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<DirectBody>,
}

/// A body.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct DirectBody {
    /// As text.
    #[serde(rename = "string", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A redirect.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Redirect {
    /// To this scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// With this status; 301 if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_code: Option<u32>,
}

/// Where a request is sent.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Destination {
    /// The Service.
    pub destination: DestinationHost,
}

/// A Service.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct DestinationHost {
    /// Its name in the cluster's DNS.
    pub host: String,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortNumber>,
}

/// A port by number.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
#[serde(default)]
pub struct PortNumber {
    /// The number.
    pub number: u32,
}

/// How a destination is spoken to.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(group = "networking.istio.io", version = "v1", kind = "DestinationRule", namespaced)]
#[kube(schema = "disabled", derive = "PartialEq", doc = "An Istio DestinationRule.")]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationRuleSpec {
    /// Its name in the cluster's DNS.
    pub host: String,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How a destination is spoken to.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct TrafficPolicy {
    /// TLS towards it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// TLS towards a destination.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct ClientTls {
    /// `DISABLE`, `ISTIO_MUTUAL`, …
    pub mode: String,
}
