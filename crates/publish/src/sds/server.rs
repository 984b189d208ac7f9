//! The server.

use super::connection::Socket;
use super::listener::{self, MutualTls, SdsError, SocketFile};
use super::secrets::Secrets;
use super::service::service;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

/// How often an idle connection is asked whether the other side is still there, and how long that may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIME: Duration = Duration::from_secs(20);

/// Streams of one connection. An Envoy has one for each of its secrets.
const MAX_STREAMS_OF_CONNECTION: u32 = 256;

/// The most bytes of headers of one request; gRPC needs a few hundred.
const MAX_HEADERS: u32 = 16 * 1024;

/// How long the end of the last connections is waited for. Streams are ended at once; this is for what is being sent.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A bound socket. Envoys that connect before [`Self::serve`] wait for it.
pub struct SdsServer {
    socket: Socket,
    /// Removed when the server ends.
    file: Option<SocketFile>,
    address: Option<SocketAddr>,
    server: Server,
}

impl SdsServer {
    /// Listens on a Unix socket at this path, with this mode: 0600 for this user, 0660 for the group too. Whoever may write to
    /// the socket gets the private keys. One that a killed server left there is replaced. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When something else is in the way or a server answers there, and when the system refuses.
    pub fn bind_unix(path: impl AsRef<Path>, mode: u32) -> Result<Self, SdsError> {
        let (socket, file) = listener::unix(path.as_ref(), mode)?;
        Ok(Self { socket, file: Some(file), address: None, server: bounded() })
    }

    /// Listens on a TCP address, for clients with a certificate of the client CA alone. Must be called in a tokio runtime, and
    /// with one provider of cryptography built into rustls, or one installed for the process.
    ///
    /// # Errors
    /// When certificate, key or CA are no use, and when the system refuses the address.
    pub fn bind_tls(address: SocketAddr, tls: &MutualTls) -> Result<Self, SdsError> {
        let server = bounded().tls_config(tls.config()).map_err(|error| SdsError::Tls(error.into()))?;
        let socket = listener::tcp(address)?;
        let address = match &socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        };
        Ok(Self { socket, file: None, address, server })
    }

    /// The TCP address, if it is one: the port is the real one where 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Serves until `shutdown` completes; then streams end, what is being sent is sent, and a Unix socket is removed.
    ///
    /// # Errors
    /// When the server fails by itself.
    pub async fn serve(
        mut self,
        secrets: Secrets,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), SdsError> {
        let closing = CancellationToken::new();
        // Streams and connections end with the future too, not only with its completion.
        let _closing = closing.clone().drop_guard();
        let router = self.server.add_service(service(secrets, closing.clone()));
        let serving =
            router.serve_with_incoming_shutdown(self.socket.connections(), closing.clone().cancelled_owned());
        let mut serving = pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = shutdown => {
                closing.cancel();
                tokio::time::timeout(DRAIN_TIME, serving).await.unwrap_or(Ok(()))
            }
        };
        drop(self.file);
        ended.map_err(|error| SdsError::Serve(error.into()))
    }
}

fn bounded() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME))
        .max_concurrent_streams(MAX_STREAMS_OF_CONNECTION)
        .http2_max_header_list_size(MAX_HEADERS)
}

impl fmt::Debug for SdsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdsServer").field("socket", &self.socket).finish_non_exhaustive()
    }
}
