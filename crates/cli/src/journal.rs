//! The journal of one certificate, in its directory of the store.

use async_trait::async_trait;
use gatecert_issue::{Entry, Journal, JournalError};
use gatecert_publish::{CertificateName, FileStore};
use zeroize::Zeroizing;

/// `DIR/<name>/journal.json`.
#[derive(Debug)]
pub(crate) struct FileJournal<'a> {
    store: &'a FileStore,
    name: &'a CertificateName,
}

impl<'a> FileJournal<'a> {
    pub(crate) fn new(store: &'a FileStore, name: &'a CertificateName) -> Self {
        Self { store, name }
    }
}

#[async_trait]
impl Journal for FileJournal<'_> {
    async fn load(&self) -> Result<Option<Entry>, JournalError> {
        let bytes =
            self.store.load_journal(self.name).map_err(|error| JournalError::new("reading it", error))?;
        // One that can not be understood any more counts as none.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    async fn save(&self, entry: &Entry) -> Result<(), JournalError> {
        let bytes = serde_json::to_vec(entry)
            .map(Zeroizing::new)
            .map_err(|error| JournalError::new("encoding it", error))?;
        self.store.save_journal(self.name, &bytes).map_err(|error| JournalError::new("writing it", error))
    }

    async fn clear(&self) -> Result<(), JournalError> {
        self.store.clear_journal(self.name).map(drop).map_err(|error| JournalError::new("removing it", error))
    }
}
