//! What has to be kept so that an issuance that was cut off goes on instead of beginning anew.

use crate::key::KeyType;
use crate::plan::Wanted;
use async_trait::async_trait;
use gatecert_acme::{CertificateId, Identifier};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use url::Url;
use zeroize::Zeroizing;

/// An order that was begun, with the key that its certificate will have: keep it where only its owner reads it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// The URL of the order.
    pub order_url: Url,
    /// The URL of the account that ordered.
    pub account_url: Url,
    /// The directory of the CA.
    pub directory: Url,
    /// What was ordered.
    pub identifiers: BTreeSet<Identifier>,
    /// The profile that was asked for.
    pub profile: Option<String>,
    /// The certificate that the order said it replaces.
    pub replaces: Option<CertificateId>,
    /// The type of the key.
    pub key_type: KeyType,
    /// The private key as PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
    /// When the order was made.
    pub saved_at: Timestamp,
}

impl Entry {
    /// Whether the order is for what is wanted. One that is not is passed over, and the next order takes its place.
    pub fn is_for(&self, wanted: &Wanted) -> bool {
        self.identifiers == wanted.identifiers
            && self.key_type == wanted.key_type
            && self.directory == wanted.directory
            && self.profile == wanted.profile
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("order_url", &self.order_url.as_str())
            .field("account_url", &self.account_url.as_str())
            .field("identifiers", &self.identifiers)
            .field("profile", &self.profile)
            .field("key_type", &self.key_type)
            .field("key_pem", &"[redacted]")
            .field("saved_at", &self.saved_at)
            .finish_non_exhaustive()
    }
}

/// Why an entry can not be loaded, saved or cleared.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct JournalError {
    step: String,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl JournalError {
    /// An error that says what was tried (`writing /var/lib/…` for instance) and why it failed.
    pub fn new(step: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { step: step.into(), source: source.into() }
    }
}

/// Keeps at most one [`Entry`] for one certificate.
///
/// [`obtain`](crate::obtain::obtain()) saves once for each order, right after it is made and before anything that can
/// not be repeated, and clears when an order came to nothing. After a success *the caller* clears, once the bundle is
/// where it belongs: if the process ends before, the next `obtain` downloads the same certificate again instead of
/// ordering another.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The entry, if there is one. What can not be understood any more counts as none.
    async fn load(&self) -> Result<Option<Entry>, JournalError>;

    /// Puts the entry in the place of the one before, so that it outlives the process: either all of it or nothing.
    async fn save(&self, entry: &Entry) -> Result<(), JournalError>;

    /// Removes the entry, key included. That there is none is no error.
    async fn clear(&self) -> Result<(), JournalError>;
}

/// A journal that lives as long as the process, for tests and for programs that need no more.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Option<Entry>>);

impl MemoryJournal {
    /// The entry, if there is one.
    pub fn entry(&self) -> Option<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, entry: Option<Entry>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entry;
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self) -> Result<Option<Entry>, JournalError> {
        Ok(self.entry())
    }

    async fn save(&self, entry: &Entry) -> Result<(), JournalError> {
        self.set(Some(entry.clone()));
        Ok(())
    }

    async fn clear(&self) -> Result<(), JournalError> {
        self.set(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            order_url: "https://ca.test/order/1".parse().unwrap(),
            account_url: "https://ca.test/account/1".parse().unwrap(),
            directory: "https://ca.test/directory".parse().unwrap(),
            identifiers: ["a.test".parse().unwrap()].into(),
            profile: None,
            replaces: None,
            key_type: KeyType::EcdsaP256,
            key_pem: Zeroizing::new("SECRET".into()),
            saved_at: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", entry()).contains("SECRET"));
        assert!(format!("{:?}", entry()).contains("order/1"));
    }

    #[test]
    fn survives_a_round_trip() {
        let text = serde_json::to_string(&entry()).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry());
    }

    #[test]
    fn fits_only_what_it_was_ordered_for() {
        let entry = entry();
        let wanted = Wanted {
            identifiers: entry.identifiers.clone(),
            key_type: entry.key_type,
            directory: entry.directory.clone(),
            profile: None,
        };
        assert!(entry.is_for(&wanted));
        assert!(!entry.is_for(&Wanted { identifiers: ["b.test".parse().unwrap()].into(), ..wanted.clone() }));
        assert!(!entry.is_for(&Wanted { key_type: KeyType::Rsa2048, ..wanted.clone() }));
        assert!(!entry.is_for(&Wanted { directory: "https://b.test/".parse().unwrap(), ..wanted.clone() }));
        assert!(!entry.is_for(&Wanted { profile: Some("x".into()), ..wanted }));
    }
}
