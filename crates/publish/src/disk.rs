//! The operations on files that everything written goes through, one at a time, and what of it is not flushed yet.

use crate::error::StoreError;
use gatecert_fault::Change;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// For what others may read: certificates, records, `sds.yaml`.
pub(crate) const PUBLIC_FILE: u32 = 0o644;
/// For what holds a private key.
pub(crate) const PRIVATE_FILE: u32 = 0o600;
/// The group may look, for a gateway or a monitor under another user; the rest of the machine has no business there.
pub(crate) const PUBLIC_DIRECTORY: u32 = 0o750;
/// For directories with nothing but private files.
pub(crate) const PRIVATE_DIRECTORY: u32 = 0o700;

/// Begins the name of a file that is not in its place yet. What a crash leaves under such a name is worthless.
pub(crate) const UNFINISHED: &str = ".new-";

/// One operation on the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Create a directory.
    CreateDirectory,
    /// Create a file that was not there.
    CreateFile,
    /// Write a file's content.
    WriteFile,
    /// Flush a file to the disk.
    SyncFile,
    /// Flush the entries of a directory to the disk.
    SyncDirectory,
    /// Create a symlink.
    CreateSymlink,
    /// Rename a file, a directory or a symlink.
    Rename,
    /// Remove a file or a symlink.
    RemoveFile,
    /// Remove a directory with what is in it.
    RemoveDirectory,
    /// Read a file, a directory or a symlink.
    Read,
    /// Lock a file.
    Lock,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDirectory => "create the directory",
            Self::CreateFile => "create",
            Self::WriteFile => "write",
            Self::SyncFile => "flush to the disk",
            Self::SyncDirectory => "flush to the disk the directory",
            Self::CreateSymlink => "create the symlink",
            Self::Rename => "put in place",
            Self::RemoveFile => "remove",
            Self::RemoveDirectory => "remove the directory",
            Self::Read => "read",
            Self::Lock => "lock",
        })
    }
}

/// Sees each operation before it is done, with the path that it makes, changes or removes; an error is as if the
/// operation had failed. With it, tests stop a sequence at any point, as a crash or a full disk would.
pub type Observer = Arc<dyn Fn(Action, &Path) -> io::Result<()> + Send + Sync>;

/// The file system, seen through an [`Observer`] if there is one.
///
/// A flush is what takes longest here, and one flush of a directory does for all that was made in it before: so
/// that is only noted, until [`Self::flush`]. Removals wait for nobody but where their caller flushes them.
#[derive(Default)]
pub(crate) struct Disk {
    observer: Option<Observer>,
    entries: Mutex<Entries>,
}

/// The entries of directories, as far as this process knows.
#[derive(Default)]
struct Entries {
    /// The directories in which something was made since they were flushed.
    unflushed: BTreeSet<PathBuf>,
    /// The directories whose own entry is flushed, or is in one of the unflushed.
    known: BTreeSet<PathBuf>,
}

impl Entries {
    fn made(&mut self, path: &Path) {
        self.unflushed.extend(path.parent().map(Path::to_owned));
    }

    /// With all that is below it: there is nothing left to flush.
    fn gone(&mut self, path: &Path) {
        for directories in [&mut self.unflushed, &mut self.known] {
            directories.retain(|directory| !directory.starts_with(path));
        }
    }
}

impl Disk {
    pub(crate) fn observed(observer: Observer) -> Self {
        Self { observer: Some(observer), entries: Mutex::default() }
    }

    /// The directory, made if it is missing.
    pub(crate) fn ensure_directory(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        if !path.is_dir() {
            return self.create_directory(path, mode);
        }
        let mut entries = self.entries();
        // A crash may have come between the making and the flush.
        if entries.known.insert(path.to_owned()) {
            entries.made(path);
        }
        Ok(())
    }

    pub(crate) fn create_directory(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        self.run(Action::CreateDirectory, path, || DirBuilder::new().mode(mode).create(path))?;
        let mut entries = self.entries();
        entries.known.insert(path.to_owned());
        entries.made(path);
        Ok(())
    }

    /// A file that was not there, with its mode from the start, written and flushed. Its entry is not.
    pub(crate) fn create_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), StoreError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let mut file = self.run(Action::CreateFile, path, || options.open(path))?;
        self.entries().made(path);
        self.run(Action::WriteFile, path, || file.write_all(content))?;
        self.run(Action::SyncFile, path, || file.sync_all())
    }

    /// The file with another content, by a rename: a reader sees the old one or the new one. All is flushed.
    pub(crate) fn replace_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), StoreError> {
        let unfinished = unfinished(path);
        self.remove_file(&unfinished)?;
        self.create_file(&unfinished, content, mode)?;
        self.rename(&unfinished, path)?;
        self.flush(path)
    }

    /// The symlink with another target, by a rename.
    pub(crate) fn replace_symlink(&self, path: &Path, target: &Path) -> Result<(), StoreError> {
        let unfinished = unfinished(path);
        self.remove_file(&unfinished)?;
        self.create_symlink(&unfinished, target)?;
        self.rename(&unfinished, path)
    }

    pub(crate) fn create_symlink(&self, path: &Path, target: &Path) -> Result<(), StoreError> {
        self.run(Action::CreateSymlink, path, || std::os::unix::fs::symlink(target, path))?;
        self.entries().made(path);
        Ok(())
    }

    /// Renames within one directory, or out of it: the directory that is left is the one that counts.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.run(Action::Rename, to, || fs::rename(from, to))?;
        let mut entries = self.entries();
        entries.gone(from);
        entries.made(from);
        Ok(())
    }

    /// Flushes the directories that lead to `path`, those in which something was made. What a failure leaves is for the
    /// next time; other certificates' directories are left alone, so that a broken one is in nobody's way.
    pub(crate) fn flush(&self, path: &Path) -> Result<(), StoreError> {
        let unflushed: Vec<PathBuf> = {
            let entries = self.entries();
            path.ancestors().filter(|above| entries.unflushed.contains(*above)).map(Path::to_owned).collect()
        };
        unflushed.iter().try_for_each(|directory| self.sync_directory(directory))
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> Result<(), StoreError> {
        self.run(Action::SyncDirectory, path, || File::open(path)?.sync_all())?;
        self.entries().unflushed.remove(path);
        Ok(())
    }

    /// Whether there was one.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<bool, StoreError> {
        self.run(Action::RemoveFile, path, || existed(fs::remove_file(path)))
    }

    /// Whether there was one. A symlink in it is removed, not followed.
    pub(crate) fn remove_directory(&self, path: &Path) -> Result<bool, StoreError> {
        let existed = self.run(Action::RemoveDirectory, path, || existed(fs::remove_dir_all(path)))?;
        self.entries().gone(path);
        Ok(existed)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        action: Action,
        path: &Path,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let change = Change::begin(|| format!("{action} {}", path.display()));
        let seen = self.observer.as_ref().map_or(Ok(()), |observer| observer(action, path));
        let done = seen.and_then(|()| operation()).map_err(|source| StoreError::io(action, path, source));
        change.end();
        done
    }
}

/// The content of a file, none when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::io(Action::Read, path, source)),
    }
}

/// The names in a directory, sorted; none when there is no directory. What is not UTF-8 is none of ours.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StoreError::io(Action::Read, path, source)),
    };
    let names: io::Result<Vec<OsString>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let names = names.map_err(|source| StoreError::io(Action::Read, path, source))?;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(UNFINISHED);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn existed(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
