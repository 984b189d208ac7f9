//! The resources of cert-manager in all their versions, as far as they are read
//! ([reference](https://cert-manager.io/docs/reference/api-docs/)). Each struct has the fields of all versions;
//! [`SOME_VERSIONS`] says which have which.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The group of 2018.
pub(crate) const OLD_GROUP: &str = "certmanager.k8s.io";

/// The group since 2019.
pub(crate) const GROUP: &str = "cert-manager.io";

/// The versions, the oldest first.
pub(crate) const VERSIONS: [&str; 5] = [
    "certmanager.k8s.io/v1alpha1",
    "cert-manager.io/v1alpha2",
    "cert-manager.io/v1alpha3",
    "cert-manager.io/v1beta1",
    "cert-manager.io/v1",
];

/// Fields that only some versions have: the parts of their path below `spec`, the first version (by its place in
/// [`VERSIONS`]), and the last.
pub(crate) const SOME_VERSIONS: [(&[&str], usize, usize); 20] = [
    (&["acme"], 0, 0),
    (&["keyAlgorithm"], 0, 2),
    (&["keyEncoding"], 0, 2),
    (&["keySize"], 0, 2),
    (&["organization"], 0, 1),
    (&["subject"], 1, 4),
    (&["uriSANs"], 1, 3),
    (&["emailSANs"], 1, 3),
    (&["uris"], 4, 4),
    (&["emailAddresses"], 4, 4),
    (&["otherNames"], 4, 4),
    (&["literalSubject"], 4, 4),
    (&["privateKey", "algorithm"], 3, 4),
    (&["privateKey", "encoding"], 3, 4),
    (&["privateKey", "size"], 3, 4),
    (&["privateKey"], 1, 4),
    (&["renewBeforePercentage"], 4, 4),
    (&["nameConstraints"], 4, 4),
    (&["signatureAlgorithm"], 4, 4),
    (&["secretTemplate"], 1, 4),
];

/// The fields of `spec.acme` of an issuer in 2018, before there were solvers.
pub(crate) const OLD_ISSUER: [&str; 2] = ["dns01", "http01"];

/// An object: metadata, spec, and a status that is passed over.
#[derive(Deserialize, JsonSchema, Clone, Debug)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "apiVersion, kind and status are there for the schema")]
pub(crate) struct Object<S> {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: S,
    pub(crate) status: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IssuerSpec {
    pub(crate) acme: Option<Acme>,
    pub(crate) ca: Option<Value>,
    pub(crate) vault: Option<Value>,
    pub(crate) self_signed: Option<Value>,
    pub(crate) venafi: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acme {
    pub(crate) server: String,
    pub(crate) email: Option<String>,
    pub(crate) preferred_chain: Option<String>,
    pub(crate) ca_bundle: Option<String>,
    #[serde(rename = "skipTLSVerify")]
    pub(crate) skip_tls_verify: Option<bool>,
    pub(crate) external_account_binding: Option<ExternalAccountBinding>,
    pub(crate) private_key_secret_ref: SecretKey,
    pub(crate) solvers: Option<Vec<Solver>>,
    pub(crate) disable_account_key_generation: Option<bool>,
    pub(crate) enable_duration_feature: Option<bool>,
    pub(crate) profile: Option<String>,
    pub(crate) http01: Option<OldHttp01>,
    pub(crate) dns01: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OldHttp01 {
    #[allow(dead_code, reason = "there is no solver Service any more")]
    pub(crate) service_type: Option<String>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct SecretKey {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalAccountBinding {
    #[serde(rename = "keyID")]
    pub(crate) key_id: String,
    pub(crate) key_secret_ref: SecretKey,
    pub(crate) key_algorithm: Option<String>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct Solver {
    pub(crate) selector: Option<Selector>,
    pub(crate) http01: Option<Http01>,
    pub(crate) dns01: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Selector {
    pub(crate) match_labels: Option<BTreeMap<String, String>>,
    pub(crate) dns_names: Option<Vec<String>>,
    pub(crate) dns_zones: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct Http01 {
    pub(crate) ingress: Option<IngressSolver>,
    #[serde(rename = "gatewayHTTPRoute")]
    pub(crate) gateway: Option<GatewaySolver>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IngressSolver {
    pub(crate) class: Option<String>,
    pub(crate) ingress_class_name: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) service_type: Option<String>,
    pub(crate) pod_template: Option<Value>,
    pub(crate) ingress_template: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GatewaySolver {
    pub(crate) parent_refs: Option<Vec<ParentReference>>,
    pub(crate) service_type: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) pod_template: Option<Value>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParentReference {
    pub(crate) group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) section_name: Option<String>,
    pub(crate) port: Option<u32>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateSpec {
    pub(crate) secret_name: String,
    pub(crate) issuer_ref: IssuerReference,
    pub(crate) common_name: Option<String>,
    pub(crate) dns_names: Option<Vec<String>>,
    pub(crate) ip_addresses: Option<Vec<String>>,
    pub(crate) uris: Option<Vec<String>>,
    #[serde(rename = "uriSANs")]
    pub(crate) uri_sans: Option<Vec<String>>,
    pub(crate) email_addresses: Option<Vec<String>>,
    #[serde(rename = "emailSANs")]
    pub(crate) email_sans: Option<Vec<String>>,
    pub(crate) other_names: Option<Vec<Value>>,
    pub(crate) duration: Option<String>,
    pub(crate) renew_before: Option<String>,
    pub(crate) renew_before_percentage: Option<i32>,
    pub(crate) usages: Option<Vec<String>>,
    #[serde(rename = "isCA")]
    pub(crate) is_ca: Option<bool>,
    pub(crate) private_key: Option<PrivateKey>,
    pub(crate) key_algorithm: Option<String>,
    pub(crate) key_encoding: Option<String>,
    pub(crate) key_size: Option<i32>,
    pub(crate) organization: Option<Vec<String>>,
    pub(crate) subject: Option<Value>,
    pub(crate) literal_subject: Option<String>,
    pub(crate) secret_template: Option<SecretTemplate>,
    pub(crate) keystores: Option<Value>,
    pub(crate) additional_output_formats: Option<Vec<Value>>,
    pub(crate) encode_usages_in_request: Option<bool>,
    pub(crate) revision_history_limit: Option<i32>,
    pub(crate) name_constraints: Option<Value>,
    pub(crate) signature_algorithm: Option<String>,
    pub(crate) acme: Option<OldAcmeConfig>,
}

impl CertificateSpec {
    /// The names of a Certificate of 2018 that are proved by DNS-01.
    pub(crate) fn names_by_dns(&self) -> impl Iterator<Item = &str> {
        let configs = self.acme.iter().flat_map(|acme| acme.config.iter().flatten());
        let by_dns = configs.filter(|config| config.is_by_dns());
        by_dns.flat_map(|config| config.domains.iter().flatten().map(String::as_str))
    }
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct IssuerReference {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) group: Option<String>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PrivateKey {
    pub(crate) algorithm: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) size: Option<i32>,
    pub(crate) rotation_policy: Option<String>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct SecretTemplate {
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// How a Certificate of 2018 had its names proved.
#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct OldAcmeConfig {
    pub(crate) config: Option<Vec<OldDomainConfig>>,
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
pub(crate) struct OldDomainConfig {
    pub(crate) domains: Option<Vec<String>>,
    pub(crate) http01: Option<OldHttp01Config>,
    pub(crate) dns01: Option<Value>,
}

impl OldDomainConfig {
    pub(crate) fn is_by_dns(&self) -> bool {
        self.dns01.is_some() && self.http01.is_none()
    }
}

#[derive(Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OldHttp01Config {
    pub(crate) ingress: Option<String>,
    #[allow(dead_code, reason = "there for the schema")]
    pub(crate) ingress_class: Option<String>,
}
