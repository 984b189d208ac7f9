//! `Issuer` and `ClusterIssuer`.

use crate::solver::Solver;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A CA for the Certificates of its namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "gatecert.dev",
    version = "v1",
    kind = "Issuer",
    namespaced,
    status = "IssuerStatus",
    derive = "PartialEq",
    shortname = "giss",
    category = "gatecert",
    doc = "A CA for the Certificates of its namespace, the account with it, and how names are proved.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.acme.server"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = ("!has(self.acme.allow)", "allow belongs to a ClusterIssuer: an Issuer serves its own namespace only"))]
pub struct IssuerSpec {
    /// The CA, by ACME (RFC 8555).
    pub acme: AcmeIssuer,
}

/// A CA for the Certificates of all namespaces.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "gatecert.dev",
    version = "v1",
    kind = "ClusterIssuer",
    status = "IssuerStatus",
    derive = "PartialEq",
    shortname = "gciss",
    category = "gatecert",
    doc = "A CA for the Certificates of all namespaces, the account with it, and how names are proved. Its Secrets are in the controller's namespace.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.acme.server"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ClusterIssuerSpec {
    /// The CA, by ACME (RFC 8555).
    pub acme: AcmeIssuer,
}

/// A CA that speaks ACME, and the account with it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(has(self.skipTLSVerify) && self.skipTLSVerify && has(self.caBundle))", "skipTLSVerify and caBundle exclude each other"))]
pub struct AcmeIssuer {
    /// The URL of the ACME directory, or one of the words `letsencrypt` and `letsencrypt-staging`.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = ("self in ['letsencrypt', 'letsencrypt-staging'] || self.startsWith('https://')", "server must be letsencrypt, letsencrypt-staging or the https:// URL of an ACME directory"))]
    pub server: String,

    /// The address that the CA may write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254))]
    #[x_kube(validation = ("self.matches('^[^@ ,;<>?]+@[^@ ,;<>?]+$')", "email must be one address, such as ops@example.com"))]
    pub email: Option<String>,

    /// PEM certificates, base64: the roots that the CA's own HTTPS certificate is checked against. Absent: Mozilla's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262144))]
    pub ca_bundle: Option<String>,

    /// Does not check the CA's own HTTPS certificate. For test CAs only: whoever is between can issue in your name.
    #[serde(rename = "skipTLSVerify", skip_serializing_if = "Option::is_none")]
    pub skip_tls_verify: Option<bool>,

    /// The Secret that keeps the account's key, in `tls.key`. It is made where there is none. Absent:
    /// `<name of the issuer>-account-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_secret_ref: Option<SecretReference>,

    /// Ties the account to one that exists with the CA already (RFC 8555 section 7.3.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<ExternalAccountBinding>,

    /// The common name of the topmost issuer of the chain to take where the CA offers several, or the SHA-256
    /// fingerprint of a certificate in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub preferred_chain: Option<String>,

    /// The ACME profile of certificates that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub profile: Option<String>,

    /// The limits that the CA sets to this account: what it would refuse waits its turn instead. Absent: those of Let's
    /// Encrypt for its directories; for any other CA only that of certificates for the same names, so that a Secret which
    /// is deleted again and again is no storm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,

    /// How names are proved: the most specific that fits a name, by its selector. Absent: by whatever gateway serves
    /// the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub solvers: Option<Vec<Solver>>,

    /// Of a ClusterIssuer: which namespaces may ask for which names. Absent: all, for names that they may route.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub allow: Option<Vec<Allowed>>,
}

/// Limits of a CA, for those that differ from the ones that it is known to have.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// New orders of the account. Renewals are exempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_orders: Option<RateLimit>,
    /// Certificates for the names of one registered domain. Renewals are exempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates_per_domain: Option<RateLimit>,
    /// Certificates for exactly the same names. Renewals that are due are exempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_certificates: Option<RateLimit>,
    /// Failed validations of one name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_validations: Option<RateLimit>,
}

/// A number within a time. It is refilled evenly: of 300 within 3h there is one more every 36 seconds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// How many; 0 for no limit.
    // As a signed one: the API server warns of formats that OpenAPI does not have.
    #[schemars(with = "i32", range(min = 0))]
    pub count: u32,
    /// The time, such as `3h`; `168h` is a week.
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^([0-9]+(\.[0-9]+)?(h|m|s))+$"))]
    pub period: String,
}

/// Lets namespaces ask for names.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Allowed {
    /// The namespaces. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceSelector>,
    /// Names, or `*.example.com` for the names one label below. Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub dns_names: Option<Vec<String>>,
}

/// Namespaces, by name or by label. Where both are given, either is enough.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub names: Option<Vec<String>>,
    /// By label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// A Secret beside the issuer (of a ClusterIssuer: in the controller's namespace).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One value in a Secret beside the issuer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretKeyReference {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it. Absent: `secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The account with the CA that an ACME account is tied to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAccountBinding {
    /// The key's name with the CA.
    #[serde(rename = "keyID")]
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: String,
    /// The key, base64 in its plain or its URL form.
    pub key_secret_ref: SecretKeyReference,
    /// Accepted for manifests that were written for others: `HS256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^HS256$"))]
    pub key_algorithm: Option<String>,
}

/// How the CA and the account are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// `Ready`: the account is registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeStatus>,
}

/// An account with a CA.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AcmeStatus {
    /// The directory that the account is of.
    pub directory: String,
    /// The URL of the account.
    pub uri: String,
    /// The thumbprint of the account's key (RFC 7638), which HTTP-01 answers end in.
    pub thumbprint: String,
    /// The contact that was last registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_registered_email: Option<String>,
    /// The key of the external account that it was made with.
    #[serde(rename = "externalAccountKeyID", skip_serializing_if = "Option::is_none")]
    pub external_account_key_id: Option<String>,
    /// The profiles that the CA advertises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// The CA's terms of service, which having an account agrees to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// When the account was last seen to be good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Time>,
}

/// The directory that `server` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaServer<'a>(&'a str);

impl AcmeIssuer {
    /// The URL of the ACME directory.
    pub fn directory(&self) -> &str {
        CaServer(&self.server).url()
    }
}

impl<'a> CaServer<'a> {
    /// The URL of the directory.
    pub fn url(self) -> &'a str {
        match self.0 {
            "letsencrypt" => "https://acme-v02.api.letsencrypt.org/directory",
            "letsencrypt-staging" => "https://acme-staging-v02.api.letsencrypt.org/directory",
            url => url,
        }
    }
}
