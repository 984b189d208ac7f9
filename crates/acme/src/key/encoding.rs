//! Reading PEM, PKCS#8, PKCS#1 and SEC1.

use super::KeyError;
use super::parts::{Curve, EC_PUBLIC_KEY, KeyParts, RSA_ENCRYPTION};
use pem::Pem;
use pkcs8::der::asn1::ObjectIdentifier;
use pkcs8::der::{Decode, ErrorKind, Tag};
use pkcs8::{AlgorithmIdentifierRef, PrivateKeyInfo};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

/// The one private key of a PEM text.
pub(super) fn pem(text: &str) -> Result<KeyParts, KeyError> {
    // The library's error is dropped on purpose: it may quote a line of the key.
    let blocks =
        pem::parse_many(text).map_err(|_| KeyError::malformed("PEM", "a block is broken or not base64"))?;
    if blocks.is_empty() && text.contains("-----BEGIN") {
        return Err(KeyError::malformed("PEM", "a block has no end"));
    }
    let mut keys: Vec<Pem> =
        blocks.into_iter().filter(|block| block.tag().ends_with("PRIVATE KEY")).collect();
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => pem_block(key),
        (_, None) => Err(KeyError::NoPrivateKey),
        (count, Some(_)) => Err(KeyError::SeveralPrivateKeys { count }),
    }
}

fn pem_block(block: Pem) -> Result<KeyParts, KeyError> {
    // `Proc-Type: 4,ENCRYPTED` (RFC 1421 §4.6.1.1) is how OpenSSL marks encrypted SEC1 and PKCS#1.
    let encrypted = block.headers().get("Proc-Type").is_some_and(|value| value.contains("ENCRYPTED"));
    let tag = block.tag().to_owned();
    let der = Zeroizing::new(block.into_contents());
    match tag.as_str() {
        _ if encrypted => Err(KeyError::Encrypted),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        "PRIVATE KEY" => pkcs8(&der),
        "EC PRIVATE KEY" => sec1(&der, None),
        "RSA PRIVATE KEY" => pkcs1(&der),
        other => Err(KeyError::Unsupported { kind: other.trim_end_matches(" PRIVATE KEY").to_owned() }),
    }
}

/// PKCS#8, version 1 or 2 (RFC 5958 §2).
pub(super) fn pkcs8(der: &[u8]) -> Result<KeyParts, KeyError> {
    let info = PrivateKeyInfo::from_der(der)
        .map_err(|_| KeyError::malformed("PKCS#8", "its structure is not PrivateKeyInfo"))?;
    match info.algorithm.oid {
        EC_PUBLIC_KEY => {
            let curve = Curve::from_oid(&named_curve(&info.algorithm)?)?;
            match info.public_key {
                // Version 2 may keep the public part outside of the SEC1 structure.
                Some(point) => {
                    KeyParts::ec_with_point(curve, ec_private_key(info.private_key)?.private_key, point)
                }
                None => sec1(info.private_key, Some(curve)),
            }
        }
        RSA_ENCRYPTION => pkcs1(info.private_key),
        other => Err(KeyError::Unsupported { kind: algorithm_name(&other) }),
    }
}

/// PKCS#1: only looked at when it is loaded.
pub(super) fn pkcs1(der: &[u8]) -> Result<KeyParts, KeyError> {
    Ok(KeyParts::Rsa { pkcs1: Zeroizing::new(der.to_vec()) })
}

/// SEC1, with the curve from around it or in it.
pub(super) fn sec1(der: &[u8], outer: Option<Curve>) -> Result<KeyParts, KeyError> {
    let key = ec_private_key(der)?;
    let inner = key.parameters.and_then(EcParameters::named_curve);
    let inner = inner.map(|oid| Curve::from_oid(&oid)).transpose()?;
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => {
            return Err(KeyError::malformed("PKCS#8", "it names two curves"));
        }
        (outer, inner) => outer.or(inner).ok_or_else(|| KeyError::malformed("SEC1", "it names no curve"))?,
    };
    KeyParts::ec_with_point(curve, key.private_key, key.public_key.ok_or(KeyError::NoPublicPart)?)
}

fn ec_private_key(der: &[u8]) -> Result<EcPrivateKey<'_>, KeyError> {
    EcPrivateKey::from_der(der).map_err(|error| match error.kind() {
        // Where the name of the curve is expected there is its description.
        ErrorKind::TagUnexpected { expected: Some(Tag::ObjectIdentifier), .. } => explicit_curve(),
        _ => KeyError::malformed("SEC1", "its structure is not ECPrivateKey"),
    })
}

fn named_curve(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<ObjectIdentifier, KeyError> {
    algorithm.parameters_oid().map_err(|_| explicit_curve())
}

fn explicit_curve() -> KeyError {
    KeyError::Unsupported { kind: "EC (curve not given by name)".into() }
}

fn algorithm_name(oid: &ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.3.101.112" => "Ed25519".into(),
        "1.3.101.113" => "Ed448".into(),
        "1.2.840.113549.1.1.10" => "RSA-PSS".into(),
        "1.2.840.10040.4.1" => "DSA".into(),
        other => format!("algorithm {other}"),
    }
}
