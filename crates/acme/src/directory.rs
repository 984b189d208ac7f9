//! The directory: where a CA's resources are (RFC 8555 §7.1.1).

use crate::reply::Reply;
use crate::request::RequestError;
use crate::retry::Retry;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use url::Url;

/// The most profiles that are kept of a directory.
const MAX_PROFILES: usize = 64;

/// The resources of a CA, as absolute URLs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Directory {
    /// Where new nonces come from.
    pub new_nonce: Url,
    /// Where accounts are made and found.
    pub new_account: Url,
    /// Where orders are made.
    pub new_order: Url,
    /// Where certificates are revoked.
    pub revoke_cert: Option<Url>,
    /// Where an account's key is changed.
    pub key_change: Option<Url>,
    /// Where renewal information is (RFC 9773 §4.1).
    pub renewal_info: Option<Url>,
    /// What the CA says of itself.
    pub meta: Meta,
}

/// What a CA says of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Meta {
    /// The present terms of service.
    #[serde(deserialize_with = "lenient")]
    pub terms_of_service: Option<String>,
    /// A web site about the CA.
    #[serde(deserialize_with = "lenient")]
    pub website: Option<String>,
    /// The domains that the CA knows as its own in CAA records.
    #[serde(deserialize_with = "lenient")]
    pub caa_identities: Vec<String>,
    /// Whether a new account needs an external account binding.
    #[serde(deserialize_with = "lenient")]
    pub external_account_required: bool,
    /// The profiles by name, each with a text for people (profiles draft); at most 64.
    #[serde(deserialize_with = "lenient")]
    pub profiles: BTreeMap<String, String>,
}

/// Metadata is information: a member of the wrong type, or null, counts as absent.
fn lenient<'de, D: Deserializer<'de>, T: for<'a> Deserialize<'a> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Why a URL gave no [`Directory`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The URL is neither `https` nor an `http` one of this machine.
    #[error("`{url}` is not a URL for a directory: ACME needs https (http only to this machine)")]
    Insecure {
        /// The URL.
        url: Url,
    },
    /// No transport was given, and the crate was built without one.
    #[error("the client was built without a transport")]
    NoTransport,
    /// The default transport can not be made.
    #[error("the HTTP client can not be made")]
    Transport {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directory can not be fetched.
    #[error("the directory can not be fetched")]
    Fetch {
        /// Why.
        #[source]
        source: RequestError,
    },
    /// What came is no directory.
    #[error("`{url}` is not an ACME directory: it has no usable `{field}`")]
    NotADirectory {
        /// The URL.
        url: Url,
        /// The member that is missing or no URL.
        field: &'static str,
    },
}

impl DirectoryError {
    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Fetch { source } => source.retry(),
            _ => Retry::No,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    new_nonce: Option<String>,
    new_account: Option<String>,
    new_order: Option<String>,
    revoke_cert: Option<String>,
    key_change: Option<String>,
    renewal_info: Option<String>,
    meta: Option<Meta>,
}

impl Directory {
    pub(crate) fn from_reply(reply: &Reply) -> Result<Self, DirectoryError> {
        let wire: Wire = reply.json().map_err(|source| DirectoryError::Fetch { source })?;
        let url = |text: Option<String>| text.and_then(|text| reply.url.join(&text).ok());
        let needed =
            |text, field| url(text).ok_or(DirectoryError::NotADirectory { url: reply.url.clone(), field });
        let mut meta = wire.meta.unwrap_or_default();
        while meta.profiles.len() > MAX_PROFILES {
            meta.profiles.pop_last();
        }
        Ok(Self {
            new_nonce: needed(wire.new_nonce, "newNonce")?,
            new_account: needed(wire.new_account, "newAccount")?,
            new_order: needed(wire.new_order, "newOrder")?,
            revoke_cert: url(wire.revoke_cert),
            key_change: url(wire.key_change),
            renewal_info: url(wire.renewal_info),
            meta,
        })
    }
}
