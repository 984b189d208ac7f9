//! What a certificate says of itself.

use crate::key::KeyType;
use crate::verify::VerifyError;
use gatecert_acme::{CertificateChain, CertificateId, Identifier};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

/// The longest PEM text of a chain that is read, in bytes: ten certificates, each of a hundred names of the greatest
/// length, are half of it.
pub const MAX_CHAIN_PEM_BYTES: usize = 512 * 1024;

/// The longest issuer name that is kept, in characters.
const MAX_ISSUER: usize = 256;

/// What a certificate says of itself, which [`plan`](crate::plan::plan()) and reports are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// The serial number in lower-case hexadecimal, two digits a byte, without a sign byte.
    pub serial: String,
    /// The first moment at which it holds.
    pub not_before: Timestamp,
    /// The last moment at which it holds.
    pub not_after: Timestamp,
    /// Who signed it: the common name of the issuer, or its whole name where it has none.
    pub issuer: String,
    /// What it is for.
    pub identifiers: BTreeSet<Identifier>,
    /// The type of its key, if it is one that this crate makes.
    pub key_type: Option<KeyType>,
    /// Its name towards the CA (RFC 9773 §4.1), if it has one.
    pub certificate_id: Option<CertificateId>,
    /// The SHA-256 fingerprint in lower-case hexadecimal.
    pub fingerprint: String,
}

impl CertificateFacts {
    /// How long it holds, from its first moment to its last.
    pub fn life(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before).max(SignedDuration::ZERO)
    }

    /// Whether it does not hold any more.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after <= now
    }

    /// A number from 0 to below 1, evenly spread over certificates and always the same for the same one: what
    /// [`Observed::jitter`](crate::plan::Observed::jitter) needs, without keeping anything.
    pub fn jitter(&self) -> f64 {
        let digits = self.fingerprint.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        f64::from(digits.unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }

    /// The SHA-256 fingerprint of the first certificate of a PEM text, of a root for instance, as
    /// [`Self::fingerprint`] and [`ChainPreference`](gatecert_acme::ChainPreference) have it.
    ///
    /// # Errors
    /// What is no chain of certificates, or too large.
    pub fn fingerprint_of(pem: &str) -> Result<String, VerifyError> {
        Ok(fingerprint(read_chain(pem)?.leaf_der()))
    }

    pub(crate) fn of(leaf: &X509Certificate<'_>) -> Result<Self, VerifyError> {
        let validity = leaf.validity();
        Ok(Self {
            serial: hex(without_sign_byte(leaf.raw_serial())),
            not_before: timestamp(validity.not_before)?,
            not_after: timestamp(validity.not_after)?,
            issuer: issuer(leaf),
            identifiers: identifiers(leaf)?,
            key_type: key_type(leaf),
            certificate_id: CertificateId::from_der(leaf.as_raw()).ok(),
            fingerprint: fingerprint(leaf.as_raw()),
        })
    }
}

/// Reads what the first certificate of a chain in PEM says of itself, without any expectation.
///
/// # Errors
/// What is no chain of certificates, or too large; names that can not be read.
pub fn facts(chain_pem: &str) -> Result<CertificateFacts, VerifyError> {
    let chain = read_chain(chain_pem)?;
    CertificateFacts::of(&parse(chain.leaf_der(), 0)?)
}

pub(crate) fn read_chain(chain_pem: &str) -> Result<CertificateChain, VerifyError> {
    match chain_pem.len() {
        ..=MAX_CHAIN_PEM_BYTES => {
            CertificateChain::from_pem(chain_pem.as_bytes()).map_err(VerifyError::Chain)
        }
        size => Err(VerifyError::TooLong { size }),
    }
}

pub(crate) fn parse(der: &[u8], index: usize) -> Result<X509Certificate<'_>, VerifyError> {
    let parsed = x509_parser::parse_x509_certificate(der);
    parsed.map(|(_, certificate)| certificate).map_err(|_| VerifyError::Certificate { index })
}

/// A positive number whose first bit is set has a zero byte before it in DER, which is no digit of it.
fn without_sign_byte(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, VerifyError> {
    Timestamp::from_second(time.timestamp()).map_err(VerifyError::Date)
}

fn issuer(leaf: &X509Certificate<'_>) -> String {
    let common_name = leaf.issuer().iter_common_name().find_map(|name| name.as_str().ok());
    let name = common_name.map_or_else(|| leaf.issuer().to_string(), str::to_owned);
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_ISSUER).collect()
}

fn identifiers(leaf: &X509Certificate<'_>) -> Result<BTreeSet<Identifier>, VerifyError> {
    let san = leaf.subject_alternative_name().map_err(|_| VerifyError::Names)?.ok_or(VerifyError::Names)?;
    san.value.general_names.iter().map(identifier).collect()
}

fn identifier(name: &GeneralName<'_>) -> Result<Identifier, VerifyError> {
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
    };
    match name {
        GeneralName::DNSName(name) => Identifier::dns(name).map_err(|_| VerifyError::Names),
        GeneralName::IPAddress(bytes) => address(bytes).map(Identifier::Ip).map_err(|_| VerifyError::Names),
        _ => Err(VerifyError::Names),
    }
}

fn key_type(leaf: &X509Certificate<'_>) -> Option<KeyType> {
    let info = leaf.public_key();
    match info.parsed().ok()? {
        PublicKey::RSA(key) => KeyType::of_rsa_bits(key.key_size()),
        PublicKey::EC(_) => {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let known = [(OID_EC_P256, KeyType::EcdsaP256), (OID_NIST_EC_P384, KeyType::EcdsaP384)];
            known.into_iter().find_map(|(oid, key_type)| (oid == curve).then_some(key_type))
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    hex(digest(&SHA256, der).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
