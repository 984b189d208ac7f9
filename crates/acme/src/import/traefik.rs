//! Traefik: `acme.json`, one object per certificate resolver; version 1 had one without a name.

use super::lego::Registration;
use super::tree::{self, Tree};
use super::{ImportError, ImportedAccount, json, key, known_directory};
use crate::key::AccountKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use zeroize::Zeroizing;

const CLIENT: &str = "Traefik";

/// The data of one resolver; its certificates are skipped.
#[derive(Deserialize)]
struct Resolver {
    #[serde(rename = "Account")]
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(rename = "Email")]
    email: Option<String>,
    #[serde(rename = "Registration")]
    registration: Option<Registration>,
    /// PKCS#1 DER in base64.
    #[serde(rename = "PrivateKey")]
    private_key: Option<Zeroizing<String>>,
}

pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    let mut accounts = Vec::new();
    for path in tree.named("acme.json") {
        accounts.extend(parse(&tree::read(path)?, path)?);
    }
    Ok(accounts)
}

/// The accounts of an `acme.json`.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<ImportedAccount>, ImportError> {
    // The file is empty before the first certificate.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let unnamed: Resolver = json(text, path, CLIENT)?;
    if let Some(account) = unnamed.account {
        return Ok(vec![imported(account, None, path)?]);
    }
    let resolvers: BTreeMap<String, Option<Resolver>> = json(text, path, CLIENT)?;
    let named = resolvers.into_iter().filter_map(|(name, resolver)| Some((name, resolver?.account?)));
    named.map(|(name, account)| imported(account, Some(&name), path)).collect()
}

fn imported(account: Account, resolver: Option<&str>, path: &Path) -> Result<ImportedAccount, ImportError> {
    let field =
        |name: &str| resolver.map_or_else(|| format!("Account.{name}"), |r| format!("{r}.Account.{name}"));
    let broken = |reason| ImportError::Field { path: path.into(), field: field("PrivateKey"), reason };
    let encoded = account.private_key.ok_or_else(|| broken("is missing"))?;
    let der = STANDARD.decode(encoded.as_str()).map(Zeroizing::new).map_err(|_| broken("is not base64"))?;
    let registration = account.registration.unwrap_or_default();
    let account_url = registration.account_url(path, &field("Registration"))?;
    Ok(ImportedAccount {
        directory: known_directory::by_account_url(account_url.as_ref()),
        account_url,
        contacts: registration.contacts(account.email.as_deref()),
        key: key(AccountKey::from_pkcs1_der(&der), path)?,
        origin: format!(
            "{CLIENT} {}{}",
            path.display(),
            resolver.map(|r| format!(" ({r})")).unwrap_or_default()
        ),
    })
}
