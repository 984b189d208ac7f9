//! The operations on files that everything written goes through, one at a time and flushed.

use crate::error::StoreError;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
#[derive(Clone, Default)]
pub(crate) struct Disk {
    observer: Option<Observer>,
}

impl Disk {
    pub(crate) fn observed(observer: Observer) -> Self {
        Self { observer: Some(observer) }
    }

    /// The directory, made if it is missing, and its entry flushed: a crash may have come between the two before.
    pub(crate) fn ensure_directory(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        if !path.is_dir() {
            self.create_directory(path, mode)?;
        }
        path.parent().map_or(Ok(()), |parent| self.sync_directory(parent))
    }

    pub(crate) fn create_directory(&self, path: &Path, mode: u32) -> Result<(), StoreError> {
        self.run(Action::CreateDirectory, path, || DirBuilder::new().mode(mode).create(path))
    }

    /// A file that was not there, with its mode from the start, written and flushed.
    pub(crate) fn create_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), StoreError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let mut file = self.run(Action::CreateFile, path, || options.open(path))?;
        self.run(Action::WriteFile, path, || file.write_all(content))?;
        self.run(Action::SyncFile, path, || file.sync_all())
    }

    /// The file with another content, by a rename: a reader sees the old one or the new one.
    pub(crate) fn replace_file(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), StoreError> {
        let unfinished = unfinished(path);
        self.remove_file(&unfinished)?;
        self.create_file(&unfinished, content, mode)?;
        self.rename(&unfinished, path)
    }

    /// The symlink with another target, by a rename.
    pub(crate) fn replace_symlink(&self, path: &Path, target: &Path) -> Result<(), StoreError> {
        let unfinished = unfinished(path);
        self.remove_file(&unfinished)?;
        self.create_symlink(&unfinished, target)?;
        self.run(Action::Rename, path, || fs::rename(&unfinished, path))
    }

    pub(crate) fn create_symlink(&self, path: &Path, target: &Path) -> Result<(), StoreError> {
        self.run(Action::CreateSymlink, path, || std::os::unix::fs::symlink(target, path))
    }

    /// Renames within one directory, or out of it, and flushes the directory that is left.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.run(Action::Rename, to, || fs::rename(from, to))?;
        from.parent().map_or(Ok(()), |parent| self.sync_directory(parent))
    }

    pub(crate) fn sync_directory(&self, path: &Path) -> Result<(), StoreError> {
        self.run(Action::SyncDirectory, path, || File::open(path)?.sync_all())
    }

    /// Whether there was one.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<bool, StoreError> {
        self.run(Action::RemoveFile, path, || existed(fs::remove_file(path)))
    }

    /// Whether there was one. A symlink in it is removed, not followed.
    pub(crate) fn remove_directory(&self, path: &Path) -> Result<bool, StoreError> {
        self.run(Action::RemoveDirectory, path, || existed(fs::remove_dir_all(path)))
    }

    fn run<T>(
        &self,
        action: Action,
        path: &Path,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let seen = self.observer.as_ref().map_or(Ok(()), |observer| observer(action, path));
        seen.and_then(|()| operation()).map_err(|source| StoreError::io(action, path, source))
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
