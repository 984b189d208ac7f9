//! Signed objects: flattened JWS JSON (RFC 7515 §7.2.2) with the header that ACME prescribes (RFC 8555 §6.2).

use crate::key::{AccountKey, KeyError, base64url};
use ring::hmac;
use serde_json::{Value, json};

/// Who signs. One of the two and never both, or neither (RFC 8555 §6.2).
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyId<'a> {
    /// The account with this URL, or the key with this identifier in an external account binding.
    Kid(&'a str),
    /// The holder of the key itself, whose public part is sent along: new accounts, revocation by the certificate's
    /// key, and the inner object of a key change.
    Jwk,
}

/// The signed object as JSON, the body of a request. An empty payload makes it a POST-as-GET (RFC 8555 §6.3); only the
/// inner object of a key change has no nonce (§7.3.5).
pub(crate) fn sign(
    key: &AccountKey,
    key_id: KeyId<'_>,
    nonce: Option<&str>,
    url: &str,
    payload: &[u8],
) -> Result<String, KeyError> {
    let mut header = header(key.algorithm().as_str(), url);
    match key_id {
        KeyId::Kid(kid) => header["kid"] = kid.into(),
        KeyId::Jwk => header["jwk"] = json!(key.jwk()),
    }
    if let Some(nonce) = nonce {
        header["nonce"] = nonce.into();
    }
    let object = object(&header, payload, |input| key.sign(input))?;
    Ok(object.to_string())
}

/// The object that a shared key signs, for an external account binding (RFC 8555 §7.3.4): HS256, `kid`, no nonce.
pub(crate) fn sign_hs256(key: &hmac::Key, kid: &str, url: &str, payload: &[u8]) -> Result<Value, KeyError> {
    let mut header = header("HS256", url);
    header["kid"] = kid.into();
    object(&header, payload, |input| Ok(hmac::sign(key, input).as_ref().to_vec()))
}

fn header(algorithm: &str, url: &str) -> Value {
    json!({"alg": algorithm, "url": url})
}

fn object(
    header: &Value,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
) -> Result<Value, KeyError> {
    let protected = base64url(header.to_string());
    let payload = base64url(payload);
    let signature = base64url(sign(format!("{protected}.{payload}").as_bytes())?);
    Ok(json!({"protected": protected, "payload": payload, "signature": signature}))
}
