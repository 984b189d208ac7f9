//! Caddy (CertMagic): `acme/CA/users/EMAIL/USER.{json,key}`, where `CA` is the directory's URL made into a name.

use super::tree::{self, Tree};
use super::{ImportError, ImportedAccount, contacts, json, key, known_directory, url};
use crate::key::AccountKey;
use serde::Deserialize;
use std::path::Path;
use url::Url;

const CLIENT: &str = "Caddy";

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    contact: Option<Vec<String>>,
    /// Until 2020.
    #[serde(default, rename = "Email")]
    email: Option<String>,
    /// Until 2020.
    #[serde(default, rename = "Registration")]
    registration: Option<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    uri: Option<String>,
}

pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    let keys = tree.with_extension("key").filter(|path| tree.contains(&path.with_extension("json")));
    let keys = keys.filter_map(|path| Some((path, ca_name(path)?)));
    keys.map(|(path, ca)| account(path, ca)).collect()
}

/// `CA` of `CA/users/EMAIL/USER.key`.
fn ca_name(path: &Path) -> Option<&str> {
    let users = path.parent()?.parent()?;
    if users.file_name()? != "users" {
        return None;
    }
    users.parent()?.file_name()?.to_str()
}

fn account(path: &Path, ca: &str) -> Result<ImportedAccount, ImportError> {
    let registration_path = path.with_extension("json");
    parse(&tree::read(&registration_path)?, &registration_path, &tree::read(path)?, path, ca)
}

/// The account of a registration and its key file.
fn parse(
    text: &str,
    registration_path: &Path,
    pem: &str,
    path: &Path,
    ca: &str,
) -> Result<ImportedAccount, ImportError> {
    let account: Account = json(text, registration_path, CLIENT)?;
    let location = account.location.or_else(|| account.registration?.uri);
    let location = location.filter(|location| !location.is_empty());
    let account_url = location.map(|text| url(&text, registration_path, "location")).transpose()?;
    let addresses = account.contact.unwrap_or_default();
    let addresses = addresses.iter().map(String::as_str).chain(account.email.as_deref());
    Ok(ImportedAccount {
        directory: directory(ca),
        account_url,
        contacts: contacts(addresses),
        key: key(AccountKey::from_pem(pem), path)?,
        origin: format!("{CLIENT} {}", path.display()),
    })
}

/// The way back from a name to the URL is ambiguous, and the name has lost the case: only known CAs are recognised.
fn directory(ca: &str) -> Option<Url> {
    known_directory::all().find(|url| name(url) == ca)
}

/// Host and path in lower case, with `-` for the slashes.
fn name(directory: &Url) -> String {
    let path = directory.path().trim_matches('/').replace('/', "-");
    format!("{}-{path}", directory.host_str().unwrap_or_default()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cas() {
        let directory = |ca| directory(ca).map(|url| url.to_string());
        assert_eq!(directory("acme-v02.api.letsencrypt.org-directory").unwrap(), crate::LETS_ENCRYPT);
        assert_eq!(directory("acme.zerossl.com-v2-dv90").unwrap(), "https://acme.zerossl.com/v2/DV90");
        assert_eq!(directory("ca.example.test-acme-acme-directory"), None);
    }
}
