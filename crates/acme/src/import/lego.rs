//! lego: `accounts/HOST_PORT/ID/account.json` with the key in `keys/ID.key` (version 4) or `ID.key` (version 5).

use super::tree::{self, Tree};
use super::{ImportError, ImportedAccount, contacts, directories_below, json, key, known_directory, url};
use crate::key::AccountKey;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use url::Url;

const CLIENT: &str = "lego";

/// `account.json`.
#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    email: Option<String>,
    /// Version 5: the URL of the CA's directory.
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    registration: Option<Registration>,
}

/// What the CA answered; Traefik keeps it in the form of version 4, too.
#[derive(Default, Deserialize)]
pub(super) struct Registration {
    /// Version 4.
    #[serde(default)]
    uri: Option<String>,
    /// Version 4.
    #[serde(default)]
    body: Option<Contacts>,
    /// Version 5.
    #[serde(default, rename = "accountURL")]
    account_url: Option<String>,
    /// Version 5.
    #[serde(flatten)]
    contacts: Contacts,
}

#[derive(Default, Deserialize)]
struct Contacts {
    #[serde(default)]
    contact: Option<Vec<String>>,
}

impl Registration {
    /// The URL of the account.
    pub(super) fn account_url(&self, path: &Path, field: &str) -> Result<Option<Url>, ImportError> {
        let found = self.account_url.as_deref().or(self.uri.as_deref()).filter(|text| !text.is_empty());
        found.map(|text| url(text, path, field)).transpose()
    }

    /// The contacts that the CA has, or else the address that the store has.
    pub(super) fn contacts(&self, email: Option<&str>) -> Vec<String> {
        let registered = [self.body.as_ref(), Some(&self.contacts)].into_iter().flatten();
        let registered: Vec<&str> =
            registered.flat_map(|c| c.contact.iter().flatten()).map(String::as_str).collect();
        if registered.is_empty() { contacts(email) } else { contacts(registered) }
    }
}

/// acme.sh has files called `account.json` as well, but beside an `account.key`.
pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    let files = tree.named("account.json").filter(|path| !tree.contains(&path.with_file_name("account.key")));
    files.map(|path| account(tree, path)).collect()
}

fn account(tree: &Tree, path: &Path) -> Result<ImportedAccount, ImportError> {
    let missing = |reason| ImportError::Field { path: path.into(), field: "key".into(), reason };
    let key_path = match key_files(tree, path).as_slice() {
        [one] => one.clone(),
        [] => return Err(missing("is missing: there is no `.key` file beside it or in `keys`")),
        _ => return Err(missing("is ambiguous: there are several `.key` files")),
    };
    parse(&tree::read(path)?, path, &tree::read(&key_path)?, &key_path)
}

fn key_files(tree: &Tree, path: &Path) -> Vec<PathBuf> {
    let Some(directory) = path.parent() else { return Vec::new() };
    let keys = directory.join("keys");
    let found = [directory, &keys].into_iter().flat_map(|directory| tree.in_directory(directory, "key"));
    found.map(Path::to_path_buf).collect()
}

/// The account of an `account.json` and its key file.
fn parse(text: &str, path: &Path, pem: &str, key_path: &Path) -> Result<ImportedAccount, ImportError> {
    let account: Account = json(text, path, CLIENT)?;
    let registration = account.registration.unwrap_or_default();
    let account_url = registration.account_url(path, "registration")?;
    let server = account.server.filter(|server| !server.is_empty());
    let directory = match server.map(|server| url(&server, path, "server")).transpose()? {
        Some(directory) => Some(directory),
        None => directory(path).or_else(|| known_directory::by_account_url(account_url.as_ref())),
    };
    Ok(ImportedAccount {
        directory,
        account_url,
        contacts: registration
            .contacts(account.email.as_deref().filter(|email| *email != "noemail@example.com")),
        key: key(AccountKey::from_pem(pem), key_path)?,
        origin: format!("{CLIENT} {}", path.display()),
    })
}

/// The store has only the host of the CA, with `_` for the `:` before a port.
fn directory(path: &Path) -> Option<Url> {
    known_directory::by_host(directories_below("accounts", path)?.first()?)
}
