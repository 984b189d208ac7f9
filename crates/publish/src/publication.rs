//! Publishing: a new version beside the old one, then one switch.

use crate::certificate::Certificate;
use crate::disk::{self, PRIVATE_FILE, PUBLIC_DIRECTORY, PUBLIC_FILE, UNFINISHED};
use crate::entry::{CERTIFICATE, CHAIN, CertificateFiles, Entry, KEY, RECORD, Version};
use crate::error::{Damage, PublishError, StoreError};
use crate::name::CertificateName;
use crate::sds_file;
use crate::store::FileStore;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A certificate that is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of the publication, from 1.
    pub version: u32,
    /// Where its files are.
    pub files: CertificateFiles,
}

impl FileStore {
    /// Puts a certificate in place of the one before it, which is kept until the next.
    ///
    /// The new files are written to a directory of their own and flushed; then `current` is switched by one rename.
    /// Whatever stops it, the old pair or the new one is in place, whole; what is left behind goes with the next.
    ///
    /// # Errors
    /// When the certificate or its key is no PEM, when files that are not ours are in the way, and when the file
    /// system refuses. [`PublishError::is_in_place`] says whether the certificate is in place nevertheless.
    pub fn publish(&self, certificate: &Certificate) -> Result<Published, PublishError> {
        let name = &certificate.record.name;
        let not_published = |source| PublishError::NotPublished { name: name.clone(), source };
        certificate.check().map_err(|source| PublishError::Invalid { name: name.clone(), source })?;
        let _writing = self.writing();
        let entry = self.prepare_entry(name).map_err(not_published)?;
        let (old, new) = self.write_version(&entry, certificate).map_err(not_published)?;
        // All that the switch leads to, and the way there: from here on only it can be lost.
        self.disk().flush(&entry.version(new)).map_err(not_published)?;
        self.switch(&entry, new).map_err(not_published)?;
        match self.after_switch(&entry, old, new) {
            Ok(()) => Ok(Published { version: new.number(), files: entry.files() }),
            Err(source) => Err(PublishError::Unfinished { name: name.clone(), source }),
        }
    }

    /// Makes the directory of a certificate ready, and finds out whether [`Self::publish`] could write there: to be
    /// asked before a CA is asked for a certificate. Gives whether there was none.
    ///
    /// # Errors
    /// When files that are not ours are in the way, and when the file system refuses.
    pub fn prepare(&self, name: &CertificateName) -> Result<bool, StoreError> {
        let _writing = self.writing();
        let is_new = self.entry(name).directory().symlink_metadata().is_err();
        self.prepare_entry(name).map(|_| is_new)
    }

    /// Flushed by whatever comes next: before it, there is nothing to lose.
    fn prepare_entry(&self, name: &CertificateName) -> Result<Entry, StoreError> {
        let entry = self.ensure_entry(name)?;
        self.disk().ensure_directory(&entry.versions(), PUBLIC_DIRECTORY)?;
        self.sweep_entry(&entry)?;
        self.link_files(&entry)?;
        Ok(entry)
    }

    /// Removes what a crash left of a certificate: files and versions that are not in their place.
    pub(crate) fn sweep_entry(&self, entry: &Entry) -> Result<(), StoreError> {
        self.sweep(entry.directory())?;
        self.sweep(&entry.versions())?;
        let current = entry.current()?;
        current.map_or(Ok(()), |current| self.sweep(&entry.version(current)))
    }

    /// Removes what was never finished.
    fn sweep(&self, directory: &Path) -> Result<(), StoreError> {
        for name in disk::names_in(directory)?.iter().filter(|name| name.starts_with(UNFINISHED)) {
            let path = directory.join(name);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => self.disk().remove_directory(&path)?,
                _ => self.disk().remove_file(&path)?,
            };
        }
        Ok(())
    }

    /// The symlinks through `current`, those that are missing. Before the first switch they lead nowhere.
    pub(crate) fn link_files(&self, entry: &Entry) -> Result<(), StoreError> {
        for (link, target) in entry.links() {
            match fs::read_link(&link) {
                Ok(found) if found == target => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.disk().create_symlink(&link, &target)?;
                }
                _ => return Err(StoreError::damaged(&link, Damage::Foreign { target })),
            }
        }
        Ok(())
    }

    /// Writes the next version, flushed; gives the current one and the new one. The directory has its number only
    /// when it is complete.
    fn write_version(
        &self,
        entry: &Entry,
        certificate: &Certificate,
    ) -> Result<(Option<Version>, Version), StoreError> {
        let old = entry.current()?;
        let new = entry.next_version(old)?;
        let unfinished = entry.versions().join(format!("{UNFINISHED}{new}"));
        self.disk().create_directory(&unfinished, PUBLIC_DIRECTORY)?;
        self.write_files(&unfinished, certificate)?;
        self.disk().sync_directory(&unfinished)?;
        self.disk().rename(&unfinished, &entry.version(new))?;
        Ok((old, new))
    }

    fn write_files(&self, directory: &Path, certificate: &Certificate) -> Result<(), StoreError> {
        let path = |file| directory.join(file);
        let record = certificate.record.to_json();
        let record = record.map_err(|e| StoreError::Encode { path: path(RECORD), source: e.into() })?;
        let disk = self.disk();
        disk.create_file(&path(KEY), certificate.key_pem.as_bytes(), PRIVATE_FILE)?;
        disk.create_file(&path(CERTIFICATE), certificate.chain_pem.as_bytes(), PUBLIC_FILE)?;
        disk.create_file(&path(CHAIN), certificate.intermediates_pem().as_bytes(), PUBLIC_FILE)?;
        disk.create_file(&path(RECORD), &record, PUBLIC_FILE)
    }

    /// The one step that counts.
    fn switch(&self, entry: &Entry, version: Version) -> Result<(), StoreError> {
        self.disk().replace_symlink(&entry.current_link(), &Entry::target(version))
    }

    fn after_switch(&self, entry: &Entry, old: Option<Version>, new: Version) -> Result<(), StoreError> {
        // One flush is for the switch too, which needs it all the same where the file can not be written.
        let written = self.write_sds(entry);
        self.disk().flush(&entry.current_link())?;
        written?;
        self.prune(entry, old, new)
    }

    /// Written after the switch: an Envoy that finds the file finds the certificate too. Left alone when it says the
    /// same already, since Envoy loads it again whenever it is replaced.
    pub(crate) fn write_sds(&self, entry: &Entry) -> Result<(), StoreError> {
        let files = entry.files();
        let document = sds_file::document(entry.name(), &files);
        let document =
            document.map_err(|e| StoreError::Encode { path: files.sds.clone(), source: e.into() })?;
        if disk::read(&files.sds)?.as_deref() == Some(document.as_bytes()) {
            return Ok(());
        }
        self.disk().replace_file(&files.sds, document.as_bytes(), PUBLIC_FILE)
    }

    /// Keeps the new version and the one before it, which a reader may be in the midst of.
    fn prune(&self, entry: &Entry, old: Option<Version>, new: Version) -> Result<(), StoreError> {
        let mut others = entry.all_versions()?;
        others.retain(|version| *version != new);
        let kept = old.filter(|version| others.contains(version)).or_else(|| others.last().copied());
        for version in others.into_iter().filter(|version| Some(*version) != kept) {
            self.disk().remove_directory(&entry.version(version))?;
        }
        Ok(())
    }
}
