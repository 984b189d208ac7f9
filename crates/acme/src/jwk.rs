//! JSON Web Keys (RFC 7517, RFC 7518 §6), and their thumbprints (RFC 7638).

use crate::key::{KeyAlgorithm, KeyError};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::Encode as _;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// A public key. Serialised, it has the required members only, in the order that the thumbprint needs (RFC 7638 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Jwk {
    /// An elliptic curve key.
    #[non_exhaustive]
    Ec {
        /// The curve, `P-256` or `P-384`.
        crv: &'static str,
        /// The key type, `EC`.
        kty: &'static str,
        /// The x coordinate at full width, base64url.
        x: String,
        /// The y coordinate at full width, base64url.
        y: String,
    },
    /// An RSA key.
    #[non_exhaustive]
    Rsa {
        /// The public exponent, base64url.
        e: String,
        /// The key type, `RSA`.
        kty: &'static str,
        /// The modulus, base64url.
        n: String,
    },
}

impl Jwk {
    /// Of an uncompressed point (SEC1 §2.3.3).
    pub(crate) fn ec(algorithm: KeyAlgorithm, point: &[u8]) -> Option<Self> {
        let (crv, width) = match algorithm {
            KeyAlgorithm::Es256 => ("P-256", 32),
            KeyAlgorithm::Es384 => ("P-384", 48),
            KeyAlgorithm::Rs256 => return None,
        };
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(width)?;
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        Some(Self::Ec { crv, kty: "EC", x, y })
    }

    /// Of a modulus and an exponent, big-endian without leading zeros.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Self {
        let [n, e] = [n, e].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        Self::Rsa { e, kty: "RSA", n }
    }

    /// The SHA-256 thumbprint (RFC 7638), base64url.
    pub fn thumbprint(&self) -> String {
        // Base64url and the fixed members need no escapes, so this is the JSON that serde writes.
        let json = match self {
            Self::Ec { crv, kty, x, y } => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { e, kty, n } => format!(r#"{{"e":"{e}","kty":"{kty}","n":"{n}"}}"#),
        };
        BASE64_URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, json.as_bytes()))
    }
}

/// A private key read from a JWK, in the parts that [`AccountKey`](crate::AccountKey) takes.
pub(crate) enum PrivateJwk {
    Ec { curve: ObjectIdentifier, private: Zeroizing<Vec<u8>>, public: Vec<u8> },
    Rsa { pkcs1: Zeroizing<Vec<u8>> },
}

#[derive(Deserialize, Zeroize)]
#[zeroize(drop)]
struct Members {
    kty: String,
    #[serde(default)]
    crv: String,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

const MALFORMED: KeyError = KeyError::Malformed { format: "JWK" };

impl PrivateJwk {
    pub(crate) fn parse(json: &str) -> Result<Self, KeyError> {
        let members: Members = serde_json::from_str(json).map_err(|_| MALFORMED)?;
        match (members.kty.as_str(), members.crv.as_str()) {
            ("EC", "P-256") => members.ec("1.2.840.10045.3.1.7", 32),
            ("EC", "P-384") => members.ec("1.3.132.0.34", 48),
            ("RSA", _) => members.rsa(),
            (kty, crv) if kty.len() + crv.len() < 32 => {
                Err(KeyError::Unsupported { kind: format!("{kty} {crv}").trim().to_owned() })
            }
            _ => Err(MALFORMED),
        }
    }
}

impl Members {
    fn ec(&self, curve: &str, width: usize) -> Result<PrivateJwk, KeyError> {
        let mut public = vec![4];
        for coordinate in [&self.x, &self.y] {
            let bytes = decode(coordinate)?;
            // A coordinate may have lost its leading zeros.
            let zeros = width.checked_sub(bytes.len()).ok_or(MALFORMED)?;
            public.extend(std::iter::repeat_n(0, zeros));
            public.extend_from_slice(&bytes);
        }
        let curve = ObjectIdentifier::new(curve).map_err(|_| MALFORMED)?;
        Ok(PrivateJwk::Ec { curve, private: decode(&self.d)?, public })
    }

    fn rsa(&self) -> Result<PrivateJwk, KeyError> {
        let members = [&self.n, &self.e, &self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi];
        let numbers: Vec<Zeroizing<Vec<u8>>> = members.into_iter().map(decode).collect::<Result<_, _>>()?;
        let mut numbers = numbers.iter().map(|bytes| UintRef::new(bytes).map_err(|_| MALFORMED));
        let mut next = || numbers.next().unwrap_or(Err(MALFORMED));
        let key = pkcs1::RsaPrivateKey {
            modulus: next()?,
            public_exponent: next()?,
            private_exponent: next()?,
            prime1: next()?,
            prime2: next()?,
            exponent1: next()?,
            exponent2: next()?,
            coefficient: next()?,
            other_prime_infos: None,
        };
        Ok(PrivateJwk::Rsa { pkcs1: Zeroizing::new(key.to_der().map_err(|_| MALFORMED)?) })
    }
}

fn decode(member: &Option<String>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = member.as_deref().ok_or(MALFORMED)?;
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map(Zeroizing::new).map_err(|_| MALFORMED)
}
