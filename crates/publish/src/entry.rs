//! The directory of one certificate: where its files are, and which version is the current one.

use crate::certificate::{Certificate, InvalidCertificate};
use crate::disk::{self, Action};
use crate::error::{Damage, StoreError};
use crate::name::CertificateName;
use crate::record::{Record, Unreadable};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const CERTIFICATE: &str = "tls.crt";
pub(crate) const KEY: &str = "tls.key";
pub(crate) const CHAIN: &str = "chain.pem";
pub(crate) const RECORD: &str = "cert.json";
const CURRENT: &str = "current";
const VERSIONS: &str = "versions";

/// Where the files of a published certificate are: absolute paths that stay the same when it is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The directory of the certificate, which Envoy watches.
    pub directory: PathBuf,
    /// `tls.crt`: the chain, leaf first.
    pub certificate: PathBuf,
    /// `tls.key`: the private key, mode 0600.
    pub key: PathBuf,
    /// `chain.pem`: the intermediates alone; empty if there are none.
    pub chain: PathBuf,
    /// `cert.json`: the [`Record`].
    pub record: PathBuf,
    /// `sds.yaml`, for Envoy's `path_config_source`.
    pub sds: PathBuf,
}

/// The number of a publication, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32);

/// The directory of one certificate.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    directory: PathBuf,
    name: CertificateName,
}

impl Entry {
    pub(crate) fn new(store: &Path, name: &CertificateName) -> Self {
        Self { directory: store.join(name.as_str()), name: name.clone() }
    }

    pub(crate) fn name(&self) -> &CertificateName {
        &self.name
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn current_link(&self) -> PathBuf {
        self.directory.join(CURRENT)
    }

    pub(crate) fn versions(&self) -> PathBuf {
        self.directory.join(VERSIONS)
    }

    pub(crate) fn version(&self, version: Version) -> PathBuf {
        self.versions().join(version.to_string())
    }

    pub(crate) fn files(&self) -> CertificateFiles {
        let file = |name| self.directory.join(name);
        CertificateFiles {
            directory: self.directory.clone(),
            certificate: file(CERTIFICATE),
            key: file(KEY),
            chain: file(CHAIN),
            record: file(RECORD),
            sds: file("sds.yaml"),
        }
    }

    /// Whether there is a directory, with nothing in it but the symlinks and an empty directory of versions.
    pub(crate) fn is_as_prepared(&self) -> Result<bool, StoreError> {
        let mut expected: Vec<_> = self.links().into_iter().map(|(link, _)| link).collect();
        expected.push(self.versions());
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            entries => entries.map_err(|source| StoreError::io(Action::Read, &self.directory, source))?,
        };
        let is_expected =
            |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| expected.contains(&entry.path()));
        let is_ours = entries.into_iter().all(is_expected);
        Ok(is_ours && disk::names_in(&self.versions())?.is_empty())
    }

    /// The symlinks that lead through `current`, each with its target.
    pub(crate) fn links(&self) -> [(PathBuf, PathBuf); 4] {
        [CERTIFICATE, KEY, CHAIN, RECORD]
            .map(|file| (self.directory.join(file), Path::new(CURRENT).join(file)))
    }

    /// What `current` should lead to.
    pub(crate) fn target(version: Version) -> PathBuf {
        Path::new(VERSIONS).join(version.to_string())
    }

    /// The version that `current` leads to, whether or not it is there; none when nothing was published.
    pub(crate) fn current(&self) -> Result<Option<Version>, StoreError> {
        let link = self.current_link();
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // What readlink says of anything that is no symlink.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(StoreError::damaged(&link, Damage::NotASymlink));
            }
            Err(source) => return Err(StoreError::io(Action::Read, &link, source)),
        };
        let name = target.strip_prefix(VERSIONS).ok().and_then(Path::to_str);
        match name.and_then(Version::parse) {
            Some(version) => Ok(Some(version)),
            None => Err(StoreError::damaged(&link, Damage::Outside { target })),
        }
    }

    /// The versions that are there, in order, current or not.
    pub(crate) fn all_versions(&self) -> Result<Vec<Version>, StoreError> {
        let names = disk::names_in(&self.versions())?;
        let mut versions: Vec<Version> = names.iter().filter_map(|name| Version::parse(name)).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// A number above all that are there and above the current one, so that nothing is overwritten.
    pub(crate) fn next_version(&self, current: Option<Version>) -> Result<Version, StoreError> {
        let Some(last) = self.all_versions()?.into_iter().chain(current).max() else {
            return Ok(Version(1));
        };
        let next = last.0.checked_add(1).map(Version);
        next.ok_or_else(|| StoreError::damaged(&self.version(last), Damage::LastVersion))
    }

    pub(crate) fn read(&self, version: Version) -> Result<Certificate, StoreError> {
        let directory = self.version(version);
        let certificate = Certificate {
            record: self.read_record(version)?,
            chain_pem: text(&directory.join(CERTIFICATE))?.to_string(),
            key_pem: text(&directory.join(KEY))?,
        };
        match certificate.check() {
            Ok(()) => Ok(certificate),
            Err(wrong) => {
                let file = if wrong == InvalidCertificate::NoKey { KEY } else { CERTIFICATE };
                Err(StoreError::damaged(&directory.join(file), Damage::Pem(wrong)))
            }
        }
    }

    pub(crate) fn read_record(&self, version: Version) -> Result<Record, StoreError> {
        let path = self.version(version).join(RECORD);
        let record = Record::from_json(&present(&path)?).map_err(|wrong| match wrong {
            Unreadable::Json(source) => StoreError::Record { path: path.clone(), source: source.into() },
            Unreadable::Newer(version) => StoreError::damaged(&path, Damage::NewerFormat { version }),
        })?;
        if record.name != self.name {
            return Err(StoreError::damaged(&path, Damage::OtherName { name: record.name }));
        }
        Ok(record)
    }

    /// The record of a version whose pair is there: the key is not read, which takes rights that a reader may not have.
    pub(crate) fn read_listed(&self, version: Version) -> Result<Record, StoreError> {
        for file in [CERTIFICATE, KEY].map(|file| self.version(version).join(file)) {
            if !file.is_file() {
                return Err(StoreError::damaged(&file, Damage::Missing));
            }
        }
        self.read_record(version)
    }
}

fn present(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let content = disk::read(path)?.ok_or_else(|| StoreError::damaged(path, Damage::Missing))?;
    Ok(Zeroizing::new(content))
}

fn text(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let content = present(path)?;
    let text = std::str::from_utf8(&content).map_err(|_| StoreError::damaged(path, Damage::NotText))?;
    Ok(Zeroizing::new(text.to_owned()))
}

impl Version {
    /// The version whose directory has this name; what is not written as we do is none of ours.
    fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self).filter(|version| version.to_string() == name)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_they_are_written() {
        for number in [1, 999_999, 1_000_000, u32::MAX] {
            assert_eq!(Version::parse(&Version(number).to_string()), Some(Version(number)));
        }
        for other in
            ["", "1", "0000001", "+00001", "-00001", "00000a", "000001/..", "4294967296", ".new-000001"]
        {
            assert_eq!(Version::parse(other), None, "{other}");
        }
    }
}
