//! What goes wrong with files, and what to do about it.

use crate::certificate::InvalidCertificate;
use crate::disk::Action;
use crate::name::CertificateName;
use crate::record::FORMAT;
use std::io;
use std::path::{Path, PathBuf};

/// Why a directory of certificates could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process writes to the directory, or another [`crate::FileStore`] in this one.
    #[error(
        "the directory `{}` is in use by {}; wait for it to end",
        directory.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        directory: PathBuf,
        /// The process id that the holder left in the lock file.
        holder: Option<u32>,
    },
    /// There is no such directory to read.
    #[error("there is no directory `{}`: nothing was published there yet", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory has a name that `sds.yaml` can not hold.
    #[error("the path `{}` is not UTF-8, which Envoy's configuration needs; choose another directory", directory.display())]
    NotUtf8 {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no certificate of that name to change.
    #[error("no certificate `{name}` is published")]
    NotPublished {
        /// The name.
        name: CertificateName,
    },
    /// The file system refused.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: Action,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be. It is left as it is.
    #[error("`{}` {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A file's content is not the JSON that it should be. It is left as it is.
    #[error("`{}` is no certificate record; restore it, or issue the certificate again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is to be written has no form as JSON or YAML: a path that is not UTF-8.
    #[error("could not express the content of `{}`", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    pub(crate) fn io(action: Action, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, damage: Damage) -> Self {
        Self::Damaged { path: path.to_owned(), damage }
    }
}

/// What is wrong with a file or a symlink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// `current` is a file or a directory.
    #[error("is not a symlink to a directory in `versions`; move it away and issue the certificate again")]
    NotASymlink,
    /// `current` leads elsewhere.
    #[error(
        "leads to `{}`, not to a directory in `versions`; point it there, or remove it and issue the certificate again",
        target.display()
    )]
    Outside {
        /// Where it leads.
        target: PathBuf,
    },
    /// A file of the pair is missing, or the directory that `current` leads to.
    #[error("is missing; restore it, or issue the certificate again")]
    Missing,
    /// A file of the pair does not hold what it should.
    #[error("is damaged: {0}; restore it, or issue the certificate again")]
    Pem(InvalidCertificate),
    /// A file of the pair is not text.
    #[error("is damaged: it is not UTF-8; restore it, or issue the certificate again")]
    NotText,
    /// `cert.json` was written by a later gatecert.
    #[error(
        "has format {version}, and this gatecert knows formats up to {FORMAT}; use the gatecert that wrote it"
    )]
    NewerFormat {
        /// The format.
        version: u32,
    },
    /// `cert.json` belongs to another certificate: the directory was renamed or copied.
    #[error("is the record of `{name}`; give its directory that name, or issue the certificate again")]
    OtherName {
        /// The certificate it belongs to.
        name: CertificateName,
    },
    /// A file of someone else is where a symlink to the current version should be.
    #[error("is not the symlink to `{}` that it should be; move it away", target.display())]
    Foreign {
        /// Where the symlink should lead.
        target: PathBuf,
    },
    /// The number of the next version does not exist.
    #[error("has the highest number that a version can have; rename it to a lower one that is free")]
    LastVersion,
}

/// Why a certificate was not published, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It is nothing that could be published; nothing was touched.
    #[error("the certificate `{name}` can not be published")]
    Invalid {
        /// Its name.
        name: CertificateName,
        /// Why.
        source: InvalidCertificate,
    },
    /// The one before it, if any, is still the current one.
    #[error("the certificate `{name}` was not published, and what was there before is still in use")]
    NotPublished {
        /// Its name.
        name: CertificateName,
        /// The step that failed.
        source: StoreError,
    },
    /// It is the current one, and will not be lost to anything but a power failure, but a step after the switch failed.
    /// The next [`crate::FileStore::open`] makes up for it.
    #[error("the certificate `{name}` is in place, but not all that goes with it")]
    Unfinished {
        /// Its name.
        name: CertificateName,
        /// The step that failed.
        source: StoreError,
    },
}

impl PublishError {
    /// Whether the certificate is in place all the same.
    pub fn is_in_place(&self) -> bool {
        matches!(self, Self::Unfinished { .. })
    }
}
