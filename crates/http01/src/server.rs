//! A ready server, for port 80 and for probes.

use crate::bind::{self, BindError};
use crate::connections::{Connections, Drained, OpenConnections, SETTLE_TIME};
use crate::health::Health;
use crate::limits::Limits;
use crate::listen_address::ListenAddress;
use crate::responder::Responder;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::Service;

/// The pause after a failed accept: without descriptors the next one fails at once, and the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bound sockets that serve HTTP/1.1 within [`Limits`]. They are listening from [`Server::bind`] on: a connection made before
/// [`Server::serve`] waits for it.
#[derive(Debug)]
pub struct Server {
    sockets: Vec<std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
    limits: Limits,
    health: Option<Health>,
}

impl Server {
    /// Binds the sockets of `address`. No runtime is needed yet, so that a program can bind first and give up its privileges then.
    ///
    /// Where an address stands for both families and the machine lacks one, the other alone is bound and a warning logged.
    ///
    /// # Errors
    /// When a socket can not be bound; see [`BindError`].
    pub fn bind(address: ListenAddress) -> Result<Self, BindError> {
        let sockets = bind::open(address)?;
        let addresses = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        Ok(Self { sockets, addresses, limits: Limits::default(), health: None })
    }

    /// Sets the bounds.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes `health` ready when serving begins and not ready when the shutdown does.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = Some(health);
        self
    }

    /// Where it listens: one address, or that of IPv4 and that of IPv6 with the same port.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown` is done. Then the sockets are closed, idle connections too, requests that have begun are answered, and
    /// what is left after [`Limits::drain_time`] is cut. Dropping the future cuts everything at once.
    ///
    /// # Errors
    /// Outside a tokio runtime, or when the runtime does not take the sockets.
    pub async fn serve<S>(self, service: S, shutdown: impl Future<Output = ()>) -> Result<Drained, ServeError>
    where
        S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        Ok(self.start()?.run(service, shutdown).await)
    }

    /// Serves in a task of the current runtime, until the handle is told to shut down or dropped.
    ///
    /// # Errors
    /// Outside a tokio runtime, or when the runtime does not take the sockets.
    pub fn spawn<S>(self, service: S) -> Result<ServerHandle, ServeError>
    where
        S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let addresses = self.addresses.clone();
        let running = self.start()?;
        let open = running.connections.gauge();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(running.run(service, async move { drop(stopped.await) }));
        Ok(ServerHandle { addresses, open, stop, task })
    }

    /// [`Server::spawn`] with a [`Responder`], compiled with this crate and not with the caller's: a program that is built
    /// for size answers as fast as this crate is built for.
    ///
    /// # Errors
    /// Outside a tokio runtime, or when the runtime does not take the sockets.
    #[inline(never)]
    pub fn spawn_responder(self, responder: Responder) -> Result<ServerHandle, ServeError> {
        self.spawn(responder)
    }

    fn start(self) -> Result<Running, ServeError> {
        Handle::try_current().map_err(|error| ServeError::NoRuntime(error.into()))?;
        let listeners = self.sockets.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>();
        let listeners = Listeners { sockets: listeners.map_err(ServeError::Register)?, first: 0 };
        Ok(Running {
            listeners,
            accepted: None,
            connections: Connections::new(self.limits),
            health: self.health,
        })
    }
}

/// Why a server can not serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It was started outside a tokio runtime.
    #[error("the server was started outside a tokio runtime")]
    NoRuntime(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The runtime does not take the listening sockets.
    #[error("the runtime does not take the listening sockets")]
    Register(#[source] io::Error),
    /// The task ended before it was told to: its runtime was shut down, or a service panicked.
    #[error("the server ended before it was told to")]
    Ended(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A server that runs in a task. Dropping the handle begins the same shutdown as [`ServerHandle::shutdown`], unattended.
#[derive(Debug)]
pub struct ServerHandle {
    addresses: Vec<SocketAddr>,
    open: OpenConnections,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

impl ServerHandle {
    /// Where it listens: one address, or that of IPv4 and that of IPv6 with the same port.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many connections are open; one more may be accepted and wait for its place.
    pub fn open_connections(&self) -> u32 {
        self.open.open()
    }

    /// Shuts down as [`Server::serve`] tells and waits for the end.
    ///
    /// # Errors
    /// When the server had ended before.
    pub async fn shutdown(self) -> Result<Drained, ServeError> {
        let Self { stop, task, .. } = self;
        drop(stop);
        task.await.map_err(|error| ServeError::Ended(error.into()))
    }
}

struct Running {
    listeners: Listeners,
    /// The connection that waits for its place.
    accepted: Option<TcpStream>,
    connections: Connections,
    health: Option<Health>,
}

impl Running {
    async fn run<S>(mut self, service: S, shutdown: impl Future<Output = ()>) -> Drained
    where
        S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        self.set_ready(true);
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.accept(&service) => {}
        }
        self.set_ready(false);
        // Closing a listening socket resets what is in its queue: clients that have been told that they are connected.
        drop(timeout(SETTLE_TIME, self.accept(&service)).await);
        drop(self.listeners);
        self.connections.drain().await
    }

    /// Has no end of its own. It may be dropped at any time: a connection that was taken is in its task already, or kept.
    async fn accept<S>(&mut self, service: &S)
    where
        S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        loop {
            // First the connection and then its place: nobody gives way before somebody is there.
            if self.accepted.is_none() {
                self.accepted = Some(self.listeners.accept().await);
            }
            let slot = self.connections.slot().await;
            if let Some(stream) = self.accepted.take() {
                self.connections.spawn(stream, slot, service.clone());
            }
        }
    }

    fn set_ready(&self, ready: bool) {
        if let Some(health) = &self.health {
            health.set_ready(ready);
        }
    }
}

struct Listeners {
    sockets: Vec<TcpListener>,
    /// The one that is asked first: each in its turn, so that neither family starves the other.
    first: usize,
}

impl Listeners {
    async fn accept(&mut self) -> TcpStream {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(stream) => return stream,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        self.first = self.first.wrapping_add(1);
        for offset in 0..self.sockets.len() {
            let at = self.first.wrapping_add(offset) % self.sockets.len();
            if let Poll::Ready(accepted) = self.sockets[at].poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    }
}

/// accept(2) reports what became of a connection before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
