//! A private key as PEM, of which nothing else is known.

use super::{ImportError, ImportedAccount, key};
use crate::key::AccountKey;
use std::path::Path;

pub(super) fn parse(text: &str, path: &Path) -> Result<ImportedAccount, ImportError> {
    if !text.contains("-----BEGIN") {
        return Err(unknown(text, path));
    }
    Ok(ImportedAccount {
        directory: None,
        account_url: None,
        contacts: Vec::new(),
        key: key(AccountKey::from_pem(text), path)?,
        origin: format!("key {}", path.display()),
    })
}

fn unknown(text: &str, path: &Path) -> ImportError {
    if text.lines().any(|line| line.starts_with("apiVersion:")) {
        let reason = "shows a Kubernetes object as YAML: print it with `kubectl get … -o json`";
        return ImportError::Field { path: path.into(), field: "apiVersion".into(), reason };
    }
    ImportError::NothingFound { path: path.into() }
}
