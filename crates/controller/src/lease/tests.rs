use super::*;
use gatecert_acme::SystemClock;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tower_test::mock::{self, Handle};

/// An API server with one Lease, which knows of resourceVersions and can be told to fail.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    /// Requests of this method get this answer; none is no answer at all.
    fault: Option<(Method, Option<StatusCode>)>,
    requests: Vec<Method>,
}

impl Server {
    fn holding(holder: &str, seconds: i32) -> Self {
        let server = Self::default();
        server.write(holder, seconds);
        server
    }

    /// Writes the Lease as another replica would.
    fn write(&self, holder: &str, seconds: i32) {
        let mut lease = Lease {
            metadata: ObjectMeta { name: Some("gatecert-controller".into()), ..Default::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(seconds),
                // No clock of another machine counts: this one is decades slow.
                renew_time: Some(MicroTime("2001-01-01T00:00:00Z".parse().unwrap())),
                lease_transitions: Some(4),
                ..Default::default()
            }),
        };
        let mut state = self.0.lock().unwrap();
        state.stamp(&mut lease);
    }

    fn fail(&self, method: Method, answer: Option<StatusCode>) {
        self.0.lock().unwrap().fault = Some((method, answer));
    }

    fn spec(&self) -> LeaseSpec {
        self.0.lock().unwrap().lease.clone().unwrap().spec.unwrap()
    }

    fn holder(&self) -> Option<String> {
        self.spec().holder_identity
    }

    /// A client of this server.
    fn client(&self) -> Client {
        let (service, handle) = mock::pair();
        tokio::spawn(self.clone().serve(handle));
        Client::new(service, "default")
    }

    async fn serve(self, mut handle: Handle<Request<Body>, Response<Body>>) {
        while let Some((request, reply)) = handle.next_request().await {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let answer = self.0.lock().unwrap().answer(&head.method, &body);
            match answer {
                Some(answer) => reply.send_response(answer),
                // Dropping `reply` would be an answer.
                None => std::mem::forget(reply),
            }
        }
    }
}

impl State {
    fn answer(&mut self, method: &Method, body: &[u8]) -> Option<Response<Body>> {
        self.requests.push(method.clone());
        if let Some((_, answer)) = self.fault.as_ref().filter(|(faulty, _)| faulty == method) {
            return answer.map(refusal);
        }
        let sent = || serde_json::from_slice::<Lease>(body).unwrap();
        Some(match (method, &self.lease) {
            (&Method::POST, None) => self.stamp(&mut sent()),
            (&Method::POST, Some(_)) => refusal(StatusCode::CONFLICT),
            (_, None) => refusal(StatusCode::NOT_FOUND),
            (&Method::GET, Some(lease)) => reply(StatusCode::OK, &json!(lease)),
            (_, Some(lease)) if lease.metadata.resource_version != sent().metadata.resource_version => {
                refusal(StatusCode::CONFLICT)
            }
            _ => self.stamp(&mut sent()),
        })
    }

    fn stamp(&mut self, lease: &mut Lease) -> Response<Body> {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        reply(StatusCode::OK, &json!(lease))
    }
}

fn refusal(code: StatusCode) -> Response<Body> {
    let reason = code.canonical_reason().unwrap().replace(' ', "");
    reply(code, &json!({ "kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16() }))
}

fn reply(code: StatusCode, body: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(serde_json::to_vec(body).unwrap())).unwrap()
}

async fn acquire_as(server: &Server, identity: &str) -> Leadership {
    acquire(server.client(), &LeaseOptions::new("gatecert", identity), Arc::new(SystemClock)).await
}

/// Waits for `future` and says how many seconds it took. Time is virtual: it passes while nothing happens.
async fn seconds<T>(future: impl Future<Output = T>) -> (T, u64) {
    #[allow(clippy::disallowed_methods, reason = "virtual time")]
    let start = Instant::now();
    let output = timeout(Duration::from_secs(300), future).await.expect("it ends");
    (output, start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn takes_a_lease_that_is_not_there() {
    let server = Server::default();
    let (_leadership, took) = seconds(acquire_as(&server, "a")).await;
    assert_eq!(took, 0);
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(0)));
    assert_eq!(spec.acquire_time, spec.renew_time);
}

#[tokio::test(start_paused = true)]
async fn takes_a_lease_that_was_given_back_or_is_its_own() {
    for (holder, transitions) in [("", 5), ("a", 4)] {
        let server = Server::holding(holder, 15);
        let (_leadership, took) = seconds(acquire_as(&server, "a")).await;
        assert_eq!((took, server.spec().lease_transitions), (0, Some(transitions)), "{holder:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_while_another_renews_and_takes_over_when_it_stops() {
    let server = Server::default();
    let other = acquire_as(&server, "a").await;
    assert!(timeout(Duration::from_secs(600), acquire_as(&server, "b")).await.is_err());
    drop(other);
    let (_leadership, took) = seconds(acquire_as(&server, "b")).await;
    assert!((15..=17).contains(&took), "{took}");
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_record_asks_but_not_for_years() {
    for (asked, least) in [(40, 40), (-1, 2)] {
        let server = Server::holding("a", asked);
        let (_leadership, took) = seconds(acquire_as(&server, "b")).await;
        assert!((least..=least + 2).contains(&took), "{asked}: {took}");
    }
    let server = Server::holding("a", i32::MAX);
    let leadership = timeout(MAX_DURATION + Duration::from_secs(3), acquire_as(&server, "b")).await;
    assert!(leadership.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_of_many_candidates_wins() {
    let server = Server::holding("gone", 15);
    let candidates = (0..8).map(|n| {
        let server = server.clone();
        async move { acquire_as(&server, &n.to_string()).await }.boxed()
    });
    let (_first, index, others) = futures::future::select_all(candidates).await;
    assert_eq!(server.holder(), Some(index.to_string()));
    let more = timeout(Duration::from_secs(60), futures::future::select_all(others)).await;
    assert!(more.is_err(), "two hold the Lease");
}

#[tokio::test(start_paused = true)]
async fn keeps_trying_while_the_server_refuses_or_is_silent() {
    for answer in [Some(StatusCode::FORBIDDEN), Some(StatusCode::INTERNAL_SERVER_ERROR), None] {
        let server = Server::default();
        server.fail(Method::GET, answer);
        let waiting = tokio::spawn({
            let server = server.clone();
            async move { acquire_as(&server, "a").await }
        });
        sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        server.0.lock().unwrap().fault = None;
        let (leadership, took) = seconds(waiting).await;
        assert!(leadership.is_ok() && took <= 7, "{answer:?}: {took}");
    }
}

#[tokio::test(start_paused = true)]
async fn renews_every_five_seconds_with_one_request() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.0.lock().unwrap().requests.clear();
    assert!(timeout(Duration::from_secs(52), leadership.lost()).await.is_err());
    assert_eq!(server.0.lock().unwrap().requests, vec![Method::PUT; 10]);
}

#[tokio::test(start_paused = true)]
async fn stops_before_others_take_over_when_no_renewal_works() {
    for answer in [Some(StatusCode::INTERNAL_SERVER_ERROR), None] {
        let server = Server::default();
        let leadership = acquire_as(&server, "a").await;
        server.fail(Method::PUT, answer);
        let ((), took) = seconds(leadership.lost()).await;
        assert_eq!(took, 10, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn survives_a_fault_that_is_shorter() {
    for answer in [Some(StatusCode::SERVICE_UNAVAILABLE), None] {
        let server = Server::default();
        let leadership = acquire_as(&server, "a").await;
        server.fail(Method::PUT, answer);
        sleep(Duration::from_secs(8)).await;
        server.0.lock().unwrap().fault = None;
        assert!(timeout(Duration::from_secs(60), leadership.lost()).await.is_err(), "{answer:?}");
    }
}

/// Of ten requests one has room: the Lease is not lost by it.
#[tokio::test(start_paused = true)]
async fn asks_a_busy_server_more_often() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.0.lock().unwrap().requests.clear();
    server.fail(Method::PUT, Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(seconds(leadership.lost()).await.1, 10);
    assert_eq!(server.0.lock().unwrap().requests, vec![Method::PUT; 10]);
}

#[tokio::test(start_paused = true)]
async fn loses_to_a_conflict_with_another_holder() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.write("b", 15);
    let ((), took) = seconds(leadership.lost()).await;
    assert_eq!((took, server.holder().as_deref()), (5, Some("b")));
    leadership.release().await;
    assert_eq!(server.holder().as_deref(), Some("b"), "what is lost is not given back");
}

#[tokio::test(start_paused = true)]
async fn loses_a_lease_that_is_deleted_or_emptied() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.0.lock().unwrap().lease = None;
    assert_eq!(seconds(leadership.lost()).await.1, 5);

    let leadership = acquire_as(&server, "a").await;
    server.write("", 15);
    assert_eq!(seconds(leadership.lost()).await.1, 5);
}

#[tokio::test(start_paused = true)]
async fn keeps_a_lease_that_somebody_edits() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.write("a", 15);
    assert!(timeout(Duration::from_secs(60), leadership.lost()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_next_takes_over_at_once_what_is_given_back() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    let lost = leadership.lost();
    leadership.release().await;
    assert_eq!(server.holder(), None);
    assert_eq!(seconds(lost).await.1, 0);
    let (_leadership, took) = seconds(acquire_as(&server, "b")).await;
    assert_eq!((took, server.spec().lease_transitions), (0, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn giving_back_to_a_silent_server_ends() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    server.fail(Method::PUT, None);
    assert_eq!(seconds(leadership.release()).await.1, 2);
}

/// A clock that a freeze moves on before any timer knows of it.
#[derive(Debug, Default)]
struct FrozenClock(Mutex<Duration>);

#[async_trait::async_trait]
impl Clock for FrozenClock {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_holder_sends_nothing_that_changes_when_it_wakes() {
    let (server, clock) = (Server::default(), Arc::new(FrozenClock::default()));
    let options = LeaseOptions::new("gatecert", "a");
    let leadership = acquire(server.client(), &options, Arc::clone(&clock) as Arc<dyn Clock>).await;
    let leases: Api<Lease> = Api::namespaced(leadership.fence().client(server.client()), "gatecert");
    let lease = leases.get("gatecert-controller").await.unwrap();
    let lease = leases.replace("gatecert-controller", &PostParams::default(), &lease).await.unwrap();

    *clock.0.lock().unwrap() = Duration::from_secs(10);
    let refused = leases.replace("gatecert-controller", &PostParams::default(), &lease).await.unwrap_err();
    assert!(refused.to_string().contains("the Lease is lost"), "{refused}");
    leases.get("gatecert-controller").await.unwrap();
    assert_eq!(
        server.0.lock().unwrap().requests,
        [Method::GET, Method::POST, Method::GET, Method::PUT, Method::GET]
    );
}

#[tokio::test(start_paused = true)]
async fn the_fence_opens_with_each_renewal_and_closes_for_good() {
    let server = Server::default();
    let leadership = acquire_as(&server, "a").await;
    let fence = leadership.fence().clone();
    for _ in 0..10 {
        sleep(Duration::from_secs(7)).await;
        assert_eq!(fence.check(), Ok(()));
    }
    leadership.release().await;
    assert_eq!(fence.check(), Err(crate::LeaseLost));
}
