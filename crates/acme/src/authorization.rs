//! Authorizations and challenges (RFC 8555 §7.1.4, §7.5, §8).

use crate::account::Account;
use crate::identifier::Identifier;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::request::{Repeat, RequestError};
use crate::retry::Retry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// The most challenges of one authorization that are read. Let's Encrypt offers three or four.
const MAX_CHALLENGES: usize = 16;

/// The longest token in characters; Let's Encrypt's have 43. The responder answers no longer ones.
const MAX_TOKEN: usize = 128;

/// The proof, or the lack of it, that an account may have certificates for one identifier.
#[derive(Clone, Debug)]
pub struct Authorization {
    url: Url,
    /// What it is for. Of a wildcard, the name without `*.`.
    pub identifier: Identifier,
    /// The state.
    pub status: AuthorizationStatus,
    /// When the CA forgets it.
    pub expires: Option<Timestamp>,
    /// The ways to prove it, at most 16.
    pub challenges: Vec<Challenge>,
    /// Whether the order was for the wildcard of the identifier.
    pub wildcard: bool,
}

/// The state of an authorization (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AuthorizationStatus {
    /// A challenge has to be answered.
    Pending,
    /// Proved.
    Valid,
    /// A challenge failed.
    Invalid,
    /// Given up by the account.
    Deactivated,
    /// Forgotten by the CA.
    Expired,
    /// Taken back by the CA.
    Revoked,
    /// A state that this crate does not know.
    #[serde(other)]
    Unknown,
}

/// One way to prove an identifier.
#[derive(Clone, Debug)]
pub struct Challenge {
    url: Url,
    token: Option<String>,
    /// The type.
    pub kind: ChallengeKind,
    /// The state.
    pub status: ChallengeStatus,
    /// Why it failed.
    pub error: Option<Problem>,
}

/// The type of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeKind {
    /// A file over HTTP (RFC 8555 §8.3).
    Http01,
    /// A TXT record (RFC 8555 §8.4).
    Dns01,
    /// A certificate over TLS (RFC 8737).
    TlsAlpn01,
    /// Any other.
    Other(String),
}

/// The state of a challenge (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChallengeStatus {
    /// Not answered yet.
    Pending,
    /// Being validated.
    Processing,
    /// Validated.
    Valid,
    /// Failed.
    Invalid,
    /// A state that this crate does not know.
    #[serde(other)]
    Unknown,
}

/// Why an authorization can not be read, or a challenge not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The authorization can not be read.
    #[error("the authorization can not be read")]
    Fetch(#[source] RequestError),
    /// The challenge can not be answered.
    #[error("the challenge can not be answered")]
    Respond(#[source] RequestError),
}

impl AuthorizationError {
    /// The failed request.
    pub fn request(&self) -> &RequestError {
        match self {
            Self::Fetch(source) | Self::Respond(source) => source,
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.request().retry()
    }
}

impl Authorization {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The HTTP-01 challenge, where the CA offers one with a well-formed token.
    pub fn http01(&self) -> Option<&Challenge> {
        self.challenges
            .iter()
            .find(|challenge| challenge.kind == ChallengeKind::Http01 && challenge.token.is_some())
    }

    /// Why a challenge failed, where one did.
    pub fn error(&self) -> Option<&Problem> {
        self.challenges.iter().find_map(|challenge| challenge.error.as_ref())
    }

    pub(crate) fn from_reply(reply: &Reply) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Wire {
            identifier: Identifier,
            status: AuthorizationStatus,
            #[serde(default)]
            expires: Option<serde_json::Value>,
            #[serde(default)]
            challenges: Vec<serde_json::Value>,
            #[serde(default)]
            wildcard: Option<bool>,
        }
        let wire: Wire = reply.json()?;
        let challenges = wire.challenges.into_iter().take(MAX_CHALLENGES);
        Ok(Self {
            url: reply.url.clone(),
            identifier: wire.identifier,
            status: wire.status,
            expires: wire.expires.and_then(|expires| serde_json::from_value(expires).ok()),
            challenges: challenges
                .filter_map(|challenge| Challenge::from_value(challenge, &reply.url))
                .collect(),
            wildcard: wire.wildcard.unwrap_or(false),
        })
    }
}

impl Challenge {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The token: 1 to 128 characters of base64url, so that it is safe as a file's name. `None` for types that have
    /// none (dns-persist-01) and for tokens that are not of this form.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Each challenge is read by itself: one of an unknown type or form is passed over and must not hide the others.
    fn from_value(value: serde_json::Value, base: &Url) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            url: String,
            status: ChallengeStatus,
            #[serde(default)]
            token: Option<serde_json::Value>,
            #[serde(default)]
            error: Option<serde_json::Value>,
        }
        let wire: Wire = serde_json::from_value(value).ok()?;
        Some(Self {
            url: base.join(&wire.url).ok()?,
            token: wire
                .token
                .as_ref()
                .and_then(serde_json::Value::as_str)
                .filter(|t| is_token(t))
                .map(str::to_owned),
            kind: ChallengeKind::parse(&wire.kind),
            status: wire.status,
            error: wire.error.and_then(|error| serde_json::from_value(error).ok()),
        })
    }
}

impl ChallengeKind {
    fn parse(text: &str) -> Self {
        match text {
            "http-01" => Self::Http01,
            "dns-01" => Self::Dns01,
            "tls-alpn-01" => Self::TlsAlpn01,
            other => Self::Other(other.chars().filter(|c| !c.is_control()).take(MAX_TOKEN).collect()),
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Other(text) => text,
        })
    }
}

fn is_token(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(is_base64url)
}

impl Account {
    /// Reads an authorization.
    pub async fn authorization(&self, url: &Url) -> Result<Authorization, AuthorizationError> {
        let reply = self.post_as_get(url).await.map_err(AuthorizationError::Fetch)?;
        Authorization::from_reply(&reply).map_err(AuthorizationError::Fetch)
    }

    /// Tells the CA to validate a challenge (RFC 8555 §7.5.1). Its answer has to be in place already.
    ///
    /// # Errors
    /// Where [`RequestError::is_unclear`] says so the CA may be at it: the authorization tells.
    pub async fn respond(&self, challenge: &Challenge) -> Result<(), AuthorizationError> {
        self.post(&challenge.url, b"{}", Repeat::Once).await.map_err(AuthorizationError::Respond)?;
        Ok(())
    }
}
