//! Reading a private JWK (RFC 7518 §6).

use super::KeyError;
use super::parts::{Curve, KeyParts};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use pkcs1::{RsaPrivateKey, UintRef};
use pkcs8::der::Encode;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Padding has no place in a JWK, but some software writes it.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: Option<String>,
    x: Option<Secret>,
    y: Option<Secret>,
    d: Option<Secret>,
    n: Option<Secret>,
    e: Option<Secret>,
    p: Option<Secret>,
    q: Option<Secret>,
    dp: Option<Secret>,
    dq: Option<Secret>,
    qi: Option<Secret>,
    oth: Option<serde::de::IgnoredAny>,
}

type Secret = Zeroizing<String>;

pub(super) fn parse(json: &str) -> Result<KeyParts, KeyError> {
    // The library's error is dropped on purpose: it may quote a member of the key.
    let jwk: PrivateJwk = serde_json::from_str(json)
        .map_err(|_| malformed("it is no JSON object with text members `kty`, `d` and so on"))?;
    match jwk.kty.as_str() {
        "EC" => ec(&jwk),
        "RSA" => rsa(&jwk),
        _ => Err(KeyError::Unsupported { kind: format!("`{}`", jwk.crv.unwrap_or(jwk.kty)) }),
    }
}

fn ec(jwk: &PrivateJwk) -> Result<KeyParts, KeyError> {
    let curve = match jwk.crv.as_deref() {
        Some("P-256") => Curve::P256,
        Some("P-384") => Curve::P384,
        Some(other) => return Err(KeyError::Unsupported { kind: format!("`{other}`") }),
        None => return Err(malformed("`crv` is missing")),
    };
    let x = number(jwk.x.as_ref(), "`x` is missing or not base64url")?;
    let y = number(jwk.y.as_ref(), "`y` is missing or not base64url")?;
    let d = number(jwk.d.as_ref(), "`d`, the private part, is missing or not base64url")?;
    KeyParts::ec(curve, &d, &x, &y).ok_or_else(|| malformed("a number does not fit the curve"))
}

fn rsa(jwk: &PrivateJwk) -> Result<KeyParts, KeyError> {
    if jwk.oth.is_some() {
        return Err(KeyError::Unsupported { kind: "multi-prime RSA".into() });
    }
    let n = number(jwk.n.as_ref(), "`n` is missing or not base64url")?;
    let e = number(jwk.e.as_ref(), "`e` is missing or not base64url")?;
    let d = number(jwk.d.as_ref(), "`d`, the private part, is missing or not base64url")?;
    let p = number(jwk.p.as_ref(), "`p` is missing or not base64url")?;
    let q = number(jwk.q.as_ref(), "`q` is missing or not base64url")?;
    let dp = number(jwk.dp.as_ref(), "`dp` is missing or not base64url")?;
    let dq = number(jwk.dq.as_ref(), "`dq` is missing or not base64url")?;
    let qi = number(jwk.qi.as_ref(), "`qi` is missing or not base64url")?;
    let key = RsaPrivateKey {
        modulus: uint(&n)?,
        public_exponent: uint(&e)?,
        private_exponent: uint(&d)?,
        prime1: uint(&p)?,
        prime2: uint(&q)?,
        exponent1: uint(&dp)?,
        exponent2: uint(&dq)?,
        coefficient: uint(&qi)?,
        other_prime_infos: None,
    };
    let der = key.to_der().map_err(|_| malformed("a number is too long"))?;
    Ok(KeyParts::Rsa { pkcs1: Zeroizing::new(der) })
}

fn number(text: Option<&Secret>, problem: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let decoded = text.and_then(|text| BASE64URL.decode(text.as_str()).ok());
    decoded.map(Zeroizing::new).ok_or_else(|| malformed(problem))
}

fn uint(bytes: &[u8]) -> Result<UintRef<'_>, KeyError> {
    UintRef::new(bytes).map_err(|_| malformed("a number is too long"))
}

fn malformed(reason: &'static str) -> KeyError {
    KeyError::malformed("JWK", reason)
}
