//! What an issuance gives.

use crate::facts::CertificateFacts;
use crate::journal::Entry;
use crate::plan::Origin;
use gatecert_acme::{CertificateChain, CertificateId, Identifier};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// A verified certificate with its chain and key.
#[derive(Clone)]
#[non_exhaustive]
pub struct Bundle {
    /// The certificate and the intermediates behind it in PEM: what a server is given.
    pub chain_pem: String,
    /// The intermediates alone in PEM; empty where there are none.
    pub intermediates_pem: String,
    /// The private key as PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
    /// What the certificate says of itself.
    pub facts: CertificateFacts,
    /// How it was ordered, to be kept for [`plan`](crate::plan::plan()).
    pub origin: Origin,
    /// The URL of the order.
    pub order_url: Url,
}

impl Bundle {
    pub(crate) fn new(
        chain: &CertificateChain,
        facts: CertificateFacts,
        entry: Entry,
        issued_at: Timestamp,
    ) -> Self {
        Self {
            chain_pem: chain.pem(),
            intermediates_pem: chain.intermediates_pem(),
            key_pem: entry.key_pem,
            facts,
            origin: Origin { directory: entry.directory, profile: entry.profile, issued_at },
            order_url: entry.order_url,
        }
    }

    /// What the certificate is for.
    pub fn identifiers(&self) -> &BTreeSet<Identifier> {
        &self.facts.identifiers
    }

    /// The first moment at which it holds.
    pub fn not_before(&self) -> Timestamp {
        self.facts.not_before
    }

    /// The last moment at which it holds.
    pub fn not_after(&self) -> Timestamp {
        self.facts.not_after
    }

    /// Its name towards the CA (RFC 9773 §4.1), if it has one.
    pub fn certificate_id(&self) -> Option<&CertificateId> {
        self.facts.certificate_id.as_ref()
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("facts", &self.facts)
            .field("origin", &self.origin)
            .field("key_pem", &"[redacted]")
            .finish_non_exhaustive()
    }
}
