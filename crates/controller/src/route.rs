//! Where the challenges of a Certificate go: which gateways serve its names, and what has to be put on them.

mod endpoints;
mod entitlement;
mod explain;
#[cfg(test)]
mod fixture;
mod gateway_api;
mod gateway_name;
mod host;
mod ingress;
mod istio;
mod others;
mod place;
mod solver;

pub use explain::{Door, TakenRoute, explain};
pub use gateway_name::GatewayName;
pub use host::ServerHost;
pub use place::place;

use gatecert_api::{Allowed, Solver};
use gatecert_render::gateway_api::ParentReference;
use gatecert_render::istio::Port;
use gatecert_render::{Answer, ObjectName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The Certificate's namespace.
    pub namespace: &'a str,
    /// Its DNS names and addresses, in lower case.
    pub hosts: &'a BTreeSet<String>,
    /// The Secret that it publishes: the one that may be written before the first certificate is there.
    pub secret: &'a ObjectName,
    /// The issuer's solvers; none is `auto` for every name.
    pub solvers: &'a [Solver],
    /// Of a ClusterIssuer: who may ask for what.
    pub allow: Option<&'a [Allowed]>,
    /// The responder's Service.
    pub responder: &'a ServiceName,
}

/// Everything that the challenges of a Certificate need. The names of a Certificate are grouped, so that it needs few
/// objects: one in most cases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// VirtualServices, beside the Certificate.
    pub virtual_services: Vec<VirtualServicePlace>,
    /// Gateways with a VirtualService, for hosts that a wildcard's server redirects.
    pub bypasses: Vec<BypassPlace>,
    /// HTTPRoutes, beside the Gateway.
    pub http_routes: Vec<HttpRoutePlace>,
    /// Ingresses, beside the responder.
    pub ingresses: Vec<IngressPlace>,
    /// Secrets that have to exist before a gateway's TLS server does.
    pub placeholders: BTreeSet<ObjectName>,
    /// What has to answer before the CA is told to ask.
    pub probes: Vec<Probe>,
}

/// A VirtualService.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualServicePlace {
    /// The Gateways.
    pub gateways: BTreeSet<ObjectName>,
    /// The namespaces of the Envoys behind them, which have to see it.
    pub export_to: BTreeSet<String>,
    /// The hosts as the routes that serve them now have them.
    pub patterns: BTreeSet<String>,
    /// The Certificate's names that are proved there.
    pub hosts: BTreeSet<String>,
    /// Who answers.
    pub answer: Answer,
}

/// A Gateway and a VirtualService for one host.
#[derive(Clone, Debug, PartialEq)]
pub struct BypassPlace {
    /// The namespace of the redirecting Gateway.
    pub namespace: String,
    /// The namespaces of the Envoys behind it.
    pub export_to: BTreeSet<String>,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
    /// The redirecting server's port.
    pub port: Port,
    /// The host.
    pub host: String,
    /// Who answers.
    pub answer: Answer,
}

/// An HTTPRoute.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRoutePlace {
    /// Its namespace.
    pub namespace: String,
    /// The listeners.
    pub parents: BTreeSet<ParentReference>,
    /// The hosts as the routes that serve them now have them.
    pub patterns: BTreeSet<String>,
    /// The Certificate's names that are proved there.
    pub hosts: BTreeSet<String>,
}

/// An Ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressPlace {
    /// The class.
    pub class: String,
    /// From hosts, as the Ingresses that serve them now have them, to the Certificate's names that are proved there.
    pub hosts: BTreeMap<String, BTreeSet<String>>,
}

/// A gateway that is asked as the CA will ask it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The name.
    pub host: String,
    /// The gateway, for messages.
    pub gateway: GatewayName,
    /// Where it listens. Every one of them has to answer.
    pub addresses: BTreeSet<SocketAddr>,
    /// Whether the CA comes here by HTTPS, behind a redirect.
    pub is_tls: bool,
}

/// Why a name gets no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name.
    pub host: String,
    /// What kind of refusal.
    pub reason: RefusalReason,
    /// What it is about.
    pub subject: Subject,
    /// The rule and the object, and what to do.
    pub message: String,
}

/// What a refusal is about: where whoever mends it has to look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// What serves the name, which [`explain()`] tells.
    Doors,
    /// Nothing of what the solver is for takes the name on port 80.
    Nowhere(SolverKind),
    /// The issuer: `spec.acme.allow` of a ClusterIssuer, or the solvers, none of which is for the name.
    Issuer,
    /// A gateway that the solver names. It does not take the name on port 80, or is not there.
    Named(GatewayName),
    /// A listener of the Gateway API.
    Listener {
        /// What has it.
        holder: GatewayName,
        /// Its name.
        name: String,
    },
    /// A gateway that can not be asked.
    SilentGateway {
        /// The gateway, as [`Door::gateways`] has it.
        gateway: GatewayName,
        /// The labels of the Pods that a Service should lead to; empty where it is not chosen by labels.
        pods: BTreeMap<String, String>,
    },
}

/// What a solver puts a challenge on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SolverKind {
    /// Whatever serves the name.
    Auto,
    /// Gateways of Istio.
    Istio,
    /// Gateways of the Gateway API, and ListenerSets.
    GatewayApi,
    /// Ingresses of a class.
    Ingress,
}

/// Kinds of refusals; their names are the reasons of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The Certificate's namespace may not ask for the name.
    NotAllowed,
    /// No gateway serves the name on port 80.
    NoGateway,
    /// A gateway serves it and has no Pod that is ready.
    GatewayNotReady,
    /// A gateway redirects the name to HTTPS, where nothing serves it.
    RedirectWithoutHttps,
}

impl RefusalReason {
    /// The reason of the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "NotAllowed",
            Self::NoGateway => "NoGateway",
            Self::GatewayNotReady => "GatewayNotReady",
            Self::RedirectWithoutHttps => "RedirectWithoutHttps",
        }
    }
}
