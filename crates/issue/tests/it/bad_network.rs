//! A network to the CA that resets, delays, truncates, repeats, and puts other servers' errors in between.

use crate::clock::FastClock;
use crate::environment::names;
use crate::seams::StoreSolver;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use gatecert_acme::{
    Account, AccountKey, Client, HttpTransport, KeyAlgorithm, NewAccount, Transport, TransportError,
    TransportErrorKind,
};
use gatecert_http01::{ListenAddress, Responder, Server, TokenStore};
use gatecert_issue::{MemoryJournal, Request, obtain};
use gatecert_testkit::Pebble;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How many certificates are obtained.
const CERTIFICATES: usize = 200;

/// How many at once.
const AT_ONCE: usize = 20;

/// How many attempts a certificate may take, each of which goes on where the one before it stopped.
const ATTEMPTS: usize = 10;

/// How often it is tried.
const RUNS: usize = 3;

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What Pebble logs of each certificate.
const ISSUED: &str = "Issued certificate serial";

/// The share of requests that something happens to.
const SHARE: f64 = 0.3;

/// What a server in between says of when to come back: seconds, dates, the past, and nonsense.
const RETRY_AFTERS: [Option<&str>; 6] = [
    None,
    Some("1"),
    Some("Wed, 21 Oct 2015 07:28:00 GMT"),
    Some("99999999999999999999"),
    Some("-5"),
    Some("soon"),
];

/// The transport with faults.
#[derive(Debug)]
struct BadNetwork {
    inner: HttpTransport,
    random: Mutex<StdRng>,
    share: Mutex<f64>,
    requests: AtomicUsize,
    faults: AtomicUsize,
}

/// What happens to a request.
enum Fault {
    Lost,
    AnswerLost,
    Truncated,
    Repeated,
    Delayed,
    Refused(u16, Option<&'static str>),
}

impl BadNetwork {
    fn fault(&self) -> Option<Fault> {
        let mut random = self.random.lock().unwrap();
        if !random.gen_bool(*self.share.lock().unwrap()) {
            return None;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        let retry_after = RETRY_AFTERS[random.gen_range(0..RETRY_AFTERS.len())];
        Some(match random.gen_range(0..9) {
            0 => Fault::Lost,
            1 => Fault::AnswerLost,
            2 => Fault::Truncated,
            3 => Fault::Repeated,
            4 => Fault::Delayed,
            5 => Fault::Refused(429, retry_after),
            6 => Fault::Refused(500, retry_after),
            7 => Fault::Refused(502, retry_after),
            _ => Fault::Refused(503, retry_after),
        })
    }

    async fn pass(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.inner.send(request).await
    }
}

#[async_trait]
impl Transport for BadNetwork {
    async fn send(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match self.fault() {
            None => self.pass(request).await,
            Some(Fault::Lost) => Err(TransportErrorKind::Broken.into()),
            Some(Fault::AnswerLost) => {
                self.pass(request).await?;
                Err(TransportErrorKind::Broken.into())
            }
            Some(Fault::Truncated) => {
                let mut response = self.pass(request).await?;
                let half = response.body().len() / 2;
                response.body_mut().truncate(half);
                Ok(response)
            }
            Some(Fault::Repeated) => {
                self.pass(request.clone()).await?;
                self.pass(request).await
            }
            Some(Fault::Delayed) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.pass(request).await
            }
            // It came no further than a server in between, which speaks no ACME.
            Some(Fault::Refused(status, retry_after)) => {
                let mut response = Response::new(Bytes::from_static(b"<html>Bad gateway</html>"));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(retry_after) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(retry_after));
                }
                Ok(response)
            }
        }
    }
}

/// All certificates come, none is issued twice, and no storm of requests is made of it.
#[tokio::test]
async fn costs_no_certificate_and_no_storm() {
    for _ in 0..RUNS {
        let seed = rand::random();
        let store = TokenStore::new();
        let server =
            Server::bind(ListenAddress::loopback(0)).unwrap().spawn(Responder::new(store.clone())).unwrap();
        let port = server.local_addrs()[0].port();
        let pebble = Pebble::builder().strict(true).http_port(port).start().await.unwrap();
        match tokio::time::timeout(PATIENCE, clean_and_bad(&pebble, &store, seed)).await {
            Ok(()) => return,
            // Pebble may lock itself up where an order is read at the moment at which it is completed.
            Err(_) if count(&pebble, "Processing finalization") > count(&pebble, ISSUED) => {}
            Err(_) => panic!("not all certificates have come, seed {seed}"),
        }
    }
    panic!("Pebble has locked itself up {RUNS} times");
}

fn count(pebble: &Pebble, what: &str) -> usize {
    pebble.log().matches(what).count()
}

async fn clean_and_bad(pebble: &Pebble, store: &TokenStore, seed: u64) {
    let network = Arc::new(BadNetwork {
        inner: HttpTransport::builder().root_certificates_pem(pebble.ca_pem()).build().unwrap(),
        random: Mutex::new(StdRng::seed_from_u64(seed)),
        share: Mutex::new(0.0),
        requests: AtomicUsize::new(0),
        faults: AtomicUsize::new(0),
    });
    let client = Client::builder(pebble.directory_url())
        .transport(network.clone())
        .clock(Arc::new(FastClock::new()))
        .build()
        .await
        .unwrap();
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    let account = client.create_account(&new_account, key).await.unwrap();

    network.requests.store(0, Ordering::Relaxed);
    all(&account, store, "clean").await;
    let clean = network.requests.swap(0, Ordering::Relaxed);
    *network.share.lock().unwrap() = SHARE;
    let attempts = all(&account, store, "bad").await;
    let bad = network.requests.load(Ordering::Relaxed);
    let faults = network.faults.load(Ordering::Relaxed);
    eprintln!(
        "{CERTIFICATES} certificates: {clean} requests on a clean network; on a bad one {bad}, with {faults} faults and \
         {attempts} attempts"
    );
    assert_eq!(count(pebble, ISSUED), 2 * CERTIFICATES, "seed {seed}");
    assert!(bad <= 2 * clean, "{bad} requests instead of {clean}, seed {seed}");
    assert!(faults > CERTIFICATES, "{faults} faults are too few to tell");
}

/// Obtains all, and says how many attempts that took.
async fn all(account: &Account, store: &TokenStore, prefix: &str) -> usize {
    let each = (0..CERTIFICATES).map(|n| one(account, store, format!("{prefix}-{n}.test")));
    let attempts: Vec<_> = futures::stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    attempts.iter().sum()
}

async fn one(account: &Account, store: &TokenStore, name: String) -> usize {
    let (solver, journal) = (StoreSolver::new(store.clone()), MemoryJournal::default());
    let request = Request::new(names(&[&name]));
    let mut last = None;
    for attempt in 1..=ATTEMPTS {
        match obtain(account, &request, &solver, &journal, &|_| ()).await {
            Ok(bundle) => {
                assert_eq!(bundle.chain_pem.matches("BEGIN CERTIFICATE").count(), 2, "{name} is cut short");
                return attempt;
            }
            Err(error) => last = Some(error),
        }
    }
    panic!("{name}: {last:#?}");
}
