//! The journal of an issuance that is under way: what a caller needs to go on after a crash.

use crate::disk::{self, PRIVATE_FILE};
use crate::error::StoreError;
use crate::name::CertificateName;
use crate::reader::StoreReader;
use crate::secret::Secret;
use crate::store::FileStore;
use std::path::PathBuf;

impl StoreReader {
    /// The journal of a certificate, as it was saved; none when no issuance is under way.
    ///
    /// # Errors
    /// When it does not read.
    pub fn load_journal(&self, name: &CertificateName) -> Result<Option<Secret>, StoreError> {
        Ok(disk::read(&self.journal(name))?.map(Secret::from))
    }

    fn journal(&self, name: &CertificateName) -> PathBuf {
        self.entry(name).directory().join("journal.json")
    }
}

impl FileStore {
    /// Saves the journal of a certificate, published or not: mode 0600, replaced by a rename, and on the disk when
    /// this returns.
    ///
    /// # Errors
    /// When the file system refuses; then the journal before it stays.
    pub fn save_journal(&self, name: &CertificateName, journal: &[u8]) -> Result<(), StoreError> {
        let _writing = self.writing();
        self.ensure_entry(name)?;
        self.disk().replace_file(&self.journal(name), journal, PRIVATE_FILE)
    }

    /// Removes the journal; false when there is none.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn clear_journal(&self, name: &CertificateName) -> Result<bool, StoreError> {
        let _writing = self.writing();
        let removed = self.disk().remove_file(&self.journal(name))?;
        if removed {
            self.disk().sync_directory(self.entry(name).directory())?;
        }
        Ok(removed)
    }
}
