//! Manifests from files.

use crate::error::Failure;
use crate::output::Output;
use gatecert_migrate::{Document, InputError};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest text, in bytes. A list of 50,000 Certificates, as `kubectl get` prints it, has about as much.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The most files in all: each is read into memory as objects, one after the other.
const MAX_FILES: usize = 4096;

/// The most text in all, in bytes: as much as one file may have.
const MAX_TOTAL: usize = 64 * 1024 * 1024;

/// The documents of all files, and what is wrong with those that can not be read as YAML. Directories in directories are told
/// of.
///
/// # Errors
/// A file or directory that can not be read at all.
pub(super) fn read(paths: &[PathBuf], output: &Output) -> Result<(Vec<Document>, Vec<InputError>), Failure> {
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    let mut total = 0;
    for path in expanded(paths, output)? {
        let text = text(&path)?;
        total += text.len();
        if total > MAX_TOTAL {
            return Err(Failure::usage(format!("the inputs have more than {MAX_TOTAL} bytes in all"))
                .hint("migrate some of them at a time"));
        }
        match Document::read(&name(&path), &text) {
            Ok(read) => documents.extend(read),
            Err(error) => errors.push(error),
        }
    }
    Ok((documents, errors))
}

/// Directories are their manifests, sorted by name; not those of directories in them, as with kubectl.
fn expanded(paths: &[PathBuf], output: &Output) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable =
            |error: std::io::Error| Failure::usage(format!("`{}` can not be read: {error}", path.display()));
        let (mut found, mut inside) = (Vec::new(), 0);
        for entry in path.read_dir().map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if is_manifest(&file) && file.is_file() {
                found.push(file);
            } else if !is_hidden(&file) && file.is_dir() {
                inside += 1;
            }
            if found.len() > MAX_FILES {
                break;
            }
        }
        if inside > 0 {
            let plural = if inside == 1 { "y" } else { "ies" };
            let path = path.display();
            output.warning(&format!("{inside} director{plural} in `{path}` not looked into: name each"));
        }
        if found.is_empty() {
            return Err(Failure::usage(format!(
                "there is no .yaml, .yml or .json file in `{}`",
                path.display()
            )));
        }
        found.sort();
        files.extend(found);
    }
    match files.len() {
        ..=MAX_FILES => Ok(files),
        _ => Err(Failure::usage(format!("there are more than {MAX_FILES} files"))),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}

fn text(path: &Path) -> Result<String, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("`{}` can not be read: {error}", path.display()));
    let source: Box<dyn Read> = match is_standard_input(path) {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut bytes = Vec::new();
    source.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::usage(format!("`{}` is larger than {MAX_FILE} bytes", path.display()))
            .hint("split it, or read the cluster itself with --cluster"));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(path, error.as_bytes()))
}

/// What UTF-16 begins with, the small end first or the large one.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

fn not_utf8(path: &Path, bytes: &[u8]) -> Failure {
    let failure = Failure::usage(format!("`{}` is no text in UTF-8", path.display()));
    match UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
        true => failure.hint(
            "it is in UTF-16, as `>` of PowerShell writes: `iconv -f UTF-16 -t UTF-8` makes UTF-8 of it",
        ),
        false => failure.hint("give manifests, which are written in UTF-8"),
    }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    match is_standard_input(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_encoding_is_told() {
        let hint = |bytes: &[u8]| not_utf8(Path::new("a.yaml"), bytes).hint.unwrap();
        assert!(hint(b"\xff\xfea\0").contains("iconv -f UTF-16"));
        assert!(hint(b"\xfe\xff\0a").contains("iconv -f UTF-16"));
        assert!(!hint(b"\xc3(").contains("UTF-16"));
    }
}
