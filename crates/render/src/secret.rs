//! Secrets that a gateway reads.

use crate::fingerprint;
use crate::owner::{ObjectName, Owner, challenge_name};
use gatecert_api::{IssuerReference, SecretTemplate, annotation};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// The type of a Secret with a certificate and its key.
const TLS: &str = "kubernetes.io/tls";

/// A certificate as it is published.
#[derive(Clone, Debug)]
pub struct Publication<'a> {
    /// Whose it is.
    pub owner: &'a Owner,
    /// The Secret.
    pub secret: &'a ObjectName,
    /// The certificate and the intermediates behind it in PEM.
    pub chain_pem: &'a str,
    /// The key as PKCS#8 PEM.
    pub key_pem: &'a str,
    /// The DNS names in it, sorted.
    pub dns_names: Vec<String>,
    /// The addresses in it, sorted.
    pub ip_addresses: Vec<String>,
    /// The common name that was asked for.
    pub common_name: Option<&'a str>,
    /// Who issued it.
    pub issuer: &'a IssuerReference,
    /// The directory of the CA.
    pub directory: &'a str,
    /// The profile that was asked for.
    pub profile: Option<&'a str>,
    /// When it was issued, as RFC 3339 text.
    pub issued_at: &'a str,
    /// What the Certificate wants beside it.
    pub template: Option<&'a SecretTemplate>,
}

/// The Secret of a certificate: `tls.crt`, `tls.key`, and what was asked for in annotations. It has no owner: a gateway
/// goes on serving when the Certificate goes.
pub fn published_secret(publication: &Publication<'_>) -> Secret {
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), ByteString(publication.chain_pem.as_bytes().to_vec())),
        ("tls.key".to_owned(), ByteString(publication.key_pem.as_bytes().to_vec())),
    ]);
    Secret {
        metadata: ObjectMeta {
            annotations: Some(annotations(publication)),
            owner_references: None,
            ..labelled(
                publication.owner,
                publication.secret,
                annotation::PART_CERTIFICATE,
                publication.template,
            )
        },
        type_: Some(TLS.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

fn annotations(publication: &Publication<'_>) -> BTreeMap<String, String> {
    let mut annotations = own(publication.template.and_then(|template| template.annotations.as_ref()));
    let kind = publication.issuer.kind.unwrap_or_default();
    let mut set = |key: &str, value: &str| annotations.insert(key.to_owned(), value.to_owned());
    set(annotation::ALT_NAMES, &publication.dns_names.join(","));
    set(annotation::IP_SANS, &publication.ip_addresses.join(","));
    set(annotation::COMMON_NAME, publication.common_name.unwrap_or_default());
    set(annotation::CERTIFICATE_NAME, &publication.owner.name);
    set(annotation::ISSUER_NAME, &publication.issuer.name);
    set(annotation::ISSUER_KIND, kind.as_str());
    set(annotation::DIRECTORY, publication.directory);
    set(annotation::ACME_PROFILE, publication.profile.unwrap_or_default());
    set(annotation::ISSUED_AT, publication.issued_at);
    set(annotation::SECRET_TEMPLATE, &template_fingerprint(publication.template));
    annotations
}

/// A short text that changes when a template does. Empty without one.
pub fn template_fingerprint(template: Option<&SecretTemplate>) -> String {
    let text = template.and_then(|template| serde_json::to_string(template).ok());
    text.map(|text| fingerprint(&text)).unwrap_or_default()
}

/// What a template asks for, without what is gatecert's to say.
fn own(template: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let is_ours = |key: &str| key.starts_with("gatecert.dev/") || key == annotation::MANAGED_BY;
    template
        .into_iter()
        .flatten()
        .filter(|(key, _)| !is_ours(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn labelled(owner: &Owner, secret: &ObjectName, part: &str, template: Option<&SecretTemplate>) -> ObjectMeta {
    let mut metadata = owner.metadata(secret, part);
    let labels = metadata.labels.get_or_insert_default();
    for (key, value) in own(template.and_then(|template| template.labels.as_ref())) {
        labels.entry(key).or_insert(value);
    }
    metadata
}

/// The Secret that keeps the key and the order of an issuance under way, as `journal.json`. It goes with its
/// Certificate.
pub fn pending_key_secret(owner: &Owner, journal: &[u8]) -> Secret {
    let name = pending_key_name(owner);
    Secret {
        metadata: owner.metadata(&name, annotation::PART_PENDING_KEY),
        type_: Some("Opaque".to_owned()),
        data: Some([("journal.json".to_owned(), ByteString(journal.to_vec()))].into()),
        ..Secret::default()
    }
}

/// The name of the Secret that keeps an issuance of a Certificate.
pub fn pending_key_name(owner: &Owner) -> ObjectName {
    ObjectName::new(&owner.namespace, challenge_name(owner, "pending-key"))
}

/// A Secret with a self-signed certificate, so that a gateway's TLS server exists while the first certificate is on its
/// way.
pub fn placeholder_secret(
    owner: &Owner,
    secret: &ObjectName,
    certificate_pem: &str,
    key_pem: &str,
) -> Secret {
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), ByteString(certificate_pem.as_bytes().to_vec())),
        ("tls.key".to_owned(), ByteString(key_pem.as_bytes().to_vec())),
    ]);
    Secret {
        metadata: ObjectMeta {
            owner_references: None,
            ..labelled(owner, secret, annotation::PART_PLACEHOLDER, None)
        },
        type_: Some(TLS.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
