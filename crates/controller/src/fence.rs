//! What a replica that has lost its Lease does not get past: requests that change something.

use crate::patience::{self, Patience};
use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{Clock, Transport, TransportError, TransportErrorKind};
use gatecert_fault::Change;
use http::Method;
use kube::Client;
use kube::client::Body;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tower::limit::ConcurrencyLimit;
use tower::retry::Retry;
use tower::{BoxError, service_fn};

/// How many requests to the API server are under way at once. Each has a connection of its own, since kube speaks
/// HTTP/1.1: some 50 kB here and more at the server, and a TLS handshake. With answers after 20 ms this is 1,600
/// requests a second, more than an API server has room for.
const AT_ONCE: usize = 32;

/// Lets requests pass as long as the Lease holds, by the clock at the moment of each request.
///
/// Timers are not enough: a process that was frozen goes on where it stood, with the answer that it waited for, before
/// any timer has told it how late it is.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Arc<dyn Clock>,
    /// On the monotonic clock; `None` when it does not hold.
    held_until: Arc<Mutex<Option<Duration>>>,
}

/// The request was not sent, since another replica may lead by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLost;

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the Lease is lost, so nothing is sent any more")
    }
}

impl std::error::Error for LeaseLost {}

impl Fence {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, held_until: Arc::default() }
    }

    /// Says that the Lease holds until this time of the monotonic clock, or not at all.
    pub(crate) fn set(&self, until: Option<Duration>) {
        *self.held_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Whether the Lease holds now.
    ///
    /// # Errors
    /// It does not, or is not known to.
    pub fn check(&self) -> Result<(), LeaseLost> {
        let until = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| self.clock.monotonic() < *until).map(|_| ()).ok_or(LeaseLost)
    }

    /// A client whose requests that change something are errors once the Lease is lost, however often they are asked
    /// again: each time anew. `client` should not do so by itself.
    pub fn client(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let fence = self.clone();
        let send = move |request: http::Request<Body>| {
            let (fence, client) = (fence.clone(), client.clone());
            async move {
                if matches!(*request.method(), Method::GET | Method::HEAD) {
                    return Ok::<_, BoxError>(client.send(request).await?);
                }
                fence.check()?;
                let change = Change::begin(|| format!("{} {}", request.method(), request.uri().path()));
                let answer = client.send(request).await?;
                change.end();
                patience::marked(answer).await
            }
        };
        match Patience::new() {
            // Who waits to ask again keeps no other.
            Ok(patience) => {
                let send = ConcurrencyLimit::new(service_fn(send), AT_ONCE);
                Client::new(Retry::new(patience, send), namespace)
            }
            Err(invalid) => unreachable!("the waits are constants: {invalid}"),
        }
    }

    /// A transport to a CA with the same property.
    pub(crate) fn transport<T: Transport>(&self, inner: T) -> FencedTransport<T> {
        FencedTransport { fence: self.clone(), inner }
    }
}

/// See [`Fence::transport`].
#[derive(Debug)]
pub(crate) struct FencedTransport<T> {
    fence: Fence,
    inner: T,
}

#[async_trait]
impl<T: Transport> Transport for FencedTransport<T> {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        if *request.method() == Method::POST {
            self.fence.check().map_err(|lost| TransportError::new(TransportErrorKind::Connect, lost))?;
        }
        self.inner.send(request).await
    }
}
