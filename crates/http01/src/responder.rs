//! The service that answers challenges.

use crate::counts::{Counters, Counts, count};
use crate::host::Host;
use crate::reply::Reply;
use crate::store::{Given, TokenStore};
use crate::token;
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// What stands before the token in the path of a challenge (RFC 8555 section 8.3).
pub const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// Answers HTTP-01 challenges from a [`TokenStore`]; all else is a 404.
///
/// A `tower::Service` that is always ready, never fails and does not look at the body of a request. It reads the host and the whole
/// path, so that a router has to leave both as they are: in axum `route_service` and `fallback_service` do, `nest_service` does not.
#[derive(Debug, Clone)]
pub struct Responder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: TokenStore,
    counters: Counters,
}

impl Responder {
    /// A responder that answers from `store`, now and after every change of it.
    pub fn new(store: TokenStore) -> Self {
        Self { shared: Arc::new(Shared { store, counters: Counters::default() }) }
    }

    /// The store that it answers from.
    pub fn store(&self) -> &TokenStore {
        &self.shared.store
    }

    /// What it and its clones have answered so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// The response to one request.
    pub fn respond<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        self.reply(&request).answering(request)
    }

    fn reply<B>(&self, request: &Request<B>) -> Reply {
        let Shared { store, counters } = &*self.shared;
        let Some(token) = token_of(request) else {
            count(&counters.not_challenge);
            return Reply::not_found();
        };
        let given = host_of(request).map_or(Given::UnknownHost, |host| store.give(&host, token));
        let (counter, reply) = match given {
            Given::Exact(answer) => (&counters.exact, Reply::ok(answer)),
            Given::Stateless(answer) => (&counters.stateless, Reply::ok(answer)),
            Given::UnknownToken => (&counters.unknown_token, Reply::not_found()),
            Given::UnknownHost => (&counters.unknown_host, Reply::not_found()),
        };
        count(counter);
        reply
    }
}

impl<B> Service<Request<B>> for Responder {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.respond(request)))
    }
}

/// A query does not matter: a redirect on the way may have added one.
fn token_of<B>(request: &Request<B>) -> Option<&str> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let token = request.uri().path().strip_prefix(CHALLENGE_PATH)?;
    token::is_token(token).then_some(token)
}

/// RFC 9112 sections 3.2 and 3.2.2: an absolute target goes before `Host`, and two `Host` lines are an error.
fn host_of<B>(request: &Request<B>) -> Option<Host<'_>> {
    if let Some(authority) = request.uri().authority() {
        let authority = authority.as_str();
        return Host::parse(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    }
    let mut lines = request.headers().get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(host), None) => Host::parse(host.to_str().ok()?),
        _ => None,
    }
}
