//! The default transport: reqwest with rustls on ring.

use crate::transport::{MAX_RESPONSE_BYTES, Transport, TransportError, TransportErrorKind};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole request may take, unless the builder says otherwise. Let's Encrypt answers within seconds; some
/// CAs take most of a minute to finalize an order.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The protocols that are offered (RFC 7301, RFC 9113 section 3.2).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

const PRODUCT: &str = concat!("gatecert/", env!("CARGO_PKG_VERSION"));

/// HTTP/1.1 and HTTP/2 over TLS, without redirects, with Mozilla's root certificates or one's own.
///
/// Proxies are taken from the environment (`HTTPS_PROXY`, `NO_PROXY`).
#[derive(Clone, Debug)]
pub struct HttpTransport(reqwest::Client);

/// Makes an [`HttpTransport`].
#[derive(Debug, Default)]
pub struct HttpTransportBuilder {
    is_unverified: bool,
    roots: Option<Result<RootCertStore, HttpTransportError>>,
    user_agent_suffix: Option<String>,
    timeout: Option<Duration>,
}

/// Why an [`HttpTransport`] can not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTransportError {
    /// The text has no certificate in PEM.
    #[error("the CA file holds no PEM certificate")]
    NoCertificate,
    /// A PEM block can not be read.
    #[error("the CA file is not well-formed PEM")]
    Pem(#[source] Box<dyn Error + Send + Sync>),
    /// A certificate can not be a root.
    #[error("a certificate of the CA file can not be used as a root")]
    Root(#[source] Box<dyn Error + Send + Sync>),
    /// TLS can not be set up.
    #[error("TLS can not be set up")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The User-Agent's suffix is not printable ASCII, or reqwest refuses the settings.
    #[error("the HTTP client can not be set up")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl HttpTransport {
    /// Begins a transport.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder::default()
    }
}

impl HttpTransportBuilder {
    /// Trusts the certificates of this PEM text, and no others.
    pub fn root_certificates_pem(mut self, pem: &str) -> Self {
        self.roots = Some(roots_of(pem));
        self
    }

    /// Does not check the server's certificate. For test CAs only: whoever is between can issue in your name.
    pub fn danger_skip_verification(mut self) -> Self {
        self.is_unverified = true;
        self
    }

    /// Adds the caller's product to the `User-Agent` behind this crate's, `my-program/1.0` for instance.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent_suffix = Some(suffix.into());
        self
    }

    /// Bounds the time of one request; 60 seconds without it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Gives the transport.
    ///
    /// # Errors
    /// Roots that can not be read, a suffix that is no header value.
    pub fn build(self) -> Result<HttpTransport, HttpTransportError> {
        let roots =
            self.roots.unwrap_or_else(|| Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpTransportError::Tls(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if self.is_unverified {
            tls.dangerous().set_certificate_verifier(Arc::new(Unverified(provider)));
        }
        // reqwest takes a configuration as it is, and a client that names no protocol gets HTTP/1.1: a connection for each
        // request under way, where one does for all.
        tls.alpn_protocols = ALPN.map(Vec::from).to_vec();
        let user_agent =
            self.user_agent_suffix.map_or_else(|| PRODUCT.into(), |suffix| format!("{PRODUCT} {suffix}"));
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(self.timeout.unwrap_or(REQUEST_TIMEOUT))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map(HttpTransport)
            .map_err(|error| HttpTransportError::Client(error.into()))
    }
}

/// Takes every certificate. The signature of the handshake is checked all the same.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn roots_of(pem: &str) -> Result<RootCertStore, HttpTransportError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| HttpTransportError::Pem(error.into()))?;
        roots.add(certificate).map_err(|error| HttpTransportError::Root(error.into()))?;
    }
    if roots.is_empty() {
        return Err(HttpTransportError::NoCertificate);
    }
    Ok(roots)
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        let response = self.0.execute(request).await.map_err(failure)?;
        let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
        let mut whole = http::Response::new(body_of(response).await?);
        *whole.status_mut() = status;
        *whole.version_mut() = version;
        *whole.headers_mut() = headers;
        Ok(whole)
    }
}

async fn body_of(mut response: reqwest::Response) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(TransportErrorKind::TooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn failure(error: reqwest::Error) -> TransportError {
    let kind = match &error {
        error if is_untrusted(error) => TransportErrorKind::Untrusted,
        error if error.is_connect() || error.is_builder() => TransportErrorKind::Connect,
        error if error.is_timeout() => TransportErrorKind::TimedOut,
        _ => TransportErrorKind::Broken,
    };
    // The request's URL is in the error that this becomes the source of.
    TransportError::new(kind, error.without_url())
}

/// Whether the server's certificate was the reason. rustls' error is inside `io::Error`s, whose `source` skips it.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => is_untrusted(inner),
        None => error.source().is_some_and(is_untrusted),
    }
}
