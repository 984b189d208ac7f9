//! A client of one CA: its directory, its nonces, its connections.

use crate::clock::{Clock, SystemClock};
use crate::directory::{Directory, DirectoryError};
use crate::jws::KeyId;
use crate::key::AccountKey;
use crate::reply::Reply;
use crate::request::{Call, Connection, Repeat, RequestError};
use crate::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use url::{Host, Url};

/// A client of one CA. Cloning is cheap and shares connections and nonces: one client for each directory is enough
/// for a whole program, however many accounts and orders.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory_url: Url,
    directory: Directory,
    connection: Connection,
}

/// Makes a [`Client`].
#[derive(Debug)]
pub struct ClientBuilder {
    directory_url: Url,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Begins a client of the CA with this directory URL.
    pub fn builder(directory_url: Url) -> ClientBuilder {
        ClientBuilder { directory_url, transport: None, clock: Arc::new(SystemClock) }
    }

    /// The CA's directory, as fetched when the client was built.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The URL of the directory.
    pub fn directory_url(&self) -> &Url {
        &self.0.directory_url
    }

    /// The clock that the client uses.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.0.connection.clock()
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<Reply, RequestError> {
        self.0.connection.call(&Call::Get(url), Repeat::Safe).await
    }

    pub(crate) async fn post(
        &self,
        (key, key_id): (&AccountKey, KeyId<'_>),
        url: &Url,
        payload: &[u8],
        repeat: Repeat,
    ) -> Result<Reply, RequestError> {
        let new_nonce = &self.directory().new_nonce;
        self.0.connection.call(&Call::Post { url, key, key_id, payload, new_nonce }, repeat).await
    }
}

impl ClientBuilder {
    /// Uses this transport; without it, the default one with Mozilla's roots (feature `reqwest`).
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Uses this clock; without it, the operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Fetches the directory and gives the client.
    ///
    /// # Errors
    /// A URL that is not https (http is taken for `localhost` and loopback addresses), a directory that can not be
    /// fetched or read.
    pub async fn build(self) -> Result<Client, DirectoryError> {
        if !is_acceptable(&self.directory_url) {
            return Err(DirectoryError::Insecure { url: self.directory_url });
        }
        let transport = self.transport.map_or_else(default_transport, Ok)?;
        let connection = Connection::new(transport, self.clock, self.directory_url.scheme());
        let reply = connection
            .call(&Call::Get(&self.directory_url), Repeat::Safe)
            .await
            .map_err(|source| DirectoryError::Fetch { source })?;
        let directory = Directory::from_reply(&reply)?;
        Ok(Client(Arc::new(Inner { directory_url: self.directory_url, directory, connection })))
    }
}

fn is_acceptable(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => IpAddr::from(address).is_loopback(),
        ("http", Some(Host::Ipv6(address))) => IpAddr::from(address).is_loopback(),
        _ => false,
    }
}

#[cfg(feature = "reqwest")]
fn default_transport() -> Result<Arc<dyn Transport>, DirectoryError> {
    let transport = crate::HttpTransport::builder().build();
    transport
        .map(|transport| Arc::new(transport) as Arc<dyn Transport>)
        .map_err(|source| DirectoryError::Transport { source: source.into() })
}

#[cfg(not(feature = "reqwest"))]
fn default_transport() -> Result<Arc<dyn Transport>, DirectoryError> {
    Err(DirectoryError::NoTransport)
}
