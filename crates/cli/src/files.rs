//! Files that options name.

use crate::error::Failure;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The largest file that an option may name, in bytes: a store of 200 root certificates has a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads a text file.
///
/// # Errors
/// A file that is missing, too large or no text; `what` says what it should be.
pub(crate) fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let failed =
        |why: String| Failure::usage(format!("{what} can not be read from `{}`: {why}", path.display()));
    let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}
