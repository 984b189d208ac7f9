//! The open connections of a server: how many there may be, and how they end.

use crate::limits::{Limits, MAX_HEAD_BYTES};
use crate::queue::{Place, Queue};
use crate::write_limit::WriteLimit;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt as _};

/// What was under way when the shutdown began gets this long: a connection to be accepted, and then its request to be read.
pub(crate) const SETTLE_TIME: Duration = Duration::from_millis(50);

/// How a server ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Drained {
    /// Connections with an open request that were cut when [`Limits::drain_time`] was over.
    pub cut: u32,
}

/// What a connection has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Cutting,
}

#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    slots: Arc<Semaphore>,
    /// Those that may have to give way.
    queue: Arc<Queue>,
    phase: watch::Sender<Phase>,
    http: http1::Builder,
}

/// The right to one more connection.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Self {
        let limits = Limits { connections: limits.connections.max(1), ..limits };
        // No `pipeline_flush`: with it hyper 1.12 holds back answers while a part of the next request, or a bad one, is in the buffer.
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD_BYTES)
            // The queue knows how long a head takes.
            .header_read_timeout(None)
            // An answer is some 300 bytes: copied into one buffer it costs the kernel less than from two (4 % of a request).
            .writev(false)
            .half_close(true);
        let slots = Arc::new(Semaphore::new(limits.connections as usize));
        Self { limits, slots, queue: Queue::new(), phase: watch::Sender::new(Phase::Serving), http }
    }

    /// Shared with the handle, which tells how many are open.
    pub(crate) fn gauge(&self) -> OpenConnections {
        OpenConnections { limit: self.limits.connections, slots: self.slots.clone() }
    }

    /// Gives one more connection a place. Where there is none, the one that has waited longest for a whole head gives
    /// way. The semaphore is never closed.
    pub(crate) async fn slot(&self) -> Slot {
        let permit = tokio::select! {
            biased;
            permit = self.slots.clone().acquire_owned() => permit.ok(),
            () = self.queue.make_room() => None,
        };
        Slot { _permit: permit }
    }

    /// Serves a connection in a task of its own.
    pub(crate) fn spawn<S>(&self, stream: TcpStream, slot: Slot, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let io = TokioIo::new(WriteLimit::new(stream, self.limits.write_time));
        let place = Place::last(&self.queue);
        let (begun, answered) = (place.clone(), place.clone());
        let service = service
            .map_request(move |request| {
                begun.leave();
                request
            })
            .map_response(move |response| {
                answered.rejoin();
                response
            });
        let connection = self.http.serve_connection(io, TowerToHyperService::new(service));
        let (phase, head_time) = (self.phase.subscribe(), self.limits.head_time);
        tokio::spawn(async move {
            if let Err(error) = until_end(connection, phase, &place, head_time).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }

    /// Ends idle connections, lets open requests end, and cuts what is left after the drain time.
    pub(crate) async fn drain(self) -> Drained {
        let gauge = self.gauge();
        sleep(SETTLE_TIME).await;
        self.phase.send_replace(Phase::Draining);
        if timeout(self.limits.drain_time, self.all_closed()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = gauge.open();
        self.phase.send_replace(Phase::Cutting);
        self.all_closed().await;
        Drained { cut }
    }

    async fn all_closed(&self) {
        drop(self.slots.acquire_many(self.limits.connections).await);
    }
}

/// How many connections are open now.
#[derive(Debug, Clone)]
pub(crate) struct OpenConnections {
    limit: u32,
    slots: Arc<Semaphore>,
}

impl OpenConnections {
    pub(crate) fn open(&self) -> u32 {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        self.limit.saturating_sub(free)
    }
}

/// The connection is polled first: what has arrived is answered before it is told to end, or has to give way.
async fn until_end<C: GracefulConnection>(
    connection: C,
    mut phase: watch::Receiver<Phase>,
    place: &Place,
    head_time: Duration,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = place.evicted() => return Ok(()),
        () = place.overdue(head_time) => return Ok(()),
        () = reached(&mut phase, Phase::Draining) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        ended = connection => ended,
        () = reached(&mut phase, Phase::Cutting) => Ok(()),
    }
}

/// A server whose future was dropped has no sender any more: then all is cut.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    drop(phase.wait_for(|phase| *phase >= wanted).await);
}
