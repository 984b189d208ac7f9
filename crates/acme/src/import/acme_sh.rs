//! acme.sh: `ca/HOST/PATH/{account.key,ca.conf,account.json}`; older versions have no `PATH`.

use super::tree::{self, Tree};
use super::{
    ImportError, ImportedAccount, contacts, directories_below, https, json, key, known_directory, url,
};
use crate::key::AccountKey;
use serde::Deserialize;
use std::path::Path;
use url::Url;

const CLIENT: &str = "acme.sh";

/// What the CA answered.
#[derive(Default, Deserialize)]
struct Registration {
    #[serde(default)]
    contact: Vec<String>,
}

pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    tree.named("account.key").map(|path| account(tree, path)).collect()
}

fn account(tree: &Tree, path: &Path) -> Result<ImportedAccount, ImportError> {
    let conf_path = path.with_file_name("ca.conf");
    let conf = tree.read_if_present(&conf_path)?.unwrap_or_default();
    let registration_path = path.with_file_name("account.json");
    let registration: Registration = match tree.read_if_present(&registration_path)? {
        // acme.sh writes whatever the CA answered, an empty answer too.
        Some(text) if !text.trim().is_empty() => json(&text, &registration_path, CLIENT)?,
        _ => Registration::default(),
    };
    let account_url =
        setting(&conf, "ACCOUNT_URL").map(|text| url(text, &conf_path, "ACCOUNT_URL")).transpose()?;
    let mut addresses: Vec<&str> = registration.contact.iter().map(String::as_str).collect();
    if addresses.is_empty() {
        addresses.extend(setting(&conf, "CA_EMAIL"));
    }
    Ok(ImportedAccount {
        directory: directory(path, account_url.as_ref()),
        contacts: contacts(addresses),
        key: key(AccountKey::from_pem(&tree::read(path)?), path)?,
        origin: format!("{CLIENT} {}", path.display()),
        account_url,
    })
}

/// The value of a shell assignment, `NAME='value'`.
fn setting<'a>(conf: &'a str, name: &str) -> Option<&'a str> {
    let mut values = conf.lines().rev().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    // The last assignment counts when a shell reads the file.
    let value = values.next()?.trim();
    let unquoted = ['\'', '"'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty())
}

/// The directories below `ca` are the URL of the CA's directory without its port.
fn directory(path: &Path, account_url: Option<&Url>) -> Option<Url> {
    let components = directories_below("ca", path).unwrap_or_default();
    let mut directory = match components.as_slice() {
        [] => return known_directory::by_account_url(account_url),
        [host] => return known_directory::by_host(host),
        ca => https(ca)?,
    };
    if let Some(account_url) = account_url.filter(|url| url.host() == directory.host()) {
        directory.set_port(account_url.port()).ok()?;
    }
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let conf = "CA_EAB_KEY_ID='x'\nACCOUNT_URL='https://old.test/1'\n ACCOUNT_URL=\"https://new.test/2\"\nCA_EMAIL=''\n";
        assert_eq!(setting(conf, "ACCOUNT_URL"), Some("https://new.test/2"));
        assert_eq!(setting(conf, "CA_EMAIL"), None);
        assert_eq!(setting(conf, "CA_EAB_KEY"), None);
        assert_eq!(setting("A=b", "A"), Some("b"));
    }

    #[test]
    fn a_port_comes_from_the_account() {
        let account = Url::parse("https://localhost:14000/my-account/1").unwrap();
        let directory =
            |url| directory(Path::new("/x/ca/localhost/dir/account.key"), url).unwrap().to_string();
        assert_eq!(directory(Some(&account)), "https://localhost:14000/dir");
        assert_eq!(directory(None), "https://localhost/dir");
    }
}
