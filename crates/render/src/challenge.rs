//! The challenge that a route answers, and who answers it.

/// The path below which challenges are answered (RFC 8555 section 8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// One HTTP-01 challenge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Challenge {
    /// The name or address.
    pub host: String,
    /// The token: base64url, so that it is safe in a path.
    pub token: String,
    /// The answer.
    pub key_authorization: String,
}

impl Challenge {
    /// The path that the CA asks for.
    pub fn path(&self) -> String {
        format!("{CHALLENGE_PATH}{}", self.token)
    }
}

/// Who answers on an Istio gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Envoy itself.
    Direct,
    /// The responder's Service.
    Responder(ServiceName),
}

/// A Service and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl ServiceName {
    /// Its name in the cluster's DNS, whole: Istio takes a name with a dot in it as it is, and knows Services by their
    /// whole names alone.
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }
}
