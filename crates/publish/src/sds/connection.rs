//! Connections, of which there are only so many at once.

use futures::stream::{self, Stream};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// How many connections there may be at once; the next ones wait in the system's queue. An Envoy has one or two.
const MAX_CONNECTIONS: usize = 512;

/// The pause after a failed accept: without descriptors the next one fails at once, and the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is accepted from.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection that holds its place.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Transport,
    _place: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// The connections that come, without end.
    pub(super) fn connections(self) -> impl Stream<Item = io::Result<Connection>> {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        stream::unfold((self, places), |(socket, places)| async move {
            let connection = socket.next(&places).await;
            Some((Ok(connection), (socket, places)))
        })
    }

    async fn next(&self, places: &Arc<Semaphore>) -> Connection {
        // The semaphore is never closed.
        let place = Arc::clone(places).acquire_owned().await.ok();
        loop {
            match self.accept().await {
                Ok(stream) => return Connection { stream, _place: place },
                Err(error) => {
                    tracing::warn!(%error, "a connection for SDS could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Transport> {
        Ok(match self {
            Self::Unix(listener) => Transport::Unix(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Transport::Tcp(stream)
            }
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
