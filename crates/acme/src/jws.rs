//! Signed objects: flattened JWS JSON (RFC 7515 §7.2.2) with the header that ACME prescribes (RFC 8555 §6.2).

use crate::jwk::Jwk;
use crate::key::{AccountKey, KeyError, base64url};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
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
    let (kid, jwk) = match key_id {
        KeyId::Kid(kid) => (Some(kid), None),
        KeyId::Jwk => (None, Some(key.jwk())),
    };
    let header = Header { alg: key.algorithm().as_str(), kid, jwk, nonce, url };
    let signed = Signed::new(&header, payload, |input| key.sign(input))?;
    // Texts under names that are texts do not fail.
    Ok(serde_json::to_string(&signed.object()).unwrap_or_default())
}

/// The object that a shared key signs, for an external account binding (RFC 8555 §7.3.4): HS256, `kid`, no nonce.
pub(crate) fn sign_hs256(key: &hmac::Key, kid: &str, url: &str, payload: &[u8]) -> Result<Value, KeyError> {
    let header = Header { alg: "HS256", kid: Some(kid), jwk: None, nonce: None, url };
    let signed = Signed::new(&header, payload, |input| Ok(hmac::sign(key, input).as_ref().to_vec()))?;
    Ok(json!(signed.object()))
}

/// The protected header. Each request is signed anew, and this is most of what that costs beside the signature: so it is
/// no map.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    url: &'a str,
}

/// The members of a signed object.
#[derive(Serialize)]
struct Object<'a> {
    protected: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What is signed, and the signature.
struct Signed {
    /// Header and payload in base64url, with a dot between.
    input: String,
    signature: String,
}

impl Signed {
    fn new(
        header: &Header<'_>,
        payload: &[u8],
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, KeyError>,
    ) -> Result<Self, KeyError> {
        let mut input = base64url(serde_json::to_vec(header).unwrap_or_default());
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut input);
        let signature = base64url(sign(input.as_bytes())?);
        Ok(Self { input, signature })
    }

    fn object(&self) -> Object<'_> {
        // Base64url has no dots.
        let (protected, payload) = self.input.split_once('.').unwrap_or_default();
        Object { protected, payload, signature: &self.signature }
    }
}
