//! cert-manager: a Secret with the account key in `tls.key`, and the issuer that refers to it, as JSON from `kubectl`.

use super::tree::{self, Tree};
use super::{ImportError, ImportedAccount, contacts, json, key, known_directory, pem, url};
use crate::key::AccountKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use zeroize::Zeroizing;

const CLIENT: &str = "cert-manager";

/// One object, or a list of them.
#[derive(Deserialize)]
struct Object {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    /// Of a list.
    #[serde(default)]
    items: Vec<Self>,
    /// Of a Secret; other kinds have other things there.
    #[serde(default)]
    data: Option<Data>,
    /// Of an issuer.
    #[serde(default)]
    spec: Value,
    /// Of an issuer.
    #[serde(default)]
    status: Value,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Entries(BTreeMap<String, Zeroizing<String>>),
    Other(serde::de::IgnoredAny),
}

impl Object {
    /// The account key of a Secret; a Secret of a certificate has `tls.crt` beside its key.
    fn account_key(&self) -> Option<&str> {
        match &self.data {
            Some(Data::Entries(data)) if self.kind == "Secret" && !data.contains_key("tls.crt") => {
                data.get("tls.key").map(|text| text.as_str())
            }
            _ => None,
        }
    }

    /// The Secret that an ACME issuer refers to.
    fn key_reference(&self) -> Option<&str> {
        let is_issuer = matches!(self.kind.as_str(), "Issuer" | "ClusterIssuer");
        self.spec.pointer("/acme/privateKeySecretRef/name")?.as_str().filter(|_| is_issuer)
    }
}

/// The keys of mounted Secrets.
pub(super) fn accounts(tree: &Tree) -> Result<Vec<ImportedAccount>, ImportError> {
    let keys = tree.named("tls.key").filter(|path| !tree.contains(&path.with_file_name("tls.crt")));
    keys.map(|path| pem::parse(&tree::read(path)?, path)).collect()
}

/// The accounts of Kubernetes objects: those of the issuers, or of all Secrets where there is no issuer.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<ImportedAccount>, ImportError> {
    let object: Object = json(text, path, CLIENT)?;
    let objects = if object.kind.ends_with("List") { object.items } else { vec![object] };
    let issuers: Vec<&Object> = objects.iter().filter(|object| object.key_reference().is_some()).collect();
    if issuers.is_empty() {
        let secrets = objects.iter().filter(|object| object.account_key().is_some());
        return secrets.map(|secret| imported(secret, None, path)).collect();
    }
    issuers
        .into_iter()
        .map(|issuer| imported(secret_of(issuer, &objects, path)?, Some(issuer), path))
        .collect()
}

/// An Issuer's Secret is in its namespace, a ClusterIssuer's in cert-manager's own, which the objects do not tell.
fn secret_of<'a>(issuer: &Object, objects: &'a [Object], path: &Path) -> Result<&'a Object, ImportError> {
    let matches = |secret: &&Object| {
        secret.account_key().is_some()
            && Some(secret.metadata.name.as_str()) == issuer.key_reference()
            && (issuer.kind == "ClusterIssuer" || secret.metadata.namespace == issuer.metadata.namespace)
    };
    let field = || format!("{} {}: spec.acme.privateKeySecretRef", issuer.kind, issuer.metadata.name);
    let fail = |reason| ImportError::Field { path: path.into(), field: field(), reason };
    let mut secrets = objects.iter().filter(matches);
    let secret = secrets.next().ok_or_else(|| fail("names a Secret that is not among the objects"))?;
    if secrets.next().is_some() { Err(fail("names Secrets in several namespaces")) } else { Ok(secret) }
}

fn imported(secret: &Object, issuer: Option<&Object>, path: &Path) -> Result<ImportedAccount, ImportError> {
    let name = &secret.metadata.name;
    let broken =
        |reason| ImportError::Field { path: path.into(), field: format!("Secret {name}: tls.key"), reason };
    let encoded = secret.account_key().ok_or_else(|| broken("is missing"))?;
    let pem = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| broken("is not base64"))?;
    let pem = std::str::from_utf8(&pem).map_err(|_| broken("is not a text"))?;
    let text = |value: fn(&Object) -> &Value, pointer| {
        issuer.and_then(|issuer| value(issuer).pointer(pointer)?.as_str())
    };
    let account_url = text(|issuer| &issuer.status, "/acme/uri").filter(|uri| !uri.is_empty());
    let account_url = account_url.map(|uri| url(uri, path, "status.acme.uri")).transpose()?;
    let server = text(|issuer| &issuer.spec, "/acme/server");
    let directory = server.map(|server| url(server, path, "spec.acme.server")).transpose()?;
    Ok(ImportedAccount {
        directory: directory.or_else(|| known_directory::by_account_url(account_url.as_ref())),
        account_url,
        contacts: contacts(text(|issuer| &issuer.spec, "/acme/email")),
        key: key(AccountKey::from_pem(pem), path)?,
        origin: format!("{CLIENT} {} (Secret {name})", path.display()),
    })
}
