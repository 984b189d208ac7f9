//! Certificate chains, and the choice among several (RFC 8555 §7.4.2).

use std::convert::Infallible;
use std::error::Error;
use std::str::FromStr;
use url::Url;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

/// The most certificates of one chain. Public CAs send two or three.
const MAX_CHAIN: usize = 10;

/// A certificate and the intermediates behind it, as the CA sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain {
    certificates: Vec<Vec<u8>>,
}

/// A downloaded certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedCertificate {
    /// The CA's default chain.
    pub chain: CertificateChain,
    /// Where other chains for the same certificate are, at most 16; see [`Account::certificate`](crate::Account).
    pub alternates: Vec<Url>,
}

/// Why bytes are no [`CertificateChain`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The text is not PEM.
    #[error("it is not well-formed PEM")]
    Pem(#[source] Box<dyn Error + Send + Sync>),
    /// A PEM block is something other than a certificate (RFC 8555 §9.1).
    #[error("it holds a `{tag}` block, not only certificates")]
    Block {
        /// The label of the block.
        tag: String,
    },
    /// There are none, or too many.
    #[error("it holds {count} certificates, not 1 to {MAX_CHAIN}")]
    Count {
        /// How many.
        count: usize,
    },
    /// A certificate has no end: the chain was cut short on its way.
    #[error("the chain is cut short: a certificate has no end")]
    CutShort,
    /// A certificate can not be read.
    #[error("certificate {index} of the chain can not be read")]
    Certificate {
        /// Its place, the leaf being 0.
        index: usize,
    },
}

impl CertificateChain {
    /// Reads a chain in PEM, leaf first.
    ///
    /// # Errors
    /// Text that is not only 1 to 10 certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ChainError> {
        let blocks = pem::parse_many(pem).map_err(|error| ChainError::Pem(error.into()))?;
        // A block without its end is passed over by the parser: a chain that was cut short would look like a whole one.
        let begun = String::from_utf8_lossy(pem).matches("-----BEGIN ").count();
        if begun != blocks.len() {
            return Err(ChainError::CutShort);
        }
        if !(1..=MAX_CHAIN).contains(&blocks.len()) {
            return Err(ChainError::Count { count: blocks.len() });
        }
        let read = |(index, block): (usize, pem::Pem)| match block.tag() {
            "CERTIFICATE" => match parse_x509_certificate(block.contents()) {
                Ok(([], _)) => Ok(block.into_contents()),
                _ => Err(ChainError::Certificate { index }),
            },
            tag => Err(ChainError::Block { tag: tag.chars().filter(|c| !c.is_control()).take(64).collect() }),
        };
        Ok(Self { certificates: blocks.into_iter().enumerate().map(read).collect::<Result<_, _>>()? })
    }

    /// The chain in PEM, leaf first, encoded anew: nothing else that the CA sent is in it.
    pub fn pem(&self) -> String {
        self.certificates.iter().map(|der| encode(der)).collect()
    }

    /// The certificates behind the leaf in PEM; empty where there are none.
    pub fn intermediates_pem(&self) -> String {
        self.certificates.iter().skip(1).map(|der| encode(der)).collect()
    }

    /// The leaf in DER.
    pub fn leaf_der(&self) -> &[u8] {
        self.certificates.first().map_or(&[], Vec::as_slice)
    }

    /// All in DER, leaf first.
    pub fn certificates_der(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    fn parsed(&self) -> impl Iterator<Item = X509Certificate<'_>> {
        self.certificates
            .iter()
            .filter_map(|der| parse_x509_certificate(der).ok().map(|(_, certificate)| certificate))
    }
}

fn encode(der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config)
}

/// Which chain is wanted where a CA offers several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainPreference {
    /// One whose top is issued by this common name, `ISRG Root X1` for instance.
    IssuerName(String),
    /// One that holds, or whose top is, a certificate with this SHA-256 fingerprint.
    Fingerprint([u8; 32]),
}

impl ChainPreference {
    /// Whether the chain is as wanted.
    pub fn matches(&self, chain: &CertificateChain) -> bool {
        match self {
            Self::IssuerName(name) => chain.parsed().last().is_some_and(|top| {
                top.issuer().iter_common_name().any(|cn| cn.as_str().is_ok_and(|cn| cn == name))
            }),
            Self::Fingerprint(wanted) => chain
                .certificates
                .iter()
                .any(|der| ring::digest::digest(&ring::digest::SHA256, der).as_ref() == wanted),
        }
    }
}

impl FromStr for ChainPreference {
    type Err = Infallible;

    /// A fingerprint where the text is 64 hexadecimal digits (colons allowed), else a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(fingerprint(text).map_or_else(|| Self::IssuerName(text.to_owned()), Self::Fingerprint))
    }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl std::fmt::Display for ChainPreference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IssuerName(name) => f.write_str(name),
            Self::Fingerprint(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_is_cut_short_is_none() {
        let pair = || rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap().cert.pem();
        let (leaf, issuer) = (pair(), pair());
        let whole = format!("{leaf}{issuer}");
        assert_eq!(CertificateChain::from_pem(whole.as_bytes()).unwrap().certificates.len(), 2);
        // The line break behind the last line may be missing.
        for end in 0..whole.len() - 1 {
            let cut = CertificateChain::from_pem(&whole.as_bytes()[..end]);
            let is_leaf_alone = leaf.trim_end().len() <= end && end <= leaf.len() + "-----BEGIN".len();
            assert_eq!(cut.is_ok(), is_leaf_alone, "{end} of {}, a leaf of {}", whole.len(), leaf.len());
        }
    }
}
