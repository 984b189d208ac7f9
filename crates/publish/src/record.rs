//! `cert.json`: what is known about a published certificate, and what its renewal needs.

use crate::name::CertificateName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

/// The version of the format of `cert.json` that this crate writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// What `cert.json` says about a certificate. It holds no secret.
///
/// Fields that a later gatecert adds are ignored when read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the certificate and of its directory.
    pub name: CertificateName,
    /// The DNS names and IP addresses, the first one first.
    pub identifiers: Vec<String>,
    /// The URL of the CA's directory (RFC 8555 §7.1.1).
    pub server: Url,
    /// The profile that was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The kind of key, such as `ecdsa-p256`.
    pub key_type: String,
    /// The account that ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_url: Option<Url>,
    /// The order that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_url: Option<Url>,
    /// Its identifier for renewal information (RFC 9773 §4.1); none when the certificate has no authority key identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_id: Option<String>,
    /// The start of its life.
    pub not_before: Timestamp,
    /// The end of its life.
    pub not_after: Timestamp,
    /// When it was published first.
    pub issued_at: Timestamp,
    /// The name of its issuer, for people.
    pub issuer: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// The renewal information that the CA gave last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<RenewalWindow>,
    /// The last question for renewal information, while the CA has answered none for this certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<UnansweredQuestion>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// How to ask for it again.
    pub renewal: RenewalOptions,
    /// The renewals that failed since it was issued.
    #[serde(default)]
    pub failures: Failures,
}

/// Renewal information (RFC 9773 §4.2), with the time that was chosen in its window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalWindow {
    /// The certificate that it belongs to; for another one it says nothing.
    pub certificate_id: String,
    /// The start of the window.
    pub start: Timestamp,
    /// The end of the window, after its start.
    pub end: Timestamp,
    /// The time chosen at random between the two.
    pub selected: Timestamp,
    /// When the CA was asked.
    pub fetched_at: Timestamp,
    /// When the CA wants to be asked again, from its `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_again_at: Option<Timestamp>,
    /// A page for people that says why the window is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation_url: Option<Url>,
}

/// A question for renewal information (RFC 9773 §4.1) that got no answer, or none of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnansweredQuestion {
    /// The certificate that it was about; for another one it says nothing.
    pub certificate_id: String,
    /// When the CA was asked.
    pub asked_at: Timestamp,
    /// When to ask it again, from its `Retry-After` where it said something.
    pub ask_again_at: Timestamp,
}

/// What a renewal is asked with, besides the names, the server, the profile and the kind of key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalOptions {
    /// How the challenge is answered.
    pub http01: Http01,
    /// The contact of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name of the issuer at the top of the chain to prefer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_chain: Option<String>,
    /// The roots that the CA's own server is verified against, a PEM file, in place of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl RenewalOptions {
    /// Options with nothing but the way to answer the challenge.
    pub fn new(http01: Http01) -> Self {
        Self { http01, email: None, preferred_chain: None, ca_file: None }
    }
}

/// How the HTTP-01 challenge is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http01 {
    /// By a server of our own on this address.
    Listen(String),
    /// By a web server that serves this directory.
    Webroot(PathBuf),
}

/// Attempts that failed one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The CA asked for silence until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_until: Option<Timestamp>,
    /// Whether waiting does not mend it.
    #[serde(default)]
    pub permanent: bool,
}

/// Why `cert.json` does not read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Json(serde_json::Error),
    Newer(u32),
}

impl Record {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            version: u32,
            #[serde(flatten)]
            record: &'a Record,
        }
        let mut json = serde_json::to_vec_pretty(&Document { version: FORMAT, record: self })?;
        json.push(b'\n');
        Ok(json)
    }

    /// The version is read on its own first: what follows it may have another form in a later one.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let header: Header = serde_json::from_slice(json).map_err(Unreadable::Json)?;
        if header.version > FORMAT {
            return Err(Unreadable::Newer(header.version));
        }
        serde_json::from_slice(json).map_err(Unreadable::Json)
    }
}
