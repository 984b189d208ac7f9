//! How long the API server is waited for: what failed in a way that passes is asked again.

use crate::fence::LeaseLost;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use kube::core::Status;
use std::time::Duration;
use tokio::time::Sleep;
use tower::BoxError;
use tower::retry::Policy;
use tower::retry::backoff::InvalidBackoff;

/// How often a request is asked again that the server has no room for, or that it did not answer. With the waits between
/// this is about half a minute, which a restart of the server takes; who needs more looks again later.
const BUSY: u32 = 8;

/// The first and the longest wait between; one that the server asks for takes precedence.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often a change is tried again that came in conflict with another. Ours are applied with force, change one field, or
/// delete, and hold whatever the other was; the few that do not are in conflict each time.
const CONFLICTS: u32 = 5;

/// The first wait between those; each is about twice as long as the one before, so that two do not meet again and again.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);

/// The longest answer that says why something is in conflict.
const MAX_STATUS_BYTES: usize = 1 << 20;

/// Asks the API server again: reads, patches and deletions, since asked twice they do the same as once; others only where
/// the server says that it has not begun.
#[derive(Clone)]
pub(crate) struct Patience {
    busy: RetryPolicy,
    broken: u32,
    conflicts: u32,
}

impl Patience {
    pub(crate) fn new() -> Result<Self, InvalidBackoff> {
        let busy = RetryPolicy::new(FIRST_WAIT, LONGEST_WAIT, BUSY, true)?;
        Ok(Self { busy, broken: 0, conflicts: 0 })
    }

    /// The wait after a connection that broke.
    fn after_break(&mut self) -> Option<Duration> {
        let wait = FIRST_WAIT.saturating_mul(1 << self.broken).min(LONGEST_WAIT);
        self.broken += 1;
        (self.broken <= BUSY).then_some(wait)
    }

    fn after_conflict(&mut self) -> Option<Duration> {
        let wait = CONFLICT_WAIT.saturating_mul(1 << self.conflicts).mul_f64(0.5 + rand::random::<f64>());
        self.conflicts += 1;
        (self.conflicts <= CONFLICTS).then_some(wait)
    }
}

/// Marks an answer: the change was not made, since another was made in the same moment.
#[derive(Clone, Copy, Debug)]
struct Collision;

/// Marks what is a collision among the conflicts. That something exists already is none.
pub(crate) async fn marked(answer: Response<Body>) -> Result<Response<Body>, BoxError> {
    if answer.status() != StatusCode::CONFLICT {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    let body = Limited::new(body, MAX_STATUS_BYTES).collect().await?.to_bytes();
    let status: Option<Status> = serde_json::from_slice(&body).ok();
    if status.is_some_and(|status| status.reason == "Conflict") {
        parts.extensions.insert(Collision);
    }
    Ok(Response::from_parts(parts, Body::from(body.to_vec())))
}

fn is_broken(status: StatusCode) -> bool {
    matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY)
}

/// Whether what failed, though it was asked with patience, may do as well later: the server is busy, broken or gone. What
/// it refuses waits for a person.
pub(crate) fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500..),
        _ => true,
    }
}

impl Policy<Request<Body>, Response<Body>, BoxError> for Patience {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<Body>, BoxError>,
    ) -> Option<Sleep> {
        let is_repeatable = matches!(*request.method(), Method::GET | Method::PATCH | Method::DELETE);
        let wait = match result {
            Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
                return self.busy.retry(request, result);
            }
            Ok(response) if response.extensions().get::<Collision>().is_some() => self.after_conflict(),
            _ if !is_repeatable => None,
            Ok(response) if is_broken(response.status()) => self.after_break(),
            Ok(_) => return self.busy.retry(request, result),
            Err(error) if error.is::<LeaseLost>() => None,
            Err(_) => self.after_break(),
        };
        wait.map(tokio::time::sleep)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Policy::<_, Response<Body>, _>::clone_request(&mut self.busy, request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::{Service as _, ServiceExt as _, retry::Retry, service_fn};

    /// How often a request is sent that is answered with this each time; the time is virtual.
    async fn sent(method: Method, answer: Option<u16>, reason: &'static str) -> u32 {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let server = service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                let status = answer.ok_or("broken")?;
                let response = Response::builder().status(status).header(header::RETRY_AFTER, "1");
                let body =
                    serde_json::json!({"kind": "Status", "code": status, "reason": reason}).to_string();
                marked(response.body(Body::from(body.into_bytes()))?).await
            }
        });
        let mut service = Retry::new(Patience::new().unwrap(), server);
        let request = Request::builder().method(method).uri("/x").body(Body::from(b"{}".to_vec())).unwrap();
        let _ = service.ready().await.unwrap().call(request).await;
        count.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_asked_again() {
        for (method, answer, expected) in [
            (Method::GET, Some(200), 1),
            (Method::GET, Some(404), 1),
            (Method::GET, Some(429), 1 + BUSY),
            (Method::PATCH, Some(429), 1 + BUSY),
            (Method::PATCH, Some(503), 1 + BUSY),
            (Method::PATCH, Some(500), 1 + BUSY),
            (Method::PATCH, None, 1 + BUSY),
            (Method::PATCH, Some(409), 1 + CONFLICTS),
            (Method::PATCH, Some(422), 1),
            (Method::DELETE, None, 1 + BUSY),
            (Method::DELETE, Some(409), 1 + CONFLICTS),
            (Method::POST, Some(429), 1 + BUSY),
            (Method::POST, Some(503), 1),
            (Method::POST, None, 1),
            (Method::POST, Some(409), 1 + CONFLICTS),
        ] {
            assert_eq!(sent(method.clone(), answer, "Conflict").await, expected, "{method} {answer:?}");
        }
        assert_eq!(sent(Method::POST, Some(409), "AlreadyExists").await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_ends_it() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let server = service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Err::<Response<Body>, BoxError>(LeaseLost.into()) }
        });
        let mut service = Retry::new(Patience::new().unwrap(), server);
        let request = Request::builder().method(Method::PATCH).uri("/x").body(Body::empty()).unwrap();
        assert!(service.ready().await.unwrap().call(request).await.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
