//! Renewal information (ARI, RFC 9773).

use crate::client::Client;
use crate::reply::Reply;
use crate::request::RequestError;
use crate::retry::Retry;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use url::Url;
use x509_parser::extensions::ParsedExtension;
use x509_parser::parse_x509_certificate;

/// The least time between two looks, whatever the CA says (RFC 9773 §4.3.1).
const MIN_WAIT: Duration = Duration::from_secs(60);

/// The most time between two looks, whatever the CA says (RFC 9773 §4.3.1).
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The time between two looks where the CA says none (RFC 9773 §4.3.3 has it for errors).
const DEFAULT_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// The longest identifier in characters: 20 bytes of serial number (RFC 5280 §4.1.2.2) and a key identifier of at
/// most 64 bytes are 28 + 1 + 86.
const MAX_ID: usize = 128;

/// The name of a certificate towards the CA: base64url of the authority key identifier, a dot, base64url of the
/// serial number's DER bytes (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CertificateId(String);

/// Why a certificate or a text gives no [`CertificateId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateIdError {
    /// The certificate names no key of its issuer.
    #[error("it has no authority key identifier")]
    NoAuthorityKeyIdentifier,
    /// The bytes are no certificate.
    #[error("it is not an X.509 certificate")]
    Certificate,
    /// The text has another form.
    #[error("it is not two base64url texts joined by a dot")]
    Text,
}

impl CertificateId {
    /// The identifier of a certificate in DER.
    ///
    /// # Errors
    /// What is no certificate, or one without an authority key identifier.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateIdError> {
        let (_, certificate) = parse_x509_certificate(der).map_err(|_| CertificateIdError::Certificate)?;
        let key_identifier =
            certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
                _ => None,
            });
        let key_identifier = key_identifier.ok_or(CertificateIdError::NoAuthorityKeyIdentifier)?;
        // The serial with its sign byte, as DER has it: a leading zero belongs to the identifier.
        let id = [key_identifier.0, certificate.raw_serial()]
            .map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
            .join(".");
        id.parse()
    }

    /// The text, `aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE` for instance.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CertificateId {
    type Err = CertificateIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_base64url = |part: &str| !part.is_empty() && BASE64_URL_SAFE_NO_PAD.decode(part).is_ok();
        match text.split_once('.') {
            Some((key, serial)) if text.len() <= MAX_ID && is_base64url(key) && is_base64url(serial) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(CertificateIdError::Text),
        }
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CertificateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// When the CA would like a certificate to be renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewalInfo {
    /// The window, from which a time is to be chosen at random (RFC 9773 §4.2).
    pub window: RenewalWindow,
    /// A page that says why, where there is one.
    pub explanation_url: Option<Url>,
    /// When to ask again: 1 minute to 1 day, 6 hours where the CA says nothing.
    pub retry_after: Duration,
}

/// A span of time; `end` is later than `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalWindow {
    /// Its first moment.
    pub start: Timestamp,
    /// Its last moment.
    pub end: Timestamp,
}

/// Why there is no [`RenewalInfo`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewalInfoError {
    /// The CA offers none.
    #[error("the CA offers no renewal information")]
    NotOffered,
    /// It can not be fetched.
    #[error("the renewal information can not be fetched")]
    Fetch(#[source] RequestError),
    /// The window ends before it begins, which counts as no answer (RFC 9773 §4.2).
    #[error("the renewal window ends at {end}, which is not after its start {start}")]
    Window {
        /// The start.
        start: Timestamp,
        /// The end.
        end: Timestamp,
    },
}

impl RenewalInfoError {
    /// When to ask again: six hours for what is no passing fault (RFC 9773 §4.3.3).
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotOffered => Retry::No,
            Self::Fetch(source) => match source.retry() {
                Retry::After(wait) => Retry::After(wait.clamp(MIN_WAIT, MAX_WAIT)),
                _ => Retry::After(DEFAULT_WAIT),
            },
            Self::Window { .. } => Retry::After(DEFAULT_WAIT),
        }
    }
}

impl Client {
    /// Asks when a certificate should be renewed (RFC 9773 §4.1). Needs no account.
    pub async fn renewal_info(&self, certificate: &CertificateId) -> Result<RenewalInfo, RenewalInfoError> {
        let base = self.directory().renewal_info.as_ref().ok_or(RenewalInfoError::NotOffered)?;
        let mut url = base.clone();
        // Appended to the path as it is, not joined: the last segment of the base stays.
        url.set_path(&format!("{}/{certificate}", base.path().trim_end_matches('/')));
        let reply = self.get(&url).await.map_err(RenewalInfoError::Fetch)?;
        RenewalInfo::from_reply(&reply)
    }
}

impl RenewalInfo {
    fn from_reply(reply: &Reply) -> Result<Self, RenewalInfoError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            suggested_window: RenewalWindow,
            #[serde(rename = "explanationURL")]
            explanation_url: Option<serde_json::Value>,
        }
        let wire: Wire = reply.json().map_err(RenewalInfoError::Fetch)?;
        let RenewalWindow { start, end } = wire.suggested_window;
        if end <= start {
            return Err(RenewalInfoError::Window { start, end });
        }
        let explanation_url = wire.explanation_url.and_then(|url| serde_json::from_value(url).ok());
        let retry_after = reply.retry_after().unwrap_or(DEFAULT_WAIT).clamp(MIN_WAIT, MAX_WAIT);
        Ok(Self { window: wire.suggested_window, explanation_url, retry_after })
    }
}
