//! TLS towards the servers: with roots of the test's own, and ring.

use crate::StartError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a request may take: a server that hangs fails a test, it does not stop it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client that trusts these roots (PEM) alone, and finds `name` at `address`.
///
/// # Errors
/// The roots are no PEM certificates.
pub fn https_client(roots_pem: &str, resolve: &[(&str, SocketAddr)]) -> Result<reqwest::Client, StartError> {
    let config = client_config(roots_pem).map_err(|source| StartError::set_up("the HTTPS client", source))?;
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .user_agent("gatecert-testkit")
        .timeout(TIMEOUT)
        .no_proxy();
    for (name, address) in resolve {
        builder = builder.resolve(name, *address);
    }
    builder.build().map_err(|source| StartError::set_up("the HTTPS client", source))
}

/// Makes a TLS connection and gives the chain that was served, leaf first, after it was verified for `server_name`
/// against these roots (PEM).
///
/// # Errors
/// No connection, a chain that does not verify, or no answer within 30 seconds.
pub async fn served_chain(
    address: SocketAddr,
    server_name: &str,
    roots_pem: &str,
) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let handshake = tokio::time::timeout(TIMEOUT, handshake(address, server_name, roots_pem)).await;
    let chain = handshake.unwrap_or_else(|elapsed| Err(elapsed.into()));
    chain.map_err(|source| StartError::request("the TLS server", source))
}

async fn handshake(
    address: SocketAddr,
    server_name: &str,
    roots_pem: &str,
) -> Result<Vec<CertificateDer<'static>>, Box<dyn Error + Send + Sync>> {
    let connector = TlsConnector::from(Arc::new(client_config(roots_pem)?));
    let stream = TcpStream::connect(address).await?;
    let stream = connector.connect(ServerName::try_from(server_name.to_owned())?, stream).await?;
    let (_, connection) = stream.get_ref();
    Ok(connection
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|der| der.clone().into_owned())
        .collect())
}

fn client_config(roots_pem: &str) -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
