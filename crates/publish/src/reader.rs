//! Reading what is published, beside a writer or without one.

use crate::certificate::Certificate;
use crate::disk::{self, Action};
use crate::entry::{CertificateFiles, Entry, Version};
use crate::error::StoreError;
use crate::name::CertificateName;
use crate::record::Record;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A directory of certificates, to read. Any number may be open, beside the one writer too.
#[derive(Clone, Debug)]
pub struct StoreReader {
    directory: PathBuf,
}

/// A published certificate in a list.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: CertificateName,
    /// Its record, or what is wrong with it.
    pub record: Result<Record, StoreError>,
}

impl StoreReader {
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let directory = match directory.canonicalize() {
            Ok(directory) => directory,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StoreError::NoDirectory { directory: directory.to_owned() });
            }
            Err(source) => return Err(StoreError::io(Action::Read, directory, source)),
        };
        match directory.to_str() {
            Some(_) => Ok(Self { directory }),
            None => Err(StoreError::NotUtf8 { directory }),
        }
    }

    /// The directory, as an absolute path without symlinks.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The names of the certificates that were published, sorted.
    ///
    /// # Errors
    /// When the directory does not read.
    pub fn names(&self) -> Result<Vec<CertificateName>, StoreError> {
        let names = disk::names_in(&self.directory)?.into_iter().filter_map(|name| name.parse().ok());
        Ok(names.filter(|name| self.entry(name).current_link().symlink_metadata().is_ok()).collect())
    }

    /// All certificates that were published, sorted by name, with what is wrong with one in its place. Keys are not
    /// read, so a user who may not read them can list.
    ///
    /// # Errors
    /// When the directory does not read.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let listed = |name: CertificateName| {
            let record = self.consistent(&self.entry(&name), Entry::read_listed);
            let record =
                record.and_then(|found| found.ok_or_else(|| StoreError::NotPublished { name: name.clone() }));
            Listed { name, record }
        };
        Ok(self.names()?.into_iter().map(listed).collect())
    }

    /// A published certificate with its key: all of one version, whatever a writer does meanwhile. None when no
    /// certificate of that name was published.
    ///
    /// # Errors
    /// When a file of it is missing, damaged or does not read; nothing is changed.
    pub fn load(&self, name: &CertificateName) -> Result<Option<Certificate>, StoreError> {
        self.consistent(&self.entry(name), Entry::read)
    }

    /// The record of a published certificate; as [`Self::load`], but the key and the chain are not looked at.
    ///
    /// # Errors
    /// When the record is missing, damaged or does not read.
    pub fn record(&self, name: &CertificateName) -> Result<Option<Record>, StoreError> {
        self.consistent(&self.entry(name), Entry::read_record)
    }

    /// Where the files of a certificate are, or would be.
    pub fn files(&self, name: &CertificateName) -> CertificateFiles {
        self.entry(name).files()
    }

    pub(crate) fn entry(&self, name: &CertificateName) -> Entry {
        Entry::new(&self.directory, name)
    }

    /// Reads the version that `current` led to when it was looked at once. A failure counts only if that version is
    /// still the current one: else a writer has moved on, twice, and removed it under our hands.
    fn consistent<T>(
        &self,
        entry: &Entry,
        read: impl Fn(&Entry, Version) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut current = entry.current()?;
        while let Some(version) = current {
            match read(entry, version) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => {
                    current = entry.current()?;
                    if current == Some(version) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }
}
