//! One writer at a time.

use crate::disk::Action;
use crate::error::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An exclusive `flock` on `DIR/.lock`, given up on drop and by the kernel when the process ends in any way.
///
/// The file stays: whoever removed it would let two writers lock two files of the same name.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    pub(crate) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(".lock");
        let failed = |source| StoreError::io(Action::Lock, &path, source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o640);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => write_holder(&mut file).map_err(failed)?,
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    directory: directory.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(Self { _file: file })
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// None in the instant between the holder's locking and its writing.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
