//! JSON Web Signatures in the one form that ACME has: flattened JSON with a protected header (RFC 8555 §6.2).

use crate::external_account::HmacKey;
use crate::jwk::Jwk;
use crate::key::{AccountKey, KeyError};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

/// How a request names its key: by the account's URL, or by the key itself. Never both.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyId<'a> {
    /// The URL of the account.
    Kid(&'a str),
    /// The public key: for new accounts, revocation by certificate key, and the inner object of a key change.
    Jwk,
}

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    url: &'a str,
}

#[derive(Serialize)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

/// Signs a request. An empty payload is that of POST-as-GET (RFC 8555 §6.3).
pub(crate) fn sign(
    key: &AccountKey,
    key_id: KeyId<'_>,
    nonce: Option<&str>,
    url: &str,
    payload: &[u8],
) -> Result<String, KeyError> {
    let (jwk, kid) = match key_id {
        KeyId::Kid(kid) => (None, Some(kid)),
        KeyId::Jwk => (Some(key.jwk()), None),
    };
    let protected = Protected { alg: key.algorithm().as_str(), jwk, kid, nonce, url };
    flattened(&protected, payload, |input| key.sign(input))
}

/// Signs with a shared secret: an external account binding (RFC 8555 §7.3.4).
pub(crate) fn sign_hs256(key: &HmacKey, key_id: &str, url: &str, payload: &[u8]) -> Result<String, KeyError> {
    let protected = Protected { alg: "HS256", jwk: None, kid: Some(key_id), nonce: None, url };
    flattened(&protected, payload, |input| Ok(key.sign(input)))
}

fn flattened(
    protected: &Protected<'_>,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
) -> Result<String, KeyError> {
    let protected = serde_json::to_vec(protected).map_err(|_| KeyError::Sign)?;
    let [protected, payload] = [protected.as_slice(), payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    serde_json::to_string(&Flattened { protected, payload, signature }).map_err(|_| KeyError::Sign)
}
