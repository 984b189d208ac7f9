//! Accounts of other ACME clients: certbot, lego, acme.sh, Traefik, Caddy, cert-manager, and bare keys.
//!
//! [`discover`] takes a file or directory and recognises what it is; [`from_text`] takes the content of a file. Nothing
//! is written, and no error or log holds a byte of a key.
//!
//! | Store | What is read |
//! |---|---|
//! | certbot | `accounts/HOST/PATH/ID/{private_key.json,regr.json}` |
//! | lego 4, lego 5 | `accounts/HOST/ID/account.json` with `keys/ID.key` or `ID.key` |
//! | acme.sh | `ca/HOST/PATH/account.key` with `ca.conf` and `account.json` |
//! | Traefik | `acme.json` of version 1, 2 and 3 |
//! | Caddy | `acme/CA/users/EMAIL/USER.{json,key}` |
//! | cert-manager | Secrets and issuers as `kubectl get … -o json` prints them, or a mounted Secret's `tls.key` |
//! | key | a private key as PEM or JWK |
//!
//! Some stores do not say which CA an account is with. [`ImportedAccount::directory`] is given where the store says
//! it, or where the CA is a well-known one. An account's URL can always be found by its key
//! ([`Client::find_account`](crate::Client::find_account)).

mod acme_sh;
mod caddy;
mod cert_manager;
mod certbot;
mod known_directory;
mod lego;
mod pem;
mod traefik;
mod tree;

use crate::key::{AccountKey, KeyError};
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use tree::Tree;
use url::Url;

pub use tree::{MAX_DEPTH, MAX_ENTRIES, MAX_FILE_BYTES};

/// An account of another client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportedAccount {
    /// The directory URL of the CA, where it is known.
    pub directory: Option<Url>,
    /// The URL of the account, where it is known.
    pub account_url: Option<Url>,
    /// Contact URLs (`mailto:…`).
    pub contacts: Vec<String>,
    /// The key.
    pub key: AccountKey,
    /// The client and the file that the account comes from, for people.
    pub origin: String,
}

/// Why accounts can not be imported. No variant holds a byte of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or directory can not be read.
    #[error("`{path}` can not be read", path = path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than [`MAX_FILE_BYTES`].
    #[error("`{path}` is larger than {MAX_FILE_BYTES} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A directory has more than [`MAX_ENTRIES`] entries.
    #[error("`{path}` has more than {MAX_ENTRIES} entries: name the directory of the store itself", path = path.display())]
    TooManyEntries {
        /// The directory.
        path: PathBuf,
    },
    /// A file is no UTF-8.
    #[error("`{path}` is not a text", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A file is not the JSON that its client writes.
    #[error("`{path}` is not the JSON that {client} writes (line {line}, column {column})", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The client.
        client: &'static str,
        /// The line of the first error, from 1.
        line: usize,
        /// The column of the first error, from 1.
        column: usize,
    },
    /// A part of a file is missing or wrong.
    #[error("`{field}` in `{path}` {reason}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The part.
        field: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A key is broken, encrypted or of a kind that is not supported.
    #[error("the account key in `{path}` can not be used", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// Nothing of what is known was found.
    #[error("`{path}` holds no account of certbot, lego, acme.sh, Traefik, Caddy or cert-manager, and no private key", path = path.display())]
    NothingFound {
        /// The file or directory.
        path: PathBuf,
    },
}

/// The accounts of all stores at `path`, a file or a directory, each account once.
///
/// Directories are searched [`MAX_DEPTH`] levels deep; symbolic links that lead out of `path` are not followed.
///
/// # Errors
/// The first file that belongs to a known store and can not be read or understood; a path without any account.
pub fn discover(path: &Path) -> Result<Vec<ImportedAccount>, ImportError> {
    let metadata =
        std::fs::metadata(path).map_err(|source| ImportError::Read { path: path.into(), source })?;
    if !metadata.is_dir() {
        return from_text(&tree::read(path)?, path);
    }
    let tree = Tree::open(path)?;
    let stores = [
        certbot::accounts(&tree)?,
        lego::accounts(&tree)?,
        acme_sh::accounts(&tree)?,
        traefik::accounts(&tree)?,
        caddy::accounts(&tree)?,
        cert_manager::accounts(&tree)?,
    ];
    let accounts = once_each(stores.into_iter().flatten());
    if accounts.is_empty() { Err(ImportError::NothingFound { path: path.into() }) } else { Ok(accounts) }
}

/// The accounts in the content of one file: Traefik's `acme.json`, Kubernetes objects as JSON, a key as PEM or JWK.
/// `path` names the content in origins and errors and is not read.
///
/// # Errors
/// A text that is none of these, or broken.
pub fn from_text(text: &str, path: &Path) -> Result<Vec<ImportedAccount>, ImportError> {
    if !text.trim_start().starts_with('{') {
        return pem::parse(text, path).map(|account| vec![account]);
    }
    let members: std::collections::BTreeMap<String, serde::de::IgnoredAny> =
        json(text, path, "a known client")?;
    let accounts = if members.contains_key("kty") {
        vec![certbot::parse(text, None, path)?]
    } else if members.contains_key("kind") {
        cert_manager::parse(text, path)?
    } else {
        traefik::parse(text, path)?
    };
    if accounts.is_empty() { Err(ImportError::NothingFound { path: path.into() }) } else { Ok(accounts) }
}

/// Links and Secret mounts show one account in several places.
fn once_each(accounts: impl Iterator<Item = ImportedAccount>) -> Vec<ImportedAccount> {
    let mut seen = std::collections::HashSet::new();
    accounts.filter(|account| seen.insert((account.key.thumbprint(), account.directory.clone()))).collect()
}

/// The message of the JSON library may quote the content, a key for instance: only the place is kept.
fn json<T: DeserializeOwned>(text: &str, path: &Path, client: &'static str) -> Result<T, ImportError> {
    serde_json::from_str(text).map_err(|error| ImportError::Json {
        path: path.into(),
        client,
        line: error.line(),
        column: error.column(),
    })
}

fn url(text: &str, path: &Path, field: &str) -> Result<Url, ImportError> {
    let reason = "is not a URL";
    Url::parse(text).map_err(|_| ImportError::Field { path: path.into(), field: field.into(), reason })
}

fn key(key: Result<AccountKey, KeyError>, path: &Path) -> Result<AccountKey, ImportError> {
    key.map_err(|source| ImportError::Key { path: path.into(), source })
}

/// Contacts as URLs; stores have addresses with and without `mailto:`, and empty ones.
fn contacts<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let addresses = addresses.into_iter().map(str::trim).filter(|address| !address.is_empty());
    addresses
        .map(|address| if address.contains(':') { address.into() } else { format!("mailto:{address}") })
        .collect()
}

/// `https://HOST/PATH` of the directories that stores name after a CA's URL.
fn https(components: &[&str]) -> Option<Url> {
    if components.is_empty() { None } else { Url::parse(&format!("https://{}", components.join("/"))).ok() }
}

/// The names between the last directory called `name` and the file.
fn directories_below<'a>(name: &str, file: &'a Path) -> Option<Vec<&'a str>> {
    let components: Option<Vec<&str>> = file.parent()?.iter().map(|component| component.to_str()).collect();
    let components = components?;
    let start = components.iter().rposition(|component| *component == name)?;
    components.get(start + 1..).map(<[&str]>::to_vec)
}
