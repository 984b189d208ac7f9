//! Liveness and readiness.

use crate::reply::Reply;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tower::Service;

/// Answers `GET /healthz` with 200, and `GET /readyz` with 200 when ready and 503 when not; all else is a 404.
///
/// A `tower::Service` for a port of its own. It starts as not ready; a [`Server`](crate::Server) that it is given to makes it ready while it
/// accepts connections. All clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Health {
    ready: Arc<AtomicBool>,
}

impl Health {
    /// Not ready yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether traffic may be sent.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether traffic may be sent.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn reply<B>(&self, request: &Request<B>) -> Reply {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Reply::not_found();
        }
        match request.uri().path() {
            "/healthz" => Reply::fixed(StatusCode::OK, "ok\n", "3"),
            "/readyz" if self.is_ready() => Reply::fixed(StatusCode::OK, "ready\n", "6"),
            "/readyz" => Reply::fixed(StatusCode::SERVICE_UNAVAILABLE, "not ready\n", "10"),
            _ => Reply::not_found(),
        }
    }
}

impl<B> Service<Request<B>> for Health {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.reply(&request).answering(request)))
    }
}
