//! `Certificate`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A certificate that is wanted: its names, who issues it, and the Secret that it is published in.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "gatecert.dev",
    version = "v1",
    kind = "Certificate",
    namespaced,
    status = "CertificateStatus",
    derive = "PartialEq",
    shortname = "gcert",
    shortname = "gcerts",
    category = "gatecert",
    doc = "A certificate that is wanted: its names, who issues it, and the Secret that it is published in.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Secret", type_ = "string", json_path = ".spec.secretName"),
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.issuerRef.name"),
    printcolumn(name = "Names", type_ = "string", json_path = ".spec.dnsNames", priority = 1),
    printcolumn(name = "Not after", type_ = "string", json_path = ".status.notAfter"),
    printcolumn(name = "Renewal", type_ = "string", json_path = ".status.renewalTime"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.issuance.step"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.dnsNames) && size(self.dnsNames) > 0) || (has(self.ipAddresses) && size(self.ipAddresses) > 0)", "at least one of dnsNames and ipAddresses is needed"))]
#[x_kube(validation = ("(has(self.dnsNames) ? size(self.dnsNames) : 0) + (has(self.ipAddresses) ? size(self.ipAddresses) : 0) <= 100", "a certificate holds at most 100 names and addresses"))]
#[x_kube(validation = ("!has(self.commonName) || (has(self.dnsNames) && self.commonName in self.dnsNames)", "commonName must be one of dnsNames"))]
#[x_kube(validation = ("!(has(self.renewBefore) && has(self.renewBeforePercentage))", "renewBefore and renewBeforePercentage exclude each other"))]
pub struct CertificateSpec {
    /// The Secret of type `kubernetes.io/tls` that the certificate is published in. Not one that ends in `-cacert`,
    /// which Istio reads as a CA.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"))]
    #[x_kube(validation = ("!self.endsWith('-cacert')", "Istio reserves Secret names that end in -cacert for CA certificates"))]
    pub secret_name: String,

    /// The namespace of the Secret. Another one than the Certificate's has to consent by a ReferenceGrant, from
    /// Certificates of this namespace to Secrets. Absent: the namespace of the Certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub secret_namespace: Option<String>,

    /// The DNS names, at most 100; internationalized ones in their ASCII form (`xn--…`). No wildcards: HTTP-01 does not
    /// prove those.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    #[x_kube(validation = ("self.all(name, !name.startsWith('*.'))", "a wildcard can not be proved by HTTP-01: name each host"))]
    #[x_kube(validation = ("self.all(name, name.startsWith('*.') || name.matches('^([a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?[.])+[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$'))", "each of dnsNames must be a full DNS name, such as www.example.com; internationalized names in their xn-- form"))]
    pub dns_names: Option<Vec<String>>,

    /// IPv4 and IPv6 addresses, at most 100. Let's Encrypt issues them with the profile `shortlived` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 2, max = 45)))]
    #[x_kube(validation = ("self.all(address, isIP(address))", "each of ipAddresses must be an IPv4 or IPv6 address"))]
    pub ip_addresses: Option<Vec<String>>,

    /// The common name, one of `dnsNames`, at most 64 characters. Absent: left to the CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub common_name: Option<String>,

    /// Who issues it.
    pub issuer_ref: IssuerReference,

    /// The key. Absent: a new ECDSA P-256 key for each certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,

    /// The ACME profile, one that the CA advertises. Absent: the issuer's, else left to the CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub profile: Option<String>,

    /// How long before its end the certificate is renewed at the latest, such as `360h`. The CA's renewal information
    /// may ask for it earlier. Absent: a third of its life, half where that is under ten days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^([0-9]+(\.[0-9]+)?(h|m|s))+$"))]
    pub renew_before: Option<String>,

    /// The same as a part of its life, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub renew_before_percentage: Option<i32>,

    /// Annotations and labels that the Secret gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_template: Option<SecretTemplate>,

    /// Accepted for manifests that were written for others; the CA decides what a key may be used for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    pub usages: Option<Vec<String>>,

    /// Accepted for manifests that were written for others; there is no history to limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
}

/// Who issues a certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct IssuerReference {
    /// The name of the issuer.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// `Issuer` (of the Certificate's namespace) or `ClusterIssuer`. Absent: `Issuer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<IssuerKind>,
    /// `gatecert.dev`, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^gatecert\.dev$"))]
    pub group: Option<String>,
}

/// The kinds of issuers.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord,
)]
pub enum IssuerKind {
    /// Of one namespace.
    #[default]
    Issuer,
    /// For all namespaces.
    ClusterIssuer,
}

impl IssuerKind {
    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
        }
    }
}

/// The key of a certificate.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.size) || (has(self.algorithm) && self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : self.size in [256, 384])", "size must be 2048, 3072 or 4096 for RSA, 256 or 384 for ECDSA"))]
pub struct PrivateKey {
    /// `ECDSA` or `RSA`. Absent: `ECDSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The size in bits. Absent: 256 for ECDSA, 2048 for RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i32>,
    /// `Always`: each certificate gets a new key. `Never`: the key stays. Absent: `Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_policy: Option<RotationPolicy>,
}

impl PrivateKey {
    /// The algorithm and the size in bits.
    pub fn algorithm(&self) -> (Algorithm, i32) {
        match self.algorithm.unwrap_or_default() {
            Algorithm::Ecdsa => (Algorithm::Ecdsa, self.size.unwrap_or(256)),
            Algorithm::Rsa => (Algorithm::Rsa, self.size.unwrap_or(2048)),
        }
    }

    /// Whether the key stays.
    pub fn is_kept(&self) -> bool {
        self.rotation_policy == Some(RotationPolicy::Never)
    }
}

/// The algorithms of keys that Let's Encrypt takes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// P-256 or P-384.
    #[default]
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// 2048, 3072 or 4096 bits.
    #[serde(rename = "RSA")]
    Rsa,
}

/// Whether the key changes with the certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RotationPolicy {
    /// It does.
    #[default]
    Always,
    /// It stays.
    Never,
}

/// What a Secret gets beside the certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// Annotations. Those of gatecert's own group are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels. Those of gatecert's own group are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

impl CertificateSpec {
    /// The names and addresses as they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.dns_names.iter().flatten().chain(self.ip_addresses.iter().flatten()).map(String::as_str)
    }

    /// The key, with what is absent meaning its default.
    pub fn key(&self) -> PrivateKey {
        self.private_key.clone().unwrap_or_default()
    }
}

/// What there is, and what is under way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// `Ready`: the Secret holds a certificate as it is wanted, that holds now. `Issuing`: a new one is under way or
    /// waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation that was looked at last. While it is not the present one, the conditions are of what was wanted
    /// before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The first moment at which the published certificate holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The last moment at which the published certificate holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// When it will be renewed, as things are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Time>,
    /// How many certificates were issued for this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// What was ordered for this object within a week, at most ten, the oldest first. By these the limits of the CA are
    /// kept when another replica leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_orders: Vec<RecentOrder>,
    /// The serial number of the published certificate, in lower-case hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// How many attempts failed since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_issuance_attempts: Option<i32>,
    /// When the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_time: Option<Time>,
    /// What the next attempt waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_attempts: Option<FailedAttempts>,
    /// What the CA says about renewing the published certificate (RFC 9773).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ari: Option<RenewalInformation>,
    /// The issuance under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuance: Option<Issuance>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// An order, as the limits of the CA see it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RecentOrder {
    /// The URL of the order.
    #[serde(rename = "url")]
    pub order_url: String,
    /// When it was made.
    pub time: Time,
    /// What it is to the limits.
    #[serde(rename = "type")]
    pub order_type: OrderType,
    /// The names whose validation failed. Where there are any, no certificate was issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_names: Vec<String>,
}

/// What an order is to the limits of the CA.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderType {
    /// The first one for these names.
    New,
    /// Another one for exactly these names.
    Renewal,
    /// A renewal that was due, which no limit holds back.
    Due,
    /// One for other names than are wanted now.
    OtherNames,
}

/// What the next attempt waits for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FailedAttempts {
    /// When the next attempt is made.
    pub next_attempt_time: Time,
    /// The time that the CA asked to wait until.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_until: Option<Time>,
    /// Whether waiting does not mend it.
    pub permanent: bool,
    /// The fingerprint of what was wanted. When that changes, the next attempt waits no longer.
    pub wanted: String,
}

/// What the CA says about renewing one certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInformation {
    /// The certificate that it is about (RFC 9773 section 4.1).
    #[serde(rename = "certificateID")]
    pub certificate_id: String,
    /// The start of the suggested window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start: Option<Time>,
    /// The end of the suggested window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_end: Option<Time>,
    /// The time in the window that was chosen at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<Time>,
    /// When the CA is asked again, as of the last time that this status was written.
    pub ask_again_at: Time,
    /// Where the CA explains the window.
    #[serde(rename = "explanationURL", skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<String>,
}

/// An issuance under way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// The URL of the order.
    pub order: String,
    /// What was ordered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How far it is.
    pub step: Step,
    /// The challenges that are answered now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<Challenge>,
    /// Since when.
    pub since: Time,
}

/// How far an issuance is. Steps that pass in a moment are not written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The answers are on their way to the gateways, then the CA asks for them.
    Proving,
}

impl Step {
    /// The step as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proving => "Proving",
        }
    }
}

/// One HTTP-01 challenge. None of it is secret: the CA asks for it in the open.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// The name or address.
    pub name: String,
    /// The token, which is the end of the path.
    pub token: String,
    /// The answer.
    pub key_authorization: String,
}

/// Why an attempt failed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// A stable word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The names that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_its_default() {
        let absent: PrivateKey = serde_json::from_str("{}").unwrap();
        let written: PrivateKey =
            serde_json::from_str(r#"{"algorithm":"ECDSA","size":256,"rotationPolicy":"Always"}"#).unwrap();
        assert_eq!((absent.algorithm(), absent.is_kept()), (written.algorithm(), written.is_kept()));
        let rsa: PrivateKey = serde_json::from_str(r#"{"algorithm":"RSA"}"#).unwrap();
        assert_eq!(rsa.algorithm(), (Algorithm::Rsa, 2048));
    }
}
