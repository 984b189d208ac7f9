//! What makes gateways take names, of whatever kind.

use gatecert_render::ObjectName;
use std::fmt;

/// An object by which a gateway takes names, or a word for all of them. Messages name it by its `Display`:
/// `Gateway istio-system/public`, `Ingress class nginx`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GatewayName {
    /// A Gateway of Istio (`networking.istio.io`).
    Istio(ObjectName),
    /// A Gateway of the Gateway API (`gateway.networking.k8s.io`).
    GatewayApi(ObjectName),
    /// A ListenerSet, which gives a Gateway of the Gateway API more listeners.
    ListenerSet(ObjectName),
    /// The Ingresses of a class.
    IngressClass(String),
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Istio(name) | Self::GatewayApi(name) => write!(f, "Gateway {name}"),
            Self::ListenerSet(name) => write!(f, "ListenerSet {name}"),
            Self::IngressClass(class) => write!(f, "Ingress class {class}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_words_of_messages() {
        let name = || ObjectName::new("infra", "public");
        for (gateway, wanted) in [
            (GatewayName::Istio(name()), "Gateway infra/public"),
            (GatewayName::GatewayApi(name()), "Gateway infra/public"),
            (GatewayName::ListenerSet(name()), "ListenerSet infra/public"),
            (GatewayName::IngressClass("nginx".into()), "Ingress class nginx"),
        ] {
            assert_eq!(gateway.to_string(), wanted);
        }
    }
}
