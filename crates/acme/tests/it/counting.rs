//! A transport that counts and remembers what goes through it.

use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{Transport, TransportError};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
pub struct CountingTransport {
    inner: Arc<dyn Transport>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CountingTransport {
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self { inner, requests: Arc::default() }
    }

    /// The requests so far as `METHOD path`, and forgets them.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

#[async_trait]
impl Transport for CountingTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        self.requests.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        self.inner.send(request).await
    }
}
