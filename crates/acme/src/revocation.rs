//! Revocation (RFC 8555 §7.6).

use crate::account::Account;
use crate::client::Client;
use crate::jws::KeyId;
use crate::key::AccountKey;
use crate::problem::ProblemKind;
use crate::request::{Repeat, RequestError};
use crate::retry::Retry;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Why a certificate is revoked (RFC 5280 §5.3.1), of the reasons that public CAs take from subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationReason {
    /// No reason given.
    #[default]
    Unspecified,
    /// The private key is, or may be, known to others.
    KeyCompromise,
    /// A name or another fact in it has changed.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// The service has ended.
    CessationOfOperation,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The code of RFC 5280 §5.3.1.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }

    /// The name of RFC 5280, in kebab case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RevocationReason {
    type Err = String;

    /// The name in any of the usual spellings (`keyCompromise`, `key-compromise`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|reason| plain(reason.as_str()) == plain(text)).ok_or_else(|| {
            format!("not a reason for revocation; one of {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// Why a certificate was not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// It is revoked already.
    #[error("the certificate is revoked already")]
    AlreadyRevoked,
    /// The CA refused, or could not be asked.
    #[error("the certificate can not be revoked")]
    Revoke(#[source] RequestError),
}

impl RevocationError {
    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::AlreadyRevoked => Retry::No,
            Self::Revoke(source) => source.retry(),
        }
    }
}

impl From<RequestError> for RevocationError {
    fn from(error: RequestError) -> Self {
        if error.is(&ProblemKind::AlreadyRevoked) { Self::AlreadyRevoked } else { Self::Revoke(error) }
    }
}

impl Account {
    /// Revokes a certificate (DER) that this account ordered, or whose names it is authorized for.
    pub async fn revoke(&self, certificate: &[u8], reason: RevocationReason) -> Result<(), RevocationError> {
        let (url, payload) = self.client().revocation(certificate, reason)?;
        self.post(url, payload.as_bytes(), Repeat::Safe).await?;
        Ok(())
    }
}

impl Client {
    /// Revokes a certificate (DER) by its own private key, without an account: for keys that were found in the wild.
    pub async fn revoke_with_certificate_key(
        &self,
        key: &AccountKey,
        certificate: &[u8],
        reason: RevocationReason,
    ) -> Result<(), RevocationError> {
        let (url, payload) = self.revocation(certificate, reason)?;
        self.post((key, KeyId::Jwk), url, payload.as_bytes(), Repeat::Safe).await?;
        Ok(())
    }

    fn revocation(
        &self,
        certificate: &[u8],
        reason: RevocationReason,
    ) -> Result<(&Url, String), RequestError> {
        let url = self.directory().revoke_cert.as_ref();
        let url = url.ok_or(RequestError::NotOffered { resource: "revokeCert" })?;
        let certificate = BASE64_URL_SAFE_NO_PAD.encode(certificate);
        Ok((url, json!({"certificate": certificate, "reason": reason.code()}).to_string()))
    }
}
