//! A certificate with its key and its record: what is published, and what is read back.

use crate::record::Record;
use std::fmt;
use zeroize::Zeroizing;

const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &str = "-----END CERTIFICATE-----";
/// The end of the first line of every kind of private key: PKCS#8, SEC1, PKCS#1.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// A certificate chain, the private key of its leaf, and its record.
///
/// The key is wiped from memory on drop and does not print.
#[derive(Clone, PartialEq)]
pub struct Certificate {
    /// What is known about it; its `name` is the name that it is published under.
    pub record: Record,
    /// The chain in PEM, leaf first, the root left out.
    pub chain_pem: String,
    /// The private key in PEM.
    pub key_pem: Zeroizing<String>,
}

/// Why a chain and a key are not even looked at. Whether they belong together is not asked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificate {
    /// No certificate in the chain.
    #[error("the chain holds no PEM block `CERTIFICATE`")]
    NoCertificate,
    /// A private key in the chain, whose file everyone may read.
    #[error("the chain holds a private key, which must not be in a file that others can read")]
    KeyInChain,
    /// No private key.
    #[error("the key holds no PEM block `PRIVATE KEY`")]
    NoKey,
}

impl Certificate {
    pub(crate) fn check(&self) -> Result<(), InvalidCertificate> {
        check(&self.chain_pem, &self.key_pem)
    }

    /// The chain without its leaf; empty when there is no intermediate.
    pub(crate) fn intermediates_pem(&self) -> &str {
        end_of_leaf(&self.chain_pem).map_or("", |end| self.chain_pem[end..].trim_start())
    }
}

/// Whether these are a chain and a key at all.
pub(crate) fn check(chain_pem: &str, key_pem: &str) -> Result<(), InvalidCertificate> {
    if chain_pem.contains(PRIVATE_KEY) {
        return Err(InvalidCertificate::KeyInChain);
    }
    end_of_leaf(chain_pem).ok_or(InvalidCertificate::NoCertificate)?;
    match key_pem.matches(PRIVATE_KEY).count() {
        0 | 1 => Err(InvalidCertificate::NoKey),
        _ => Ok(()),
    }
}

fn end_of_leaf(chain_pem: &str) -> Option<usize> {
    let begin = chain_pem.find(BEGIN_CERTIFICATE)? + BEGIN_CERTIFICATE.len();
    let length = chain_pem[begin..].find(END_CERTIFICATE)?;
    Some(begin + length + END_CERTIFICATE.len())
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("record", &self.record)
            .field("chain_pem", &self.chain_pem)
            .field("key_pem", &"[redacted]")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Http01, RenewalOptions};

    const LEAF: &str = "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n";
    const INTERMEDIATE: &str = "-----BEGIN CERTIFICATE-----\nb3RoZXI=\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n";

    fn certificate(chain_pem: &str, key_pem: &str) -> Certificate {
        let record = Record {
            name: "www.example.com".parse().unwrap(),
            identifiers: vec!["www.example.com".to_owned()],
            server: "https://ca.example/directory".parse().unwrap(),
            profile: None,
            key_type: "ecdsa-p256".to_owned(),
            account_url: None,
            order_url: None,
            certificate_id: None,
            not_before: "2026-11-01T00:00:00Z".parse().unwrap(),
            not_after: "2027-01-30T00:00:00Z".parse().unwrap(),
            issued_at: "2026-11-01T01:00:00Z".parse().unwrap(),
            issuer: "CN=Test".to_owned(),
            serial: "01".to_owned(),
            ari: None,
            unanswered: None,
            revoked_at: None,
            renewal: RenewalOptions::new(Http01::Listen("0.0.0.0:80".to_owned())),
            failures: crate::Failures::default(),
        };
        Certificate { record, chain_pem: chain_pem.to_owned(), key_pem: key_pem.to_owned().into() }
    }

    #[test]
    fn the_leaf_is_left_out_of_the_intermediates() {
        assert_eq!(certificate(LEAF, KEY).intermediates_pem(), "");
        for between in ["", "\n", "subject: other\r\n"] {
            let chain = format!("# leaf\n{LEAF}{between}{INTERMEDIATE}");
            let found = certificate(&chain, KEY).intermediates_pem().to_owned();
            assert_eq!(found, format!("{}{INTERMEDIATE}", between.trim_start()), "{between:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_refused() {
        use InvalidCertificate::*;
        assert_eq!(certificate(LEAF, KEY).check(), Ok(()));
        for (chain, key, error) in [
            ("", KEY, NoCertificate),
            ("certificate", KEY, NoCertificate),
            (BEGIN_CERTIFICATE, KEY, NoCertificate),
            ("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----", KEY, NoCertificate),
            (&format!("{LEAF}{KEY}"), KEY, KeyInChain),
            (LEAF, "", NoKey),
            (LEAF, LEAF, NoKey),
            (LEAF, "-----BEGIN PRIVATE KEY-----\nc2Vj", NoKey),
        ] {
            assert_eq!(certificate(chain, key).check(), Err(error), "{chain:?} {key:?}");
        }
    }

    #[test]
    fn the_key_does_not_print() {
        let printed = format!("{:?}", certificate(LEAF, KEY));
        assert!(!printed.contains("c2VjcmV0"), "{printed}");
        assert!(printed.contains("[redacted]"), "{printed}");
    }
}
