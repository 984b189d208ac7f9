//! The domains by which a CA is meant in CAA records.

use super::address::is_public;
use super::issuer::Meant;
use crate::args::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatecert_acme::{Client, Clock, HttpTransport, LETS_ENCRYPT, LETS_ENCRYPT_STAGING};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long the CA's directory may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most domains that are kept of a directory.
const MAX_IDENTITIES: usize = 16;

/// Let's Encrypt's, staging included (letsencrypt.org/docs/caa).
const OF_LETS_ENCRYPT: &str = "letsencrypt.org";

/// What the directory of the issuer, or else of the options, says; nothing where it can not be asked.
pub(super) async fn identities(
    authority: &Authority,
    meant: Option<&Meant>,
    is_private_allowed: bool,
    clock: Arc<dyn Clock>,
) -> Vec<String> {
    let spec = meant.and_then(|meant| meant.found.as_ref()).map(|(spec, _)| spec);
    let directory = match spec {
        Some(spec) => spec.directory().parse::<Url>().ok(),
        None => Some(authority.server.clone()),
    };
    let Some(directory) = directory else { return Vec::new() };
    if [LETS_ENCRYPT, LETS_ENCRYPT_STAGING].contains(&directory.as_str()) {
        return vec![OF_LETS_ENCRYPT.to_owned()];
    }
    // Whoever wrote the issuer chose the URL: it is asked only where it leads to the Internet.
    if spec.is_some() && !is_private_allowed && !leads_outside(&directory).await {
        return Vec::new();
    }
    let transport = match spec {
        Some(spec) => of_bundle(spec.ca_bundle.as_deref(), spec.skip_tls_verify == Some(true)),
        None => crate::authority::transport(authority).ok(),
    };
    let Some(transport) = transport else { return Vec::new() };
    let client = Client::builder(directory).transport(Arc::new(transport)).clock(clock);
    let Ok(Ok(client)) = tokio::time::timeout(TIMEOUT, client.build()).await else { return Vec::new() };
    client.directory().meta.caa_identities.iter().take(MAX_IDENTITIES).map(|one| one.to_lowercase()).collect()
}

async fn leads_outside(directory: &Url) -> bool {
    let (Some(host), Some(port)) = (directory.host_str(), directory.port_or_known_default()) else {
        return false;
    };
    let host = host.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, port)).await;
    found.is_ok_and(|mut found| found.all(|address| is_public(&address.ip())))
}

fn of_bundle(bundle: Option<&str>, is_unverified: bool) -> Option<HttpTransport> {
    let mut builder = HttpTransport::builder().timeout(TIMEOUT);
    if let Some(bundle) = bundle {
        let text: String = bundle.split_whitespace().collect();
        builder = builder.root_certificates_pem(&String::from_utf8(STANDARD.decode(text).ok()?).ok()?);
    }
    if is_unverified {
        builder = builder.danger_skip_verification();
    }
    builder.build().ok()
}
