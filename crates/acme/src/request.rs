//! Requests: signing, nonces, and which failures are tried again on the spot.

use crate::clock::Clock;
use crate::jws::{self, KeyId};
use crate::key::{AccountKey, KeyError};
use crate::nonce::{NoncePool, replay_nonce};
use crate::problem::{Problem, ProblemKind};
use crate::reply::{Reply, content_type};
use crate::retry::{Retry, retry_after};
use crate::transport::{MAX_RESPONSE_BYTES, Transport, TransportError, TransportErrorKind};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use gatecert_fault::Change;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// How often one request is signed again because its nonce was refused. With 90 % refused, as Pebble can be told to,
/// one request in a million needs more.
const MAX_NONCE_REFUSALS: u32 = 128;

/// After this many refusals in a row there is a wait between them, so that a server which refuses all sees no storm.
const QUICK_NONCE_REFUSALS: u32 = 16;

/// The wait between the refusals after the quick ones.
const NONCE_REFUSAL_WAIT: Duration = Duration::from_millis(20);

/// How many new nonces are asked for at once. Every answer brings another nonce, so a crowd that begins together needs few;
/// Let's Encrypt takes 20 of these requests in a second.
const MAX_NONCE_REQUESTS: usize = 3;

/// How often one request is repeated after a failure that may pass: after 0.5 s, 1 s and 2 s.
const MAX_REPEATS: usize = 3;

/// The first wait between repeats.
const FIRST_REPEAT_WAIT: Duration = Duration::from_millis(500);

/// The longest `Retry-After` that a request waits for on the spot. A longer one is an error for the caller to plan by.
const LONGEST_REPEAT_WAIT: Duration = Duration::from_secs(10);

/// What [`RequestError::retry`] gives for a failure that may pass where the server says no time.
const TRANSIENT_RETRY: Duration = Duration::from_secs(60);

/// What [`RequestError::retry`] gives for a rate limit where the server says no time.
const RATE_LIMIT_RETRY: Duration = Duration::from_secs(60 * 60);

/// Why a request to the CA failed. Every variant names the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No whole response came.
    #[error("no answer from {url}")]
    Transport {
        /// The URL.
        url: Url,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// The CA answered with a problem document.
    #[error("{url} answered {status}: {problem}")]
    Problem {
        /// The URL.
        url: Url,
        /// The HTTP status.
        status: StatusCode,
        /// What the CA says.
        problem: Box<Problem>,
        /// When to try again, at most a day from now.
        retry_after: Option<Duration>,
    },
    /// An answer that is no success and no problem document: a proxy's error page, a redirect.
    #[error("{url} answered {status}{}, which is no ACME answer", of_type(.content_type.as_deref()))]
    Status {
        /// The URL.
        url: Url,
        /// The HTTP status.
        status: StatusCode,
        /// The media type of the answer.
        content_type: Option<String>,
        /// When to try again, at most a day from now.
        retry_after: Option<Duration>,
    },
    /// A success whose body can not be read.
    #[error("the answer of {url}{} is not what it should be (line {line}, column {column})", of_type(.content_type.as_deref()))]
    Body {
        /// The URL.
        url: Url,
        /// The media type of the answer.
        content_type: Option<String>,
        /// The line of the JSON at which reading stopped, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A success without a header that it must have.
    #[error("the answer of {url} has no usable `{header}` header")]
    MissingHeader {
        /// The URL.
        url: Url,
        /// The name of the header.
        header: &'static str,
    },
    /// The CA named a URL that is not of the directory's scheme.
    #[error("{url} is refused: the directory's own scheme is `{scheme}`")]
    Scheme {
        /// The URL.
        url: Url,
        /// The scheme of the directory.
        scheme: String,
    },
    /// The CA has no resource for this operation.
    #[error("the directory has no `{resource}`")]
    NotOffered {
        /// The member of the directory.
        resource: &'static str,
    },
    /// The request can not be signed.
    #[error("the request to {url} can not be signed")]
    Sign {
        /// The URL.
        url: Url,
        /// Why.
        #[source]
        source: KeyError,
    },
}

fn of_type(content_type: Option<&str>) -> String {
    content_type.map(|content_type| format!(" ({content_type})")).unwrap_or_default()
}

impl RequestError {
    /// The problem document, where the CA sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The HTTP status, where the answer was not a success.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The server's `Retry-After`, at most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the answer was a success or a problem document that can not be read: something on the way may have cut
    /// it short.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Body { .. } | Self::MissingHeader { .. } => true,
            Self::Status { content_type, .. } => content_type.as_deref() == Some("application/problem+json"),
            _ => false,
        }
    }

    /// Whether the problem is of this kind.
    pub fn is(&self, kind: &ProblemKind) -> bool {
        self.problem().is_some_and(|problem| problem.kind == *kind)
    }

    /// Whether the server may have acted on the request although no answer says so. Such a request is not repeated
    /// blindly: its effect is looked up first.
    pub fn is_unclear(&self) -> bool {
        match self {
            Self::Transport { source, .. } => {
                !matches!(source.kind(), TransportErrorKind::Connect | TransportErrorKind::Untrusted)
            }
            Self::Body { .. } | Self::MissingHeader { .. } => true,
            _ => self
                .status()
                .is_some_and(|status| status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Whether to try again, and when.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Transport { source, .. } => match source.kind() {
                TransportErrorKind::Untrusted | TransportErrorKind::TooLarge => Retry::No,
                _ => Retry::After(TRANSIENT_RETRY),
            },
            Self::Problem { problem, .. } if problem.kind == ProblemKind::BadNonce => Retry::Now,
            Self::Problem { problem, .. } if problem.unpause_url().is_some() => Retry::No,
            Self::Problem { .. } | Self::Status { .. } => self.retry_by_status(),
            _ => Retry::No,
        }
    }

    fn retry_by_status(&self) -> Retry {
        let limited = self.is(&ProblemKind::RateLimited);
        let wait = match self.status() {
            _ if limited => RATE_LIMIT_RETRY,
            Some(StatusCode::TOO_MANY_REQUESTS) => RATE_LIMIT_RETRY,
            Some(status) if status.is_server_error() => TRANSIENT_RETRY,
            _ => return Retry::No,
        };
        Retry::After(self.retry_after().unwrap_or(wait))
    }
}

/// Whether a request may be repeated when it is unclear whether the server acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is the same as once.
    Safe,
    /// Doing it twice makes two: only repeated where the server has surely not acted.
    Once,
}

/// One request to the CA.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    /// Unauthenticated: the directory and renewal information.
    Get(&'a Url),
    /// Signed.
    Post {
        url: &'a Url,
        key: &'a AccountKey,
        key_id: KeyId<'a>,
        /// Empty for POST-as-GET (RFC 8555 §6.3).
        payload: &'a [u8],
        /// Where a nonce comes from when none is at hand.
        new_nonce: &'a Url,
    },
}

impl Call<'_> {
    fn url(&self) -> &Url {
        match self {
            Self::Get(url) | Self::Post { url, .. } => url,
        }
    }
}

/// How requests reach the CA: transport, clock and nonces.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    scheme: String,
    nonces: NoncePool,
    nonce_requests: Semaphore,
}

impl Connection {
    /// A connection that takes URLs of this scheme only: a CA that is reached by https may not send signed requests
    /// elsewhere in clear.
    pub(crate) fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, scheme: &str) -> Self {
        let nonce_requests = Semaphore::new(MAX_NONCE_REQUESTS);
        Self { transport, clock, scheme: scheme.to_owned(), nonces: NoncePool::default(), nonce_requests }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sends a request until it is answered with a success, or fails in a way that repeating on the spot does not mend.
    pub(crate) async fn call(&self, call: &Call<'_>, repeat: Repeat) -> Result<Reply, RequestError> {
        let mut patience = Patience::new(repeat);
        let mut spare_nonce = None;
        loop {
            let nonce = match call {
                Call::Get(_) => None,
                Call::Post { new_nonce, .. } => Some(self.nonce(&mut spare_nonce, new_nonce).await?),
            };
            let error = match self.call_once(call, nonce, &mut spare_nonce).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some(wait) = patience.wait(&error) else { return Err(error) };
            tracing::debug!(%error, ?wait, "request is repeated");
            if !wait.is_zero() {
                self.clock.sleep(wait).await;
            }
        }
    }

    async fn call_once(
        &self,
        call: &Call<'_>,
        nonce: Option<String>,
        spare: &mut Option<String>,
    ) -> Result<Reply, RequestError> {
        let url = call.url();
        self.check_scheme(url)?;
        let request = match call {
            Call::Get(url) => request(Method::GET, url, Bytes::new()),
            Call::Post { url, key, key_id, payload, .. } => {
                // Signed anew each time: a nonce is good for one request, whatever became of that.
                let body = jws::sign(key, *key_id, nonce.as_deref(), url.as_str(), payload)
                    .map_err(|source| RequestError::Sign { url: (*url).clone(), source })?;
                request(Method::POST, url, body.into())
            }
        };
        let response = self.exchange(url, request).await?;
        let nonce = replay_nonce(response.headers());
        let outcome = self.outcome(url, response);
        match (&outcome, nonce) {
            // The nonce that comes with a refusal is the one to repeat with (RFC 8555 §6.5).
            (Err(error), Some(nonce)) if error.is(&ProblemKind::BadNonce) => *spare = Some(nonce),
            (_, Some(nonce)) => self.nonces.put(nonce, self.clock.now()),
            (_, None) => {}
        }
        outcome
    }

    /// A nonce: the one at hand, one from the pool, or a new one (RFC 8555 §7.2).
    async fn nonce(&self, spare: &mut Option<String>, url: &Url) -> Result<String, RequestError> {
        if let Some(nonce) = spare.take().or_else(|| self.nonces.take(self.clock.now())) {
            return Ok(nonce);
        }
        let _turn = self.nonce_requests.acquire().await;
        if let Some(nonce) = self.nonces.take(self.clock.now()) {
            // It came with an answer to somebody else meanwhile.
            return Ok(nonce);
        }
        // With a patience of its own: whatever becomes of this request, the one that needs the nonce was not sent.
        let mut patience = Patience::new(Repeat::Safe);
        loop {
            let error = match self.new_nonce(url).await {
                Ok(nonce) => return Ok(nonce),
                Err(error) => error,
            };
            let Some(wait) = patience.wait(&error) else { return Err(error) };
            self.clock.sleep(wait).await;
        }
    }

    async fn new_nonce(&self, url: &Url) -> Result<String, RequestError> {
        self.check_scheme(url)?;
        let response = self.exchange(url, request(Method::HEAD, url, Bytes::new())).await?;
        let nonce = replay_nonce(response.headers());
        self.outcome(url, response)?;
        nonce.ok_or_else(|| RequestError::MissingHeader { url: url.clone(), header: "Replay-Nonce" })
    }

    async fn exchange(
        &self,
        url: &Url,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, RequestError> {
        let failed = |source| RequestError::Transport { url: url.clone(), source };
        let method = request.method().clone();
        let change = Change::begin(|| format!("{method} {url}"));
        let response = self.transport.send(request).await.map_err(failed)?;
        change.end();
        tracing::debug!(%method, %url, status = response.status().as_u16(), "answer");
        if response.body().len() > MAX_RESPONSE_BYTES {
            return Err(failed(TransportErrorKind::TooLarge.into()));
        }
        Ok(response)
    }

    fn outcome(&self, url: &Url, response: http::Response<Bytes>) -> Result<Reply, RequestError> {
        let received = self.clock.now();
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Reply { url: url.clone(), headers: parts.headers, body, received });
        }
        let retry_after = retry_after(&parts.headers, received);
        Err(match problem(&parts.headers, &body) {
            Some(problem) => RequestError::Problem {
                url: url.clone(),
                status: parts.status,
                problem: Box::new(problem),
                retry_after,
            },
            None => RequestError::Status {
                url: url.clone(),
                status: parts.status,
                content_type: content_type(&parts.headers),
                retry_after,
            },
        })
    }

    fn check_scheme(&self, url: &Url) -> Result<(), RequestError> {
        if url.scheme() == self.scheme {
            return Ok(());
        }
        Err(RequestError::Scheme { url: url.clone(), scheme: self.scheme.clone() })
    }
}

fn request(method: Method, url: &Url, body: Bytes) -> http::Request<Bytes> {
    let is_post = method == Method::POST;
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    // A URL that the `url` crate holds is a URI, but for exotic characters that the server then answers for.
    *request.uri_mut() = url.as_str().parse().unwrap_or_default();
    if is_post {
        let jose = http::HeaderValue::from_static("application/jose+json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, jose);
    }
    request
}

/// The problem document of an answer. Only what is declared as JSON is read as one: an error page is not.
fn problem(headers: &HeaderMap, body: &[u8]) -> Option<Problem> {
    match content_type(headers)?.as_str() {
        "application/problem+json" | "application/json" => crate::json::read(body).ok(),
        _ => None,
    }
}

/// What is left of the attempts at one request.
#[derive(Debug)]
struct Patience {
    repeat: Repeat,
    nonce_refusals: u32,
    waits: ExponentialBackoff,
}

impl Patience {
    fn new(repeat: Repeat) -> Self {
        let waits =
            ExponentialBuilder::new().with_min_delay(FIRST_REPEAT_WAIT).with_max_times(MAX_REPEATS).build();
        Self { repeat, nonce_refusals: 0, waits }
    }

    /// How long to wait before the next attempt, or `None` where there is none.
    fn wait(&mut self, error: &RequestError) -> Option<Duration> {
        match error.retry() {
            Retry::No => None,
            Retry::Now => self.wait_for_nonce(),
            Retry::After(_) if self.repeat == Repeat::Once && error.is_unclear() => None,
            Retry::After(_) => self.wait_for_server(error),
        }
    }

    fn wait_for_nonce(&mut self) -> Option<Duration> {
        self.nonce_refusals += 1;
        if self.nonce_refusals > MAX_NONCE_REFUSALS {
            return None;
        }
        let is_quick = self.nonce_refusals <= QUICK_NONCE_REFUSALS;
        Some(if is_quick { Duration::ZERO } else { NONCE_REFUSAL_WAIT })
    }

    /// A rate limit without a time is not worth a second request within seconds.
    fn wait_for_server(&mut self, error: &RequestError) -> Option<Duration> {
        let own = self.waits.next()?;
        let wait = match error.retry_after() {
            Some(wait) => wait.max(own),
            None if error.retry() == Retry::After(RATE_LIMIT_RETRY) => return None,
            None => own,
        };
        (wait <= LONGEST_REPEAT_WAIT).then_some(wait)
    }
}
