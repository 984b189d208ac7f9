//! Private keys of certificates, and certificate requests made with them.

use gatecert_acme::Identifier;
use pkcs8::der::pem::PemLabel as _;
use pkcs8::{EncodePrivateKey as _, LineEnding, PrivateKeyInfo, SecretDocument};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest private key that is read, in bytes of PEM. One of RSA-4096 has 3.3 KB.
pub const MAX_KEY_PEM_BYTES: usize = 16 * 1024;

/// The longest common name in characters (RFC 5280, upper bound `ub-common-name`).
pub const MAX_COMMON_NAME: usize = 64;

/// The kind of a certificate's private key: those that Let's Encrypt signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyType {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// Why a text is no [`KeyType`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no key type: there are ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 and rsa-4096")]
pub struct UnknownKeyType(String);

/// Why there is no key, or no request made with one. No message holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key can not be generated.
    #[error("no {key_type} key can be generated")]
    Generate {
        /// The wanted type.
        key_type: KeyType,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The text is longer than [`MAX_KEY_PEM_BYTES`].
    #[error("the private key has {size} bytes, more than {MAX_KEY_PEM_BYTES}")]
    TooLong {
        /// Its size in bytes.
        size: usize,
    },
    /// The text is not one PEM block.
    #[error("the private key is not well-formed PEM")]
    Pem(#[source] Box<dyn Error + Send + Sync>),
    /// The PEM block is something else.
    #[error("the PEM block is `{label}`, not an unencrypted PKCS#8 `PRIVATE KEY`")]
    Label {
        /// The label of the block.
        label: String,
    },
    /// The key is of another kind.
    #[error("the private key is neither ECDSA on P-256 or P-384 nor RSA of 2048, 3072 or 4096 bits")]
    Unsupported,
    /// A request needs a name.
    #[error("a certificate request needs at least one name or address")]
    NoIdentifiers,
    /// The common name can not be that.
    #[error("`{name}` can not be the common name: {reason}")]
    CommonName {
        /// The wanted common name.
        name: Identifier,
        /// Why not.
        reason: &'static str,
    },
    /// The request can not be encoded or signed.
    #[error("the certificate request can not be made")]
    Csr(#[source] Box<dyn Error + Send + Sync>),
}

impl KeyType {
    /// All types, the default first.
    pub const ALL: [Self; 5] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name, `ecdsa-p256` for instance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// Whether it is an RSA key, which takes seconds of computing to generate.
    pub fn is_rsa(self) -> bool {
        self.rsa_bits().is_some()
    }

    fn rsa_bits(self) -> Option<usize> {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 => None,
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
        }
    }

    pub(crate) fn of_rsa_bits(bits: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|key_type| key_type.rsa_bits() == Some(bits))
    }

    fn curve(self) -> Option<&'static EcdsaSigningAlgorithm> {
        match self {
            Self::EcdsaP256 => Some(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Self::EcdsaP384 => Some(&ECDSA_P384_SHA384_ASN1_SIGNING),
            _ => None,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = UnknownKeyType;

    /// The name in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|key_type| key_type.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| UnknownKeyType(text.chars().take(MAX_COMMON_NAME).collect()))
    }
}

/// The private key of a certificate. Cloning is cheap; the memory is overwritten when the last clone goes.
#[derive(Clone)]
pub struct CertificateKey(Arc<Inner>);

struct Inner {
    key_type: KeyType,
    pkcs8: SecretDocument,
    pem: Zeroizing<String>,
    /// What the subject public key's bits are: a point, or an `RSAPublicKey`.
    public: Vec<u8>,
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateKey").field("key_type", &self.0.key_type).finish_non_exhaustive()
    }
}

impl CertificateKey {
    /// A new key from the operating system's randomness.
    ///
    /// EC keys take microseconds, RSA keys up to some seconds of computing: make those on a thread that may block.
    ///
    /// # Errors
    /// [`KeyError::Generate`] where the system gives no randomness.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let pkcs8 = match (key_type.curve(), key_type.rsa_bits()) {
            (Some(curve), _) => generate_ec(curve),
            (None, bits) => generate_rsa(bits.unwrap_or_default()),
        };
        Self::from_pkcs8(pkcs8.map_err(|source| KeyError::Generate { key_type, source })?)
    }

    /// Reads a key from PKCS#8 PEM.
    ///
    /// # Errors
    /// Anything but one unencrypted PKCS#8 block with a key of a [`KeyType`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.len() > MAX_KEY_PEM_BYTES {
            return Err(KeyError::TooLong { size: pem.len() });
        }
        let (label, pkcs8) =
            SecretDocument::from_pem(pem.trim_ascii()).map_err(|error| KeyError::Pem(error.into()))?;
        match label {
            PrivateKeyInfo::PEM_LABEL => Self::from_pkcs8(pkcs8),
            other => {
                Err(KeyError::Label { label: other.chars().filter(|c| !c.is_control()).take(64).collect() })
            }
        }
    }

    fn from_pkcs8(pkcs8: SecretDocument) -> Result<Self, KeyError> {
        let of_curve = |key_type: KeyType| {
            let pair =
                EcdsaKeyPair::from_pkcs8(key_type.curve()?, pkcs8.as_bytes(), &SystemRandom::new()).ok()?;
            Some((key_type, pair.public_key().as_ref().to_vec()))
        };
        let of_rsa = || {
            let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).ok()?;
            let key_type = KeyType::of_rsa_bits(pair.public().modulus_len() * 8)?;
            Some((key_type, pair.public_key().as_ref().to_vec()))
        };
        let read = of_curve(KeyType::EcdsaP256).or_else(|| of_curve(KeyType::EcdsaP384)).or_else(of_rsa);
        let (key_type, public) = read.ok_or(KeyError::Unsupported)?;
        let pem = pkcs8
            .to_pem(PrivateKeyInfo::PEM_LABEL, LineEnding::LF)
            .map_err(|error| KeyError::Pem(error.into()))?;
        Ok(Self(Arc::new(Inner { key_type, pkcs8, pem, public })))
    }

    /// The type.
    pub fn key_type(&self) -> KeyType {
        self.0.key_type
    }

    /// The key as PKCS#8 PEM, as Envoy, nginx and Kubernetes read it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.pem.clone()
    }

    /// The public key as a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), as it stands in the certificate.
    pub fn public_key_info_der(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// A certificate request (PKCS#10, DER) whose subject alternative names are these.
    ///
    /// The subject is empty unless a common name is given: clients have not read it for years, and CAs leave it out
    /// of certificates of less than 90 days.
    ///
    /// # Errors
    /// No identifiers; a common name that is longer than 64 characters or none of the names.
    pub fn csr_der<'a>(
        &self,
        identifiers: impl IntoIterator<Item = &'a Identifier>,
        common_name: Option<&Identifier>,
    ) -> Result<Vec<u8>, KeyError> {
        let identifiers: Vec<_> = identifiers.into_iter().collect();
        if identifiers.is_empty() {
            return Err(KeyError::NoIdentifiers);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&identifiers, common_name)?;
        params.subject_alt_names = identifiers
            .into_iter()
            .map(san)
            .collect::<Result<_, _>>()
            .map_err(|error| KeyError::Csr(error.into()))?;
        let request = params.serialize_request(&*self.0).map_err(|error| KeyError::Csr(error.into()))?;
        Ok(request.der().to_vec())
    }
}

/// Refuses a common name that no CA can put into a certificate with these names.
pub(crate) fn check_common_name(name: &Identifier, is_listed: bool) -> Result<(), KeyError> {
    let reason = match name {
        _ if !is_listed => "it is none of the certificate's names",
        Identifier::Ip(_) => "it is an address",
        name if name.value().len() > MAX_COMMON_NAME => "it is longer than 64 characters",
        _ => return Ok(()),
    };
    Err(KeyError::CommonName { name: name.clone(), reason })
}

fn subject(
    identifiers: &[&Identifier],
    common_name: Option<&Identifier>,
) -> Result<DistinguishedName, KeyError> {
    let mut subject = DistinguishedName::new();
    if let Some(name) = common_name {
        check_common_name(name, identifiers.contains(&name))?;
        subject.push(DnType::CommonName, name.value());
    }
    Ok(subject)
}

fn san(identifier: &Identifier) -> Result<SanType, rcgen::Error> {
    Ok(match identifier {
        Identifier::Dns(name) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
        Identifier::Ip(address) => SanType::IpAddress(*address),
    })
}

fn generate_ec(
    curve: &'static EcdsaSigningAlgorithm,
) -> Result<SecretDocument, Box<dyn Error + Send + Sync>> {
    let document = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new())?;
    Ok(SecretDocument::try_from(document.as_ref())?)
}

fn generate_rsa(bits: usize) -> Result<SecretDocument, Box<dyn Error + Send + Sync>> {
    let key = rsa::RsaPrivateKey::new(&mut rand::rngs::OsRng, bits)?;
    Ok(key.to_pkcs8_der()?)
}

impl PublicKeyData for Inner {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.key_type {
            KeyType::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyType::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for Inner {
    /// Reads the key for each signature: a key signs once in its life here, and ring's own key objects are not
    /// overwritten when they go.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let random = SystemRandom::new();
        let rejected = |error: ring::error::KeyRejected| rcgen::Error::RingKeyRejected(error.to_string());
        let failed = |_| rcgen::Error::RingUnspecified;
        if let Some(curve) = self.key_type.curve() {
            let pair = EcdsaKeyPair::from_pkcs8(curve, self.pkcs8.as_bytes(), &random).map_err(rejected)?;
            return Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec());
        }
        let pair = RsaKeyPair::from_pkcs8(self.pkcs8.as_bytes()).map_err(rejected)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::prelude::FromDer as _;

    fn names(names: &[&str]) -> Vec<Identifier> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn request<T>(der: &[u8], read: impl FnOnce(&X509CertificationRequest<'_>) -> T) -> T {
        let (rest, request) = X509CertificationRequest::from_der(der).unwrap();
        assert!(rest.is_empty());
        request.verify_signature().unwrap();
        read(&request)
    }

    fn round_trip(key_type: KeyType) {
        let key = CertificateKey::generate(key_type).unwrap();
        assert_eq!(key.key_type(), key_type);
        let pem = key.to_pem();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let again = CertificateKey::from_pem(&pem).unwrap();
        assert_eq!((again.key_type(), again.to_pem()), (key_type, pem));
        let der = again.csr_der(&names(&["www.example.com"]), None).unwrap();
        let info = request(&der, |request| request.certification_request_info.subject_pki.raw.to_vec());
        assert_eq!(info, key.public_key_info_der());
    }

    #[test]
    fn ec_keys_survive_a_round_trip_and_sign() {
        round_trip(KeyType::EcdsaP256);
        round_trip(KeyType::EcdsaP384);
    }

    #[test]
    fn rsa_keys_survive_a_round_trip_and_sign() {
        round_trip(KeyType::Rsa2048);
    }

    #[test]
    fn rsa_of_other_sizes() {
        assert_eq!(KeyType::of_rsa_bits(3072), Some(KeyType::Rsa3072));
        assert_eq!(KeyType::of_rsa_bits(4096), Some(KeyType::Rsa4096));
        assert_eq!(KeyType::of_rsa_bits(2560), None);
        let odd = generate_rsa(2560).unwrap();
        assert!(matches!(CertificateKey::from_pkcs8(odd), Err(KeyError::Unsupported)));
    }

    #[test]
    fn key_material_is_not_printed() {
        let key = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
        assert_eq!(format!("{key:?}"), "CertificateKey { key_type: EcdsaP256, .. }");
    }

    #[test]
    fn what_is_no_key_says_why() {
        let error = |pem: &str| CertificateKey::from_pem(pem).unwrap_err().to_string();
        let key = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
        let pem = key.to_pem();
        assert!(error("").contains("not well-formed PEM"));
        assert!(
            error(&pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")).contains("`ENCRYPTED PRIVATE KEY`")
        );
        assert!(error(&"x".repeat(MAX_KEY_PEM_BYTES + 1)).contains("more than 16384"));
        let other = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        assert!(error(other).contains("neither ECDSA"), "{}", error(other));
    }

    #[test]
    fn a_request_names_all_and_has_no_subject() {
        let key = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
        let wanted = names(&["www.example.com", "192.0.2.7", "2001:db8::7"]);
        let der = key.csr_der(&wanted, None).unwrap();
        request(&der, |request| {
            assert_eq!(request.certification_request_info.subject.iter().count(), 0);
            let extensions: Vec<_> = request.requested_extensions().unwrap().collect();
            let [ParsedExtension::SubjectAlternativeName(san)] = extensions[..] else {
                panic!("{extensions:?}")
            };
            let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
            let expected = [
                GeneralName::DNSName("www.example.com"),
                GeneralName::IPAddress(&[192, 0, 2, 7]),
                GeneralName::IPAddress(&v6),
            ];
            assert_eq!(san.general_names, expected);
        });
    }

    #[test]
    fn a_common_name_is_one_of_the_names_and_short() {
        let key = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
        let long = format!("{}.{}.test", "a".repeat(40), "b".repeat(40));
        let wanted = names(&["a.test", "192.0.2.7", &long]);
        let der = key.csr_der(&wanted, Some(&wanted[0])).unwrap();
        assert_eq!(request(&der, |r| r.certification_request_info.subject.to_string()), "CN=a.test");
        for (name, reason) in [(&long[..], "longer"), ("192.0.2.7", "address"), ("b.test", "none of")] {
            let error = key.csr_der(&wanted, Some(&name.parse().unwrap())).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(matches!(key.csr_der(&[], None), Err(KeyError::NoIdentifiers)));
    }

    #[test]
    fn types_have_names() {
        for key_type in KeyType::ALL {
            assert_eq!(key_type.to_string().parse(), Ok(key_type));
            assert_eq!(serde_json::to_value(key_type).unwrap(), key_type.as_str());
        }
        assert_eq!("RSA-2048".parse(), Ok(KeyType::Rsa2048));
        assert!("ed25519".parse::<KeyType>().unwrap_err().to_string().contains("`ed25519`"));
    }
}
