//! Private keys of accounts, and of certificates where they sign a revocation (RFC 8555 §6.2, RFC 7518 §3).

mod encoding;
mod parts;
mod private_jwk;

use crate::jwk::Jwk;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{EcdsaKeyPair, RSA_PKCS1_SHA256};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(crate) use parts::Curve;
use parts::KeyParts;

/// The kinds of key that an account can have, named by the signature that they make (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: small and fast, the one to take.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSA (2048, 3072 or 4096 bits) with PKCS #1 v1.5 padding and SHA-256. Such keys can only be imported.
    Rs256,
}

impl KeyAlgorithm {
    /// The `alg` of a signature (RFC 7518 §3.1).
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

/// Why a key can not be used. No variant holds a byte of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key of an algorithm that can only be imported was to be generated.
    #[error("{algorithm} keys can not be generated, only imported")]
    NotGenerated {
        /// The algorithm.
        algorithm: KeyAlgorithm,
    },
    /// The operating system gave no random bytes.
    #[error("a key can not be generated: the operating system gives no random bytes")]
    Random,
    /// The key is protected by a passphrase.
    #[error("the key is encrypted: decrypt it with `openssl pkey -in OLD -out NEW`")]
    Encrypted,
    /// The PEM text has no private key.
    #[error("the text holds no PEM block with a private key")]
    NoPrivateKey,
    /// The PEM text has more than one private key.
    #[error("the text holds {count} private keys where one is expected")]
    SeveralPrivateKeys {
        /// How many.
        count: usize,
    },
    /// The text or structure of the key is broken.
    #[error("the key is no well-formed {format}: {reason}")]
    Malformed {
        /// `PEM`, `PKCS#8`, `PKCS#1`, `SEC1` or `JWK`.
        format: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A kind of key that Let's Encrypt does not take for accounts and certificates.
    #[error(
        "{kind} keys are not supported: Let's Encrypt takes P-256, P-384 and RSA with 2048, 3072 or 4096 bits"
    )]
    Unsupported {
        /// The kind of key.
        kind: String,
    },
    /// The key is an EC private key without its public part, which is needed and not computed here.
    #[error(
        "the EC key lacks its uncompressed public part: \
         add it with `openssl ec -conv_form uncompressed -in OLD -out NEW`"
    )]
    NoPublicPart,
    /// The numbers of the key do not belong together.
    #[error("the numbers of the key do not belong together ({reason})")]
    Inconsistent {
        /// The rule that they break.
        reason: String,
    },
    /// The signature can not be made.
    #[error("the key can not sign")]
    Sign,
}

impl KeyError {
    fn malformed(format: &'static str, reason: &'static str) -> Self {
        Self::Malformed { format, reason }
    }
}

/// A private key that signs requests to the CA. Cloning is cheap.
///
/// The encoded key is wiped from memory when the last clone is dropped; the copy inside *ring*, in its own form, is
/// freed but not wiped. `Debug` shows the algorithm and the thumbprint, never the key.
#[derive(Clone)]
pub struct AccountKey(Arc<Inner>);

struct Inner {
    signer: Signer,
    jwk: Jwk,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Signer {
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl AccountKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::NotGenerated`] for RSA, [`KeyError::Random`] without a source of randomness.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let curve = match algorithm {
            KeyAlgorithm::Es256 => Curve::P256,
            KeyAlgorithm::Es384 => Curve::P384,
            KeyAlgorithm::Rs256 => return Err(KeyError::NotGenerated { algorithm }),
        };
        let document = EcdsaKeyPair::generate_pkcs8(curve.signing(), &SystemRandom::new());
        Self::from_pkcs8_der(document.map_err(|_| KeyError::Random)?.as_ref())
    }

    /// Reads a key as unencrypted PKCS#8 DER (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// See [`AccountKey::from_pem`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(&encoding::pkcs8(der)?)
    }

    /// Reads a key as unencrypted PKCS#1 DER (RFC 8017 appendix A.1.2).
    ///
    /// # Errors
    /// See [`AccountKey::from_pem`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(&encoding::pkcs1(der)?)
    }

    /// Reads a key as unencrypted SEC1 DER that names its curve (RFC 5915 §3).
    ///
    /// # Errors
    /// See [`AccountKey::from_pem`].
    pub fn from_sec1_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_parts(&encoding::sec1(der, None)?)
    }

    /// Reads the one private key of a PEM text: `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY`
    /// (PKCS#1). Other blocks, `EC PARAMETERS` or certificates for instance, are skipped.
    ///
    /// # Errors
    /// None or several private keys, an encrypted key, a broken one, one whose numbers do not belong together; an EC
    /// key without its public part ([`KeyError::NoPublicPart`]); everything but P-256, P-384 and RSA with 2048, 3072
    /// or 4096 bits ([`KeyError::Unsupported`]).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_parts(&encoding::pem(text)?)
    }

    /// Reads a private JWK (RFC 7517, RFC 7518 §6). RSA keys need their two primes and the CRT numbers.
    ///
    /// # Errors
    /// See [`AccountKey::from_pem`].
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        Self::from_parts(&private_jwk::parse(json)?)
    }

    fn from_parts(parts: &KeyParts) -> Result<Self, KeyError> {
        let (signer, jwk) = parts.load()?;
        let key = Self(Arc::new(Inner { signer, jwk, pkcs8: parts.to_pkcs8()? }));
        if key.algorithm() == KeyAlgorithm::Rs256 {
            // ring finds numbers that do not belong together only when it signs: better now than at the first request.
            let mismatch = |_| KeyError::Inconsistent { reason: "a signature does not verify".into() };
            key.sign(b"").map_err(mismatch)?;
        }
        Ok(key)
    }

    /// The key as PKCS#8 PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let block = Pem::new("PRIVATE KEY", self.0.pkcs8.as_slice());
        let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
        // The block holds a copy of the key: `Pem` does not wipe it.
        drop(Zeroizing::new(block.into_contents()));
        Zeroizing::new(text)
    }

    /// The algorithm of the key's signatures.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.0.signer {
            Signer::Ecdsa(curve, _) => curve.algorithm(),
            Signer::Rsa(_) => KeyAlgorithm::Rs256,
        }
    }

    /// The public key.
    pub fn jwk(&self) -> &Jwk {
        &self.0.jwk
    }

    /// The SHA-256 thumbprint of the public key in base64url (RFC 7638, RFC 8555 §8.1).
    pub fn thumbprint(&self) -> String {
        self.0.jwk.thumbprint()
    }

    /// What proves that the holder of this key controls a name: the token, a dot and the thumbprint (RFC 8555 §8.1).
    pub fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint())
    }

    /// The signature as a JWS has it: r‖s of fixed width for EC keys (RFC 7518 §3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.0.signer {
            Signer::Ecdsa(_, pair) => {
                let signature = pair.sign(&random, message).map_err(|_| KeyError::Sign)?;
                Ok(signature.as_ref().to_vec())
            }
            Signer::Rsa(pair) => {
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

/// Base64url without padding, as all of JOSE has it (RFC 7515 §2).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use josekit::jws::{ES256, JwsVerifier, RS256};
    use serde_json::Value;

    /// An example of RFC 7515 appendix A: the key, the text that is signed, and the signature.
    fn example(json: &str) -> (AccountKey, String, Vec<u8>) {
        let example: Value = serde_json::from_str(json).unwrap();
        let text = |member: &str| example[member].as_str().unwrap();
        let key = AccountKey::from_jwk(&example["jwk"].to_string()).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(text("signature")).unwrap();
        (key, format!("{}.{}", text("protected"), text("payload")), signature)
    }

    fn jose(key: &AccountKey) -> josekit::jwk::Jwk {
        josekit::jwk::Jwk::from_bytes(key.jwk().to_string()).unwrap()
    }

    #[test]
    fn rs256_example_of_rfc_7515() {
        let (key, input, signature) = example(include_str!("key/rfc7515-a2.json"));
        assert_eq!(key.sign(input.as_bytes()).unwrap(), signature);
        RS256.verifier_from_jwk(&jose(&key)).unwrap().verify(input.as_bytes(), &signature).unwrap();
    }

    /// ECDSA is random: the example's signature verifies with our public key, and ours with josekit.
    #[test]
    fn es256_example_of_rfc_7515() {
        let (key, input, signature) = example(include_str!("key/rfc7515-a3.json"));
        let verifier = ES256.verifier_from_jwk(&jose(&key)).unwrap();
        verifier.verify(input.as_bytes(), &signature).unwrap();
        let ours = key.sign(input.as_bytes()).unwrap();
        assert_eq!(ours.len(), signature.len());
        verifier.verify(input.as_bytes(), &ours).unwrap();
        verifier.verify(b"another text", &ours).unwrap_err();
    }
}
