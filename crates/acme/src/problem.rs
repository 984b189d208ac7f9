//! Problem documents (RFC 7807) with ACME's types (RFC 8555 §6.7).

use crate::identifier::Identifier;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The longest text of a CA that is kept and shown, in characters; what is longer is cut.
const MAX_TEXT: usize = 1024;

/// The most subproblems that are kept: one for each identifier of the largest order.
const MAX_SUBPROBLEMS: usize = 100;

const ACME_PREFIX: &str = "urn:ietf:params:acme:error:";

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// The type of a [`Problem`] (RFC 8555 §6.7, RFC 9773 §7.4, the profiles draft, and what Let's Encrypt adds).
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)+
            /// A type that this crate does not know, as the server wrote it (cleaned, at most 1024 characters).
            Other(String),
        }

        impl ProblemKind {
            fn parse(text: &str) -> Self {
                match text.strip_prefix(ACME_PREFIX) {
                    $(Some($text) => Self::$name,)+
                    _ => Self::Other(clean(text)),
                }
            }

            /// The type without its URN prefix, `badNonce` for instance. Fit to be a metric's label except for `Other`.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Other(text) => text,
                }
            }
        }
    };
}

problem_kinds! {
    /// The account does not exist.
    AccountDoesNotExist = "accountDoesNotExist",
    /// The certificate was already replaced by another order (RFC 9773 §7.4).
    AlreadyReplaced = "alreadyReplaced",
    /// The certificate is revoked already.
    AlreadyRevoked = "alreadyRevoked",
    /// The CSR is not acceptable.
    BadCsr = "badCSR",
    /// The nonce was not acceptable.
    BadNonce = "badNonce",
    /// The JWS was signed by a key that the server does not support.
    BadPublicKey = "badPublicKey",
    /// The revocation reason is not allowed.
    BadRevocationReason = "badRevocationReason",
    /// The signature algorithm is not supported.
    BadSignatureAlgorithm = "badSignatureAlgorithm",
    /// CAA records forbid the CA to issue.
    Caa = "caa",
    /// Several errors, see the subproblems.
    Compound = "compound",
    /// The resource is in a state that does not allow this (Boulder's, for `replaces` among others).
    Conflict = "conflict",
    /// The server could not connect to the validation target.
    Connection = "connection",
    /// A DNS query failed during validation.
    Dns = "dns",
    /// The account needs an external account binding.
    ExternalAccountRequired = "externalAccountRequired",
    /// The response did not match the challenge.
    IncorrectResponse = "incorrectResponse",
    /// A contact URL is not valid.
    InvalidContact = "invalidContact",
    /// The profile is not known or not allowed (profiles draft).
    InvalidProfile = "invalidProfile",
    /// The request was malformed.
    Malformed = "malformed",
    /// The order is not ready to be finalized.
    OrderNotReady = "orderNotReady",
    /// The request is over a rate limit.
    RateLimited = "rateLimited",
    /// The server will not issue for the identifier.
    RejectedIdentifier = "rejectedIdentifier",
    /// The server had an internal error.
    ServerInternal = "serverInternal",
    /// A TLS error during validation.
    Tls = "tls",
    /// The client is not authorized, or validation found the wrong answer.
    Unauthorized = "unauthorized",
    /// A contact URL has an unsupported scheme.
    UnsupportedContact = "unsupportedContact",
    /// An identifier has an unsupported type.
    UnsupportedIdentifier = "unsupportedIdentifier",
    /// Somebody has to visit the problem's `instance` URL: the terms of service changed, for instance.
    UserActionRequired = "userActionRequired",
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Other(text) => serializer.serialize_str(text),
            known => serializer.collect_str(&format_args!("{ACME_PREFIX}{known}")),
        }
    }
}

impl<'de> Deserialize<'de> for ProblemKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

impl Default for ProblemKind {
    /// A problem without `type` is `about:blank` (RFC 7807 §4.2).
    fn default() -> Self {
        Self::Other("about:blank".into())
    }
}

/// What a CA says went wrong.
///
/// Texts are the server's: they are kept without control characters and at most 1024 characters long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// What happened, for people.
    #[serde(deserialize_with = "clean_text", skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The title of the type.
    #[serde(deserialize_with = "clean_text", skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The HTTP status that the document itself names.
    #[serde(deserialize_with = "lenient_status", skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where somebody can act, with [`ProblemKind::UserActionRequired`].
    #[serde(deserialize_with = "clean_text", skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Problems of single identifiers (RFC 8555 §6.7.1), at most 100.
    #[serde(deserialize_with = "capped_subproblems", skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
}

/// The problem of one identifier within a [`Problem`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Subproblem {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// What happened, for people.
    #[serde(deserialize_with = "clean_text", skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The identifier that it is about, if it can be read.
    #[serde(deserialize_with = "lenient_identifier", skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
}

impl Problem {
    /// The URL at which somebody may lift a pause that Let's Encrypt put on names which failed too often. Such a
    /// problem is `rateLimited` too, but no waiting ends it.
    pub fn unpause_url(&self) -> Option<&str> {
        self.detail
            .as_deref()?
            .split_ascii_whitespace()
            .map(|word| word.trim_end_matches(['.', ',', ')']))
            .find(|word| word.starts_with("https://") && word.contains("unpause"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(text) = self.detail.as_ref().or(self.title.as_ref()) {
            write!(f, ": {text}")?;
        }
        for subproblem in &self.subproblems {
            write!(f, "; {subproblem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Subproblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(identifier) = &self.identifier {
            write!(f, "{identifier}: ")?;
        }
        write!(f, "{}", self.kind)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// Without control characters, which could forge log lines or drive a terminal, and cut to [`MAX_TEXT`].
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

fn clean_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(clean))
}

fn lenient_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().and_then(|status| u16::try_from(status).ok()))
}

fn lenient_identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Identifier>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

fn capped_subproblems<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Subproblem>, D::Error> {
    let values = Option::<Vec<serde_json::Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values
        .into_iter()
        .take(MAX_SUBPROBLEMS)
        .filter_map(|value| serde_json::from_value(value).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn known_and_unknown_types() {
        assert_eq!(problem(r#"{"type":"urn:ietf:params:acme:error:caa"}"#).kind, ProblemKind::Caa);
        assert_eq!(problem(r#"{"type":"urn:x:y"}"#).kind, ProblemKind::Other("urn:x:y".into()));
        assert_eq!(problem(r#"{"detail":"no type"}"#).kind.as_str(), "about:blank");
    }

    #[test]
    fn odd_members_do_not_hide_the_problem() {
        let p = problem(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":7,"status":"400","subproblems":[3,
                {"type":"urn:ietf:params:acme:error:dns","detail":"a\nb","identifier":{"type":"dns","value":"X.test"}},
                {"type":"urn:ietf:params:acme:error:caa","identifier":null}]}"#,
        );
        assert_eq!((p.detail, p.status), (None, None));
        assert_eq!(p.subproblems.len(), 2);
        assert_eq!(p.subproblems[0].to_string(), "x.test: dns: a b");
        assert_eq!(p.subproblems[1].to_string(), "caa");
        assert_eq!(problem(r#"{"subproblems":null}"#).subproblems, []);
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        let p = problem(&format!(r#"{{"detail":"\u001b[31m{}"}}"#, "x".repeat(5000)));
        let detail = p.detail.unwrap();
        assert_eq!(detail.chars().count(), MAX_TEXT);
        assert!(!detail.contains('\u{1b}'));
    }

    #[test]
    fn finds_the_unpause_url() {
        let p = problem(
            r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Your account is temporarily prevented from
                requesting certificates for a.test. Please visit: https://portal.example/sfe/v1/unpause?jwt=abc."}"#
                .replace('\n', " ")
                .as_str(),
        );
        assert_eq!(p.unpause_url(), Some("https://portal.example/sfe/v1/unpause?jwt=abc"));
        assert_eq!(
            problem(r#"{"detail":"see https://letsencrypt.org/docs/rate-limits"}"#).unpause_url(),
            None
        );
    }

    #[test]
    fn survives_a_round_trip() {
        let p = problem(r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"d","status":429}"#);
        assert_eq!(problem(&serde_json::to_string(&p).unwrap()), p);
    }
}
