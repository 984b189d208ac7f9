//! A transport that counts, changes answers, and can be cut.

use crate::cut::Cut;
use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{Transport, TransportError};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Changes the answer to the n-th (from 0) request of a kind, which is the first part of its path.
pub type Tamper =
    Box<dyn Fn(&str, usize, &mut http::Response<Bytes>) -> Result<(), TransportError> + Send + Sync>;

/// Whether the n-th (from 0) request of a kind does not reach the CA, and what is answered in its place.
pub type Block = Box<dyn Fn(&str, usize) -> Option<(u16, &'static str)> + Send + Sync>;

pub struct Wire {
    inner: Arc<dyn Transport>,
    block: Mutex<Option<Block>>,
    /// The kinds of the requests that reached the CA.
    log: Mutex<Vec<String>>,
    tamper: Mutex<Option<Tamper>>,
    cut: Mutex<Option<Arc<Cut>>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self {
            inner,
            block: Mutex::default(),
            log: Mutex::default(),
            tamper: Mutex::default(),
            cut: Mutex::default(),
        }
    }

    pub fn tamper(&self, tamper: Option<Tamper>) {
        *self.tamper.lock().unwrap() = tamper;
    }

    pub fn block(&self, block: Option<Block>) {
        *self.block.lock().unwrap() = block;
    }

    pub fn cut(&self, cut: Option<Arc<Cut>>) {
        *self.cut.lock().unwrap() = cut;
    }

    /// The requests since the last call: `order-plz`, `my-order`, `authZ`, `chalZ`, `finalize-order`, `certZ`, …
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    async fn point(&self) {
        let cut = self.cut.lock().unwrap().clone();
        if let Some(cut) = cut {
            cut.point().await;
        }
    }

    fn remember(&self, kind: &str) -> usize {
        let mut log = self.log.lock().unwrap();
        log.push(kind.to_owned());
        count(&log, kind) - 1
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let kind = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        self.point().await;
        let n = self.remember(&kind);
        let blocked = self.block.lock().unwrap().as_ref().and_then(|block| block(&kind, n));
        if let Some((status, problem)) = blocked {
            let mut response = http::Response::default();
            refuse(&mut response, status, problem);
            return Ok(response);
        }
        let mut response = self.inner.send(request).await?;
        self.point().await;
        match &*self.tamper.lock().unwrap() {
            Some(tamper) => tamper(&kind, n, &mut response).map(|()| response),
            None => Ok(response),
        }
    }
}

pub fn count(log: &[String], kind: &str) -> usize {
    log.iter().filter(|logged| *logged == kind).count()
}

/// Changes the body of a JSON answer.
pub fn change(response: &mut http::Response<Bytes>, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(response.body()).unwrap();
    change(&mut value);
    *response.body_mut() = serde_json::to_vec(&value).unwrap().into();
}

/// Makes an answer a problem.
pub fn refuse(response: &mut http::Response<Bytes>, status: u16, kind: &str) {
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/problem+json"));
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"refused by the test"}}"#);
    *response.body_mut() = body.into();
}
