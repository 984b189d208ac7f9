//! certbot: `accounts/HOST/PATH/ID/{private_key.json,regr.json}`; the key is a private JWK.

use super::tree::{self, Tree};
use super::{
    ImportError, ImportedAccount, contacts, directories_below, https, json, key, known_directory, url,
};
use crate::key::AccountKey;
use serde::Deserialize;
use std::path::Path;
use url::Url;

const CLIENT: &str = "certbot";

/// `regr.json`.
#[derive(Default, Deserialize)]
struct Registration {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    body: Body,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    contact: Vec<String>,
}

pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    tree.named("private_key.json").map(|path| account(tree, path)).collect()
}

fn account(tree: &Tree, path: &Path) -> Result<ImportedAccount, ImportError> {
    let registration_path = path.with_file_name("regr.json");
    let registration = tree.read_if_present(&registration_path)?;
    let registration = registration.as_ref().map(|text| (text.as_str(), registration_path.as_path()));
    parse(&tree::read(path)?, registration, path)
}

/// The account of a `private_key.json` and, where there is one, a `regr.json`.
pub(super) fn parse(
    key_json: &str,
    registration: Option<(&str, &Path)>,
    path: &Path,
) -> Result<ImportedAccount, ImportError> {
    let (registration, registration_path) = match registration {
        Some((text, path)) => (json(text, path, CLIENT)?, path),
        None => (Registration::default(), path),
    };
    let account_url = registration.uri.map(|uri| url(&uri, registration_path, "uri")).transpose()?;
    Ok(ImportedAccount {
        directory: directory(path).or_else(|| known_directory::by_account_url(account_url.as_ref())),
        account_url: account_url.filter(|url| current_host(url).is_none()),
        contacts: contacts(registration.body.contact.iter().map(String::as_str)),
        key: key(AccountKey::from_jwk(key_json), path)?,
        origin: format!("{CLIENT} {}", path.display()),
    })
}

/// The directories between `accounts` and the account's own are the URL of the CA's directory.
fn directory(path: &Path) -> Option<Url> {
    let components = directories_below("accounts", path)?;
    let (_, ca) = components.split_last()?;
    let mut directory = https(ca)?;
    if let Some(host) = current_host(&directory) {
        directory.set_host(Some(host)).ok()?;
    }
    Some(directory)
}

/// Let's Encrypt took the accounts of its ACME v1 servers over to v2, and certbot links the one directory to the other.
fn current_host(url: &Url) -> Option<&'static str> {
    match url.host_str() {
        Some("acme-v01.api.letsencrypt.org") => Some("acme-v02.api.letsencrypt.org"),
        Some("acme-staging.api.letsencrypt.org") => Some("acme-staging-v02.api.letsencrypt.org"),
        _ => None,
    }
}
