//! Where Envoys connect: a Unix socket or TCP with mutual TLS.

use super::connection::Socket;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use zeroize::Zeroizing;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// What a server on TCP shows, and whom it lets in.
#[derive(Clone, PartialEq, Eq)]
pub struct MutualTls {
    /// The server's chain in PEM, leaf first.
    pub certificate_pem: String,
    /// The key of its leaf, in PEM.
    pub key_pem: Zeroizing<String>,
    /// The roots in PEM that an Envoy's certificate has to lead to. Whoever has one of those gets every key that is served, so
    /// this is a CA of its own.
    pub client_ca_pem: String,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SdsError {
    /// A server answers on the socket already.
    #[error("another server listens on `{}`; end it, or choose another path", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// There is something else where the socket should be.
    #[error("`{}` is there and is no socket; move it away, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The Unix socket can not be made.
    #[error("could not listen on `{}`", path.display())]
    Unix {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address can not be listened on.
    #[error("could not listen on {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate, key or client CA are not what they should be.
    #[error("the certificate, the key or the client CA of the SDS server can not be used")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server ended before it was told to.
    #[error("the SDS server ended")]
    Serve(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A socket in the file system, which goes when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Binds beside the path and moves the socket there: it has its mode before anybody can connect, and takes the place of one that
/// a killed process left, in one step.
pub(super) fn unix(path: &Path, mode: u32) -> Result<(Socket, SocketFile), SdsError> {
    let failed = |source| SdsError::Unix { path: path.to_owned(), source };
    check_free(path)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let hidden = tempfile::Builder::new().prefix(".sds").rand_bytes(4).tempdir_in(folder);
    // The name of what could not be made says nothing.
    let hidden = hidden.map_err(|error| failed(error.kind().into()))?;
    let bound = hidden.path().join("s");
    let listener = UnixListener::bind(&bound).map_err(failed)?;
    fs::set_permissions(&bound, Permissions::from_mode(mode)).map_err(failed)?;
    let inode = fs::metadata(&bound).map_err(failed)?.ino();
    fs::rename(&bound, path).map_err(failed)?;
    let file = SocketFile { path: path.to_owned(), inode };
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((Socket::Unix(tokio::net::UnixListener::from_std(listener).map_err(failed)?), file))
}

fn check_free(path: &Path) -> Result<(), SdsError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SdsError::Unix { path: path.to_owned(), source }),
        Ok(found) if !found.file_type().is_socket() => Err(SdsError::NotASocket { path: path.to_owned() }),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(SdsError::InUse { path: path.to_owned() }),
            // Nobody listens: its server was killed.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
                Ok(())
            }
            Err(source) => Err(SdsError::Unix { path: path.to_owned(), source }),
        },
    }
}

/// Binds an address.
pub(super) fn tcp(address: SocketAddr) -> Result<Socket, SdsError> {
    let failed = |source| SdsError::Tcp { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Socket::Tcp(tokio::net::TcpListener::from_std(listener).map_err(failed)?))
}

impl MutualTls {
    pub(super) fn config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate_pem, &*self.key_pem))
            .client_ca_root(Certificate::from_pem(&self.client_ca_pem))
            .client_auth_optional(false)
            .timeout(HANDSHAKE_TIME)
    }
}

impl fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutualTls")
            .field("certificate_pem", &self.certificate_pem)
            .field("key_pem", &"[redacted]")
            .field("client_ca_pem", &self.client_ca_pem)
            .finish()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // One that stays is taken over by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}
