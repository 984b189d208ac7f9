//! What is private, for the benchmarks of this workspace. No part of the interface: it may change at any time.

use crate::authorization::Authorization;
use crate::directory::{Directory, DirectoryError};
use crate::jws::{self, KeyId};
use crate::key::{AccountKey, KeyError};
use crate::nonce::NoncePool;
use crate::order;
use crate::reply::Reply;
use crate::request::RequestError;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use url::Url;

/// The body of a request that an account with the URL `kid` signs.
///
/// # Errors
/// The key can not sign.
pub fn jws(key: &AccountKey, kid: &str, nonce: &str, url: &str, payload: &[u8]) -> Result<String, KeyError> {
    jws::sign(key, KeyId::Kid(kid), Some(nonce), url, payload)
}

/// The nonces of one directory.
#[derive(Debug, Default)]
pub struct Nonces(NoncePool);

impl Nonces {
    /// Keeps one.
    pub fn put(&self, nonce: String, now: Timestamp) {
        self.0.put(nonce, now);
    }

    /// Gives the youngest that is still trusted.
    pub fn take(&self, now: Timestamp) -> Option<String> {
        self.0.take(now)
    }
}

/// An answer of the CA's, whose body is read.
#[derive(Debug)]
pub struct Answer(Reply);

impl Answer {
    /// One from this URL.
    pub fn new(url: Url, body: Bytes) -> Self {
        Self(Reply { url, headers: HeaderMap::new(), body, received: Timestamp::UNIX_EPOCH })
    }

    /// As a directory.
    ///
    /// # Errors
    /// It is none.
    pub fn directory(&self) -> Result<Directory, DirectoryError> {
        Directory::from_reply(&self.0)
    }

    /// As an order.
    ///
    /// # Errors
    /// It is none.
    pub fn order(&self) -> Result<(), RequestError> {
        order::State::from_reply(&self.0).map(|state| drop(std::hint::black_box(state)))
    }

    /// As an authorization.
    ///
    /// # Errors
    /// It is none.
    pub fn authorization(&self) -> Result<Authorization, RequestError> {
        Authorization::from_reply(&self.0)
    }
}
