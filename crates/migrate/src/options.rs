//! What the migration is to be like.

/// Which objects take the place of Istio's Ingresses of 2018, and where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What Ingresses of class `istio` become.
    pub to: Target,
    /// The namespace of Istio's ingress gateway, which reads Secrets there.
    pub gateway_namespace: String,
    /// The namespace of gatecert, where the Secrets of ClusterIssuers are.
    pub controller_namespace: String,
    /// The namespace of cert-manager, where those were.
    pub cert_manager_namespace: String,
}

/// What Ingresses of class `istio` become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Target {
    /// Istio's Gateway and VirtualService.
    #[default]
    Istio,
    /// The Gateway API's Gateway and HTTPRoute.
    GatewayApi,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            to: Target::Istio,
            gateway_namespace: "istio-system".to_owned(),
            controller_namespace: "gatecert-system".to_owned(),
            cert_manager_namespace: "cert-manager".to_owned(),
        }
    }
}
