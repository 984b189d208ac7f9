//! The numbers of a private key, whatever form they came in.

use super::{KeyAlgorithm, KeyError, Signer};
use crate::jwk::Jwk;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Encode};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

/// `id-ecPublicKey` (RFC 5480 §2.1.1).
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// `rsaEncryption` (RFC 8017 appendix A.1).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The sizes of RSA moduli in bits that Let's Encrypt takes.
const RSA_BITS: [usize; 3] = [2048, 3072, 4096];

/// The first octet of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The curves (RFC 7518 §6.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// The name in a JWK.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// The size of a coordinate and of the private number in bytes.
    pub(super) fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    pub(super) fn algorithm(self) -> KeyAlgorithm {
        match self {
            Self::P256 => KeyAlgorithm::Es256,
            Self::P384 => KeyAlgorithm::Es384,
        }
    }

    pub(super) fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    /// The object identifier (RFC 5480 §2.1.1.1).
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
            Self::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        }
    }

    pub(super) fn from_oid(oid: &ObjectIdentifier) -> Result<Self, KeyError> {
        [Self::P256, Self::P384].into_iter().find(|curve| curve.oid() == *oid).ok_or_else(|| {
            let kind = match oid.to_string().as_str() {
                "1.3.132.0.35" => "P-521".into(),
                "1.3.132.0.10" => "secp256k1".into(),
                other => format!("EC ({other})"),
            };
            KeyError::Unsupported { kind }
        })
    }
}

pub(super) enum KeyParts {
    /// The private number and the two coordinates, each of the field's width.
    Ec { curve: Curve, private: Zeroizing<Vec<u8>>, x: Vec<u8>, y: Vec<u8> },
    /// `RSAPrivateKey` of PKCS#1.
    Rsa { pkcs1: Zeroizing<Vec<u8>> },
}

impl KeyParts {
    /// An EC key of numbers with too many or too few leading zeros, as some software writes them.
    ///
    /// `None` where a number does not fit the curve.
    pub(super) fn ec(curve: Curve, private: &[u8], x: &[u8], y: &[u8]) -> Option<Self> {
        let width = curve.field_bytes();
        let private = fixed_width(private, width)?;
        Some(Self::Ec {
            curve,
            private,
            x: fixed_width(x, width)?.to_vec(),
            y: fixed_width(y, width)?.to_vec(),
        })
    }

    /// An EC key with a point in the form of SEC 1 §2.3.3.
    pub(super) fn ec_with_point(curve: Curve, private: &[u8], point: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::malformed("SEC1", "a number does not fit the curve");
        match point.split_first() {
            Some((&UNCOMPRESSED, coordinates)) if coordinates.len() == 2 * curve.field_bytes() => {
                let (x, y) = coordinates.split_at(curve.field_bytes());
                Self::ec(curve, private, x, y).ok_or(malformed)
            }
            Some((2 | 3, _)) | None => Err(KeyError::NoPublicPart),
            Some(_) => Err(malformed),
        }
    }

    pub(super) fn load(&self) -> Result<(Signer, Jwk), KeyError> {
        match self {
            Self::Ec { curve, private, x, y } => {
                let point = uncompressed(x, y);
                let random = SystemRandom::new();
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), private, &point, &random);
                Ok((Signer::Ecdsa(*curve, pair.map_err(inconsistent)?), Jwk::ec(*curve, x, y)))
            }
            Self::Rsa { pkcs1 } => {
                check_rsa_size(pkcs1)?;
                let pair = RsaKeyPair::from_der(pkcs1).map_err(inconsistent)?;
                let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
                Ok((Signer::Rsa(pair), Jwk::rsa(&public.n, &public.e)))
            }
        }
    }

    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let too_long = |_| KeyError::malformed("PKCS#8", "it is too long");
        let der = match self {
            Self::Ec { curve, private, x, y } => {
                let point = uncompressed(x, y);
                let key = EcPrivateKey { private_key: private, parameters: None, public_key: Some(&point) };
                let key = Zeroizing::new(key.to_der().map_err(too_long)?);
                let oid = curve.oid();
                let algorithm =
                    AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some(AnyRef::from(&oid)) };
                PrivateKeyInfo::new(algorithm, &key).to_der()
            }
            Self::Rsa { pkcs1 } => {
                let algorithm =
                    AlgorithmIdentifierRef { oid: RSA_ENCRYPTION, parameters: Some(AnyRef::NULL) };
                PrivateKeyInfo::new(algorithm, pkcs1).to_der()
            }
        };
        Ok(Zeroizing::new(der.map_err(too_long)?))
    }
}

fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[UNCOMPRESSED], x, y].concat()
}

fn inconsistent(rejected: KeyRejected) -> KeyError {
    KeyError::Inconsistent { reason: rejected.to_string() }
}

/// ring takes any size from 2047 to 4096 bits.
fn check_rsa_size(der: &[u8]) -> Result<(), KeyError> {
    let key = pkcs1::RsaPrivateKey::from_der(der)
        .map_err(|_| KeyError::malformed("PKCS#1", "its structure is not RSAPrivateKey"))?;
    if key.other_prime_infos.is_some() {
        return Err(KeyError::Unsupported { kind: "multi-prime RSA".into() });
    }
    let modulus = key.modulus.as_bytes();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = 8 * modulus.len() - leading_zeros;
    if RSA_BITS.contains(&bits) { Ok(()) } else { Err(KeyError::Unsupported { kind: format!("RSA-{bits}") }) }
}

/// A big-endian number with exactly this many bytes.
fn fixed_width(number: &[u8], width: usize) -> Option<Zeroizing<Vec<u8>>> {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    let digits = number.get(start..)?;
    let mut padded = Zeroizing::new(vec![0; width.checked_sub(digits.len())?]);
    padded.reserve_exact(digits.len());
    padded.extend_from_slice(digits);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_the_width_of_the_field() {
        assert_eq!(fixed_width(&[1, 2], 4).unwrap().as_slice(), [0, 0, 1, 2]);
        assert_eq!(fixed_width(&[0, 0, 1, 2, 3, 4], 4).unwrap().as_slice(), [1, 2, 3, 4]);
        assert_eq!(fixed_width(&[], 2).unwrap().as_slice(), [0, 0]);
        assert!(fixed_width(&[1, 2, 3], 2).is_none());
    }
}
