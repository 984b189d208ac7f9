//! The seam between the protocol and HTTP.

use async_trait::async_trait;
use bytes::Bytes;
use std::error::Error;
use std::fmt;

/// The largest response body that is read, in bytes. A chain of ten 4 KiB certificates or an order of a hundred names
/// is well under a tenth of it.
pub const MAX_RESPONSE_BYTES: usize = 512 * 1024;

/// Sends one HTTP request and reads the whole response.
///
/// An implementation follows no redirects (RFC 8555 has none, and a redirect would send a signed request elsewhere),
/// stops reading a body at [`MAX_RESPONSE_BYTES`], bounds the time of a request, and sets a `User-Agent` that names
/// its product (RFC 8555 §6.1).
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends `request`. Every HTTP status is a success here: an error is a request that got no whole response.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError>;
}

/// Why a request got no whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection: the request was not sent.
    Connect,
    /// A connection whose certificate is not trusted: the request was not sent.
    Untrusted,
    /// No whole response in time; the server may have acted on the request.
    TimedOut,
    /// The body is larger than [`MAX_RESPONSE_BYTES`].
    TooLarge,
    /// The connection broke; the server may have acted on the request.
    Broken,
}

/// A request that got no whole response.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl TransportError {
    /// An error of `kind` with the error that it comes from.
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// What went wrong.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl From<TransportErrorKind> for TransportError {
    fn from(kind: TransportErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TransportErrorKind::Connect => f.write_str("no connection"),
            TransportErrorKind::Untrusted => f.write_str("the server's TLS certificate is not trusted"),
            TransportErrorKind::TimedOut => f.write_str("no response in time"),
            TransportErrorKind::TooLarge => {
                write!(f, "the response is larger than {} KiB", MAX_RESPONSE_BYTES / 1024)
            }
            TransportErrorKind::Broken => f.write_str("the connection broke before the whole response came"),
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
