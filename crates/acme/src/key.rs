//! Account keys (RFC 8555 §6.2): ECDSA on P-256 and P-384, and RSA keys from elsewhere.

use crate::jwk::{Jwk, PrivateJwk};
use pkcs8::der::pem::PemLabel as _;
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfo};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use sec1::EcPrivateKey;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The largest PEM text that is read, in bytes: an RSA-4096 key takes 3.3 KiB.
const MAX_PEM: usize = 64 * 1024;

/// How an account's requests are signed: the `alg` of its JWS (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: the default.
    #[default]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256: for keys from elsewhere, of 2048, 3072 or 4096 bits.
    Rs256,
}

impl KeyAlgorithm {
    /// The name in a JWS header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a key can not be made, read or used. No variant holds a byte of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// ring makes no RSA keys.
    #[error("an RSA account key can only be imported, not generated: use ES256 or ES384")]
    Generate,
    /// The system gives no random numbers.
    #[error("no randomness from the operating system")]
    Randomness,
    /// There is no private key in the PEM text.
    #[error("there is no private key in the PEM text")]
    NoKey,
    /// The key is encrypted.
    #[error("the private key is encrypted: decrypt it first (`openssl pkey -in KEY -out PLAIN`)")]
    Encrypted,
    /// The encoding is broken.
    #[error("the private key is not well-formed {format}")]
    Malformed {
        /// What it was read as.
        format: &'static str,
    },
    /// A kind of key that CAs do not take.
    #[error("{kind} keys are not taken: ECDSA P-256 or P-384, or RSA of 2048, 3072 or 4096 bits")]
    Unsupported {
        /// The kind.
        kind: String,
    },
    /// The encoding has no public key, and ring does not derive it.
    #[error("the key lacks its public half: convert it (`openssl pkey -in KEY -out CONVERTED`)")]
    NoPublicKey,
    /// The parts of the key do not belong together.
    #[error("the parts of the key do not fit each other")]
    Inconsistent,
    /// ring refused to sign.
    #[error("the key can not sign")]
    Sign,
}

/// A private key that signs requests: of an account, or of a certificate that is to be revoked by it.
///
/// `Debug` shows the algorithm and the thumbprint alone; the encoded key is wiped from memory at the end. Cloning is cheap.
#[derive(Clone)]
pub struct AccountKey(Arc<Inner>);

struct Inner {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    jwk: Jwk,
}

enum Pair {
    Ecdsa(KeyAlgorithm, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl AccountKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyAlgorithm::Rs256`], which ring does not make; no randomness.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let signing = signing_algorithm(algorithm).ok_or(KeyError::Generate)?;
        let document = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).map_err(|_| KeyError::Randomness)?;
        Self::from_pkcs8_der(document.as_ref())
    }

    /// Reads a PKCS#8 key (RFC 5208, RFC 5958) in DER.
    ///
    /// # Errors
    /// Kinds other than those of [`KeyAlgorithm`], broken encodings.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfo::from_der(der).map_err(|_| KeyError::Malformed { format: "PKCS#8" })?;
        match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters_oid().map_err(|_| KeyError::Malformed { format: "PKCS#8" })?;
                let key = EcPrivateKey::from_der(info.private_key).map_err(|_| KeyError::Malformed { format: "PKCS#8" })?;
                let public = key.public_key.or(info.public_key).ok_or(KeyError::NoPublicKey)?;
                Self::from_ec_parts(curve, key.private_key, public)
            }
            RSA => Self::from_rsa(info.private_key),
            other => Err(KeyError::Unsupported { kind: name_of(other) }),
        }
    }

    /// Reads a key from PEM: PKCS#8 (`PRIVATE KEY`), SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`); blocks of
    /// other kinds are passed over.
    ///
    /// # Errors
    /// No key, an encrypted one, kinds other than those of [`KeyAlgorithm`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_PEM {
            return Err(KeyError::Malformed { format: "PEM" });
        }
        let blocks = pem::parse_many(text).map_err(|_| KeyError::Malformed { format: "PEM" })?;
        for block in blocks {
            let encrypted = block.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"));
            let (tag, der) = (block.tag().to_owned(), Zeroizing::new(block.into_contents()));
            return match tag.as_str() {
                _ if encrypted => Err(KeyError::Encrypted),
                "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
                PrivateKeyInfo::<'_>::PEM_LABEL => Self::from_pkcs8_der(&der),
                EcPrivateKey::<'_>::PEM_LABEL => Self::from_sec1_der(&der),
                "RSA PRIVATE KEY" => Self::from_rsa(&der),
                _ => continue,
            };
        }
        Err(KeyError::NoKey)
    }

    /// Reads a SEC1 key (RFC 5915) in DER, which must name its curve and hold the public key.
    ///
    /// # Errors
    /// As of [`Self::from_pkcs8_der`].
    pub fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Malformed { format: "SEC1" })?;
        let curve = key.parameters.and_then(|parameters| parameters.named_curve());
        let curve = curve.ok_or(KeyError::Malformed { format: "SEC1" })?;
        Self::from_ec_parts(curve, key.private_key, key.public_key.ok_or(KeyError::NoPublicKey)?)
    }

    /// Reads a PKCS#1 key (RFC 8017 §A.1.2) in DER.
    ///
    /// # Errors
    /// Other sizes than 2048, 3072 and 4096 bits, broken encodings.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_rsa(der)
    }

    /// Reads a private key as JSON Web Key (RFC 7517), as certbot keeps it.
    ///
    /// # Errors
    /// As of [`Self::from_pkcs8_der`].
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        match PrivateJwk::parse(json)? {
            PrivateJwk::Ec { curve, private, public } => Self::from_ec_parts(curve, &private, &public),
            PrivateJwk::Rsa { pkcs1 } => Self::from_rsa(&pkcs1),
        }
    }

    fn from_ec_parts(curve: ObjectIdentifier, private: &[u8], public: &[u8]) -> Result<Self, KeyError> {
        let (algorithm, width) = match curve {
            P256 => (KeyAlgorithm::Es256, 32),
            P384 => (KeyAlgorithm::Es384, 48),
            other => return Err(KeyError::Unsupported { kind: name_of(other) }),
        };
        // Some writers drop leading zeros of the scalar, which SEC1 has at full width.
        let private = padded(private, width).ok_or(KeyError::Malformed { format: "SEC1" })?;
        let signing = signing_algorithm(algorithm).ok_or(KeyError::Generate)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &private, public, &SystemRandom::new())
            .map_err(|_| KeyError::Inconsistent)?;
        let jwk = Jwk::ec(algorithm, pair.public_key().as_ref()).ok_or(KeyError::Inconsistent)?;
        let pkcs8 = ec_pkcs8(curve, &private, public).map_err(|_| KeyError::Malformed { format: "SEC1" })?;
        Ok(Self(Arc::new(Inner { pair: Pair::Ecdsa(algorithm, pair), pkcs8, jwk })))
    }

    fn from_rsa(pkcs1_der: &[u8]) -> Result<Self, KeyError> {
        let key = pkcs1::RsaPrivateKey::from_der(pkcs1_der).map_err(|_| KeyError::Malformed { format: "PKCS#1" })?;
        let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
        match n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize) {
            2048 | 3072 | 4096 => {}
            bits => return Err(KeyError::Unsupported { kind: format!("RSA-{bits}") }),
        }
        let pair = RsaKeyPair::from_der(pkcs1_der).map_err(|_| KeyError::Inconsistent)?;
        let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(pkcs8::der::asn1::Null.into()) };
        let pkcs8 = PrivateKeyInfo::new(algorithm, pkcs1_der).to_der();
        let pkcs8 = Zeroizing::new(pkcs8.map_err(|_| KeyError::Malformed { format: "PKCS#1" })?);
        Ok(Self(Arc::new(Inner { pair: Pair::Rsa(pair), pkcs8, jwk: Jwk::rsa(n, e) })))
    }

    /// The key as PKCS#8 in PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let block = Zeroizing::new(self.0.pkcs8.to_vec());
        Zeroizing::new(pem::encode_config(&pem::Pem::new(PrivateKeyInfo::PEM_LABEL, block.to_vec()), config))
    }

    /// How the key signs.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0.pair {
            Pair::Ecdsa(algorithm, _) => *algorithm,
            Pair::Rsa(_) => KeyAlgorithm::Rs256,
        }
    }

    /// The public key.
    pub fn jwk(&self) -> &Jwk {
        &self.0.jwk
    }

    /// The thumbprint of the public key (RFC 7638), base64url.
    pub fn thumbprint(&self) -> String {
        self.0.jwk.thumbprint()
    }

    /// What answers a challenge with this token (RFC 8555 §8.1).
    pub fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }

    /// Signs; the signature is of fixed width (RFC 7518 §3.3, §3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.0.pair {
            Pair::Ecdsa(_, pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyError::Sign)
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Sign)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey")
            .field("algorithm", &self.algorithm())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

fn signing_algorithm(algorithm: KeyAlgorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        KeyAlgorithm::Es256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        KeyAlgorithm::Es384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        KeyAlgorithm::Rs256 => None,
    }
}

/// `bytes` at exactly this width, with zeros before.
fn padded(bytes: &[u8], width: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut padded = Zeroizing::new(vec![0; width]);
    padded.get_mut(width.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(padded)
}

/// PKCS#8 with the public key inside, which ring needs to read it again.
fn ec_pkcs8(curve: ObjectIdentifier, private: &[u8], public: &[u8]) -> pkcs8::der::Result<Zeroizing<Vec<u8>>> {
    let key = EcPrivateKey { private_key: private, parameters: None, public_key: Some(public) };
    let key = Zeroizing::new(key.to_der()?);
    let algorithm = AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some((&curve).into()) };
    PrivateKeyInfo::new(algorithm, &key).to_der().map(Zeroizing::new)
}

fn name_of(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.3.101.112" => "Ed25519".into(),
        "1.3.101.113" => "Ed448".into(),
        "1.3.132.0.35" => "ECDSA P-521".into(),
        "1.3.132.0.10" => "ECDSA secp256k1".into(),
        "1.2.840.113549.1.1.10" => "RSA-PSS".into(),
        other => other.into(),
    }
}
