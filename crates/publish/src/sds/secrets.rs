//! What is served: the pair of each certificate.

use super::resource::Pair;
use crate::certificate::{self, InvalidCertificate};
use crate::name::CertificateName;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The certificates that Envoys are served, by name. All clones share one state.
///
/// Keys are wiped from memory when they are replaced or removed, and do not print.
#[derive(Clone)]
pub struct Secrets {
    table: Arc<watch::Sender<Table>>,
}

/// The pairs at one moment.
#[derive(Default)]
pub(super) struct Table {
    /// The number of changes so far.
    revision: u64,
    entries: BTreeMap<String, Entry>,
}

/// A pair, and the change that it came with.
pub(super) struct Entry {
    pub(super) revision: u64,
    pub(super) pair: Pair,
}

impl Secrets {
    /// With nothing in it: Envoys wait.
    pub fn new() -> Self {
        Self { table: Arc::new(watch::Sender::new(Table::default())) }
    }

    /// Serves this pair under this name, in place of the one before it, to whoever asks and whoever has asked. The same pair
    /// once more changes nothing. Whether chain and key belong together is not looked at.
    ///
    /// # Errors
    /// When they are no PEM of their kind; what was served stays.
    pub fn set(
        &self,
        name: &CertificateName,
        chain_pem: &str,
        key_pem: Zeroizing<String>,
    ) -> Result<(), InvalidCertificate> {
        certificate::check(chain_pem, &key_pem)?;
        let pair = Pair { chain_pem: chain_pem.to_owned(), key_pem };
        self.table.send_if_modified(|table| table.set(name.as_str(), pair));
        Ok(())
    }

    /// Serves nothing under this name any more; false when it did not. SDS has no word for that, so an Envoy that has the pair
    /// keeps it, and one that asks from now on waits.
    pub fn remove(&self, name: &CertificateName) -> bool {
        self.table.send_if_modified(|table| table.entries.remove(name.as_str()).is_some())
    }

    /// The names that are served, sorted.
    pub fn names(&self) -> Vec<String> {
        self.table.borrow().entries.keys().cloned().collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Table> {
        self.table.subscribe()
    }
}

impl Table {
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Whether that is a change.
    pub(super) fn set(&mut self, name: &str, pair: Pair) -> bool {
        if self.entry(name).is_some_and(|entry| entry.pair == pair) {
            return false;
        }
        self.revision += 1;
        self.entries.insert(name.to_owned(), Entry { revision: self.revision, pair });
        true
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("names", &self.names()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_print_and_the_same_pair_is_no_change() {
        let secrets = Secrets::new();
        let name = "www.example.com".parse().unwrap();
        let chain = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let mut changes = secrets.changes();
        secrets.set(&name, chain, key.to_owned().into()).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        secrets.set(&name, chain, key.to_owned().into()).unwrap();
        assert!(!changes.has_changed().unwrap());
        assert_eq!(format!("{secrets:?}"), "Secrets { names: [\"www.example.com\"], .. }");
        secrets.set(&name, "no PEM", key.to_owned().into()).unwrap_err();
        assert_eq!(secrets.changes().borrow().entry(name.as_str()).unwrap().pair.chain_pem, chain);
        assert!(secrets.remove(&name) && !secrets.remove(&name));
    }
}
