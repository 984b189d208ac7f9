//! Reading a directory that somebody else wrote: everything is bounded.

use super::ImportError;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The largest file that is read, in bytes. Traefik keeps all certificates in one file: this is a thousand of 16 KiB.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// How many levels of directories are searched. certbot's accounts are 6 below `/etc/letsencrypt`.
pub const MAX_DEPTH: usize = 10;

/// The most files and directories that are looked at. certbot keeps four files for each certificate ever issued.
pub const MAX_ENTRIES: usize = 200_000;

/// The files of a directory and its subdirectories, in order.
pub(super) struct Tree {
    files: BTreeSet<PathBuf>,
}

impl Tree {
    /// Lists the files below `root`. Links to something outside of it are left out, and so is what was seen already.
    pub(super) fn open(root: &Path) -> Result<Self, ImportError> {
        let root = root.canonicalize().map_err(|source| ImportError::Read { path: root.into(), source })?;
        let mut walk = Walk::new(root, MAX_ENTRIES);
        walk.directory(&walk.root.clone(), 1)?;
        Ok(Self { files: walk.files })
    }

    /// The files with this name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Path> {
        self.files
            .iter()
            .map(PathBuf::as_path)
            .filter(move |path| path.file_name().is_some_and(|file| file == name))
    }

    /// The files in this directory itself that end like this.
    pub(super) fn in_directory(&self, directory: &Path, extension: &str) -> Vec<&Path> {
        let inside =
            self.files.range(directory.to_path_buf()..).take_while(|path| path.starts_with(directory));
        let inside = inside.filter(|path| path.parent() == Some(directory));
        inside.filter(|path| path.extension().is_some_and(|e| e == extension)).map(PathBuf::as_path).collect()
    }

    /// The files that end like this.
    pub(super) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &Path> {
        let all = self.files.iter().map(PathBuf::as_path);
        all.filter(move |path| path.extension().is_some_and(|e| e == extension))
    }

    /// Whether this file is there.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    /// The content of a file that may be absent.
    pub(super) fn read_if_present(&self, path: &Path) -> Result<Option<Zeroizing<String>>, ImportError> {
        if self.contains(path) { read(path).map(Some) } else { Ok(None) }
    }
}

/// The content of a file, wiped when dropped.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, ImportError> {
    let failed = |source| ImportError::Read { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { path: path.into() });
    }
    // Room for all from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { path: path.into() });
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new).map_err(|_| ImportError::NotText { path: path.into() })
}

struct Walk {
    root: PathBuf,
    files: BTreeSet<PathBuf>,
    visited: HashSet<PathBuf>,
    /// How many more entries may be looked at.
    allowance: usize,
}

impl Walk {
    fn new(root: PathBuf, allowance: usize) -> Self {
        Self { files: BTreeSet::new(), visited: HashSet::from([root.clone()]), root, allowance }
    }

    fn directory(&mut self, directory: &Path, depth: usize) -> Result<(), ImportError> {
        let failed = |source| ImportError::Read { path: directory.into(), source };
        let entries = fs::read_dir(directory).map_err(failed)?.take(self.allowance + 1);
        let mut entries: Vec<DirEntry> = entries.collect::<io::Result<_>>().map_err(failed)?;
        let Some(allowance) = self.allowance.checked_sub(entries.len()) else {
            return Err(ImportError::TooManyEntries { path: self.root.clone() });
        };
        self.allowance = allowance;
        entries.sort_by_key(DirEntry::file_name);
        entries.iter().try_for_each(|entry| self.entry(&entry.path(), depth))
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), ImportError> {
        // A link that leads nowhere is as good as none.
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        let Ok(metadata) = fs::metadata(&real) else { return Ok(()) };
        if !real.starts_with(&self.root) {
            return Ok(());
        }
        if metadata.is_file() {
            self.files.insert(path.to_path_buf());
        } else if metadata.is_dir() && depth < MAX_DEPTH && self.visited.insert(real) {
            self.directory(path, depth + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_over_all_directories() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        for directory in ["a", "b"] {
            fs::create_dir(path.join(directory)).unwrap();
            fs::write(path.join(directory).join("file"), "").unwrap();
        }
        let mut walk = Walk::new(path.clone(), 4);
        walk.directory(&path, 1).unwrap();
        assert_eq!(walk.files.len(), 2);
        let error = Walk::new(path.clone(), 3).directory(&path, 1).unwrap_err();
        assert!(matches!(error, ImportError::TooManyEntries { path: named } if named == path));
    }
}
