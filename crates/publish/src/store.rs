//! The directory of certificates and its one writer.

use crate::disk::{Disk, Observer, PRIVATE_DIRECTORY, PUBLIC_DIRECTORY, PUBLIC_FILE};
use crate::entry::{Entry, RECORD};
use crate::error::StoreError;
use crate::lock::DirectoryLock;
use crate::name::{CertificateName, NameError};
use crate::reader::StoreReader;
use crate::record::Record;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is removed is renamed into here first, so that it goes at once.
const REMOVED: &str = ".removed";

/// A directory of certificates, open for writing; it can do all that a [`StoreReader`] can.
///
/// There is one at a time for a directory, on the whole machine. Threads may share it: they write one after another.
pub struct FileStore {
    reader: StoreReader,
    disk: Disk,
    writing: Mutex<()>,
    _lock: DirectoryLock,
}

impl FileStore {
    /// Opens a directory for writing, and makes it if it is missing (mode 0750, as all that is made in it: the group
    /// may read certificates, a key never; an existing directory keeps its mode).
    ///
    /// What a crash left undone for published certificates is made good: their symlinks and `sds.yaml`, which also
    /// follows when the directory was moved.
    ///
    /// # Errors
    /// When another writer has it open, and when it can not be made, locked or expressed in UTF-8.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_on(Disk::default(), directory.as_ref())
    }

    /// A store whose operations the observer sees, and stops.
    #[doc(hidden)]
    pub fn open_observed(directory: impl AsRef<Path>, observer: Observer) -> Result<Self, StoreError> {
        Self::open_on(Disk::observed(observer), directory.as_ref())
    }

    /// Opens a directory to read, which waits for nobody and needs no right to write.
    ///
    /// # Errors
    /// When there is no such directory, or it does not read.
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<StoreReader, StoreError> {
        StoreReader::open(directory.as_ref())
    }

    /// The name for the certificate whose first identifier this is: a DNS name in lower case, `_` for the `*` of a
    /// wildcard and for the colons of an IPv6 address, no final dot. No two identifiers share a name.
    ///
    /// # Errors
    /// For what is neither a DNS name in ASCII nor an IP address, or could not be the name of a directory here.
    pub fn name_for(identifier: &str) -> Result<CertificateName, NameError> {
        CertificateName::for_identifier(identifier)
    }

    /// Writes the record of the current version anew, by an atomic rename: a CA's renewal window, a failed attempt.
    ///
    /// # Errors
    /// When no certificate of that name is published, and when the file system refuses; then the old record stays.
    pub fn update_record(&self, record: &Record) -> Result<(), StoreError> {
        let _writing = self.writing();
        let entry = self.entry(&record.name);
        let version =
            entry.current()?.ok_or_else(|| StoreError::NotPublished { name: record.name.clone() })?;
        let path = entry.version(version).join(RECORD);
        let json =
            record.to_json().map_err(|e| StoreError::Encode { path: path.clone(), source: e.into() })?;
        self.disk.replace_file(&path, &json, PUBLIC_FILE)
    }

    /// Removes a certificate with all its versions and its journal, damaged or not; false when there is none. It is
    /// gone at once, and stays gone when the machine stops meanwhile.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self, name: &CertificateName) -> Result<bool, StoreError> {
        let _writing = self.writing();
        let entry = self.entry(name);
        match entry.directory().symlink_metadata() {
            Ok(_) => self.remove_entry(&entry).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Removes what [`Self::prepare`] made for a certificate, where nothing was added: false when there is a version, a journal or
    /// any other file.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove_unused(&self, name: &CertificateName) -> Result<bool, StoreError> {
        let _writing = self.writing();
        let entry = self.entry(name);
        let is_unused = entry.is_as_prepared()?;
        if is_unused {
            self.remove_entry(&entry)?;
        }
        Ok(is_unused)
    }

    fn remove_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        self.sweep_removed()?;
        let removed = self.directory().join(REMOVED);
        self.disk.create_directory(&removed, PRIVATE_DIRECTORY)?;
        self.disk.rename(entry.directory(), &removed.join(entry.name().as_str()))?;
        self.disk.flush(entry.directory())?;
        self.sweep_removed()
    }

    fn open_on(disk: Disk, directory: &Path) -> Result<Self, StoreError> {
        make_directory(&disk, directory)?;
        let reader = StoreReader::open(directory)?;
        let lock = DirectoryLock::take(reader.directory())?;
        let store = Self { reader, disk, writing: Mutex::default(), _lock: lock };
        store.sweep_removed()?;
        store.finish_publications()?;
        Ok(store)
    }

    /// Makes good what a crash left undone, and removes what it left unfinished. A damaged certificate must not keep the others
    /// from being renewed, so it is only told of.
    fn finish_publications(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            let entry = self.entry(&name);
            let made_good = self
                .sweep_entry(&entry)
                .and_then(|()| self.link_files(&entry))
                .and_then(|()| self.write_sds(&entry));
            if let Err(error) = made_good.and_then(|()| self.disk.flush(&entry.current_link())) {
                tracing::warn!(%name, %error, "the files of a certificate are not as they should be");
            }
        }
        Ok(())
    }

    fn sweep_removed(&self) -> Result<(), StoreError> {
        self.disk.remove_directory(&self.directory().join(REMOVED)).map(drop)
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Held while anything is changed: the lock of the directory keeps out other processes only.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of a certificate, made if it is missing.
    pub(crate) fn ensure_entry(&self, name: &CertificateName) -> Result<Entry, StoreError> {
        let entry = self.entry(name);
        self.disk.ensure_directory(entry.directory(), PUBLIC_DIRECTORY)?;
        Ok(entry)
    }
}

/// The directory and those above it.
fn make_directory(disk: &Disk, directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make_directory(disk, parent)?;
    disk.create_directory(directory, PUBLIC_DIRECTORY)?;
    disk.sync_directory(parent)
}

impl Deref for FileStore {
    type Target = StoreReader;

    fn deref(&self) -> &StoreReader {
        &self.reader
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("directory", &self.directory()).finish_non_exhaustive()
    }
}
