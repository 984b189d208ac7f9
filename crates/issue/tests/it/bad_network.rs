//! A network to the CA that resets, delays, truncates, repeats, and puts other servers' errors in between.

use crate::clock::FastClock;
use crate::environment::names;
use crate::seams::StoreSolver;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use gatecert_acme::{
    Account, AccountKey, Client, Clock as _, HttpTransport, KeyAlgorithm, NewAccount, Transport,
    TransportError, TransportErrorKind,
};
use gatecert_http01::{ListenAddress, Responder, Server, TokenStore};
use gatecert_issue::{MemoryJournal, Request, obtain};
use gatecert_testkit::Pebble;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use jiff::SignedDuration;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::HashMap;
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

/// What it logs of each order whose challenge was not answered when it looked.
const INVALID: &str = "set INVALID by invalid authz";

/// Where it takes orders.
const NEW_ORDER: &str = "/order-plz";

/// Begins the paths of its orders.
const ORDERS: &str = "/my-order/";

/// How many answers of an order have to be unreadable, one after the other, before another one is made.
const UNREADABLE: usize = 3;

/// The share of requests that something happens to.
const SHARE: f64 = 0.3;

/// How far ahead the date is that a server in between names.
const SOON: SignedDuration = SignedDuration::from_secs(5);

/// What a server in between says of when to come back, beside a date that is to come: seconds, the past, and nonsense.
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
    clock: Arc<FastClock>,
    random: Mutex<StdRng>,
    share: Mutex<f64>,
    requests: AtomicUsize,
    faults: AtomicUsize,
    /// The orders that Pebble made.
    orders: AtomicUsize,
    /// Those of them that nobody has heard of: the answer with the URL was lost.
    lost_orders: AtomicUsize,
    /// Those whose answers were cut short so often in a row that nothing could be learnt of them.
    unreadable_orders: AtomicUsize,
    /// The answers of each order that were cut short since the last whole one.
    cut_short: Mutex<HashMap<String, usize>>,
}

/// What happens to a request.
enum Fault {
    Lost,
    AnswerLost,
    Truncated,
    Repeated,
    Delayed,
    Refused(u16, Option<String>),
}

impl BadNetwork {
    fn new(inner: HttpTransport, clock: Arc<FastClock>, seed: u64) -> Self {
        Self {
            inner,
            clock,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            share: Mutex::new(0.0),
            requests: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
            orders: AtomicUsize::new(0),
            lost_orders: AtomicUsize::new(0),
            unreadable_orders: AtomicUsize::new(0),
            cut_short: Mutex::default(),
        }
    }

    fn fault(&self) -> Option<Fault> {
        let mut random = self.random.lock().unwrap();
        if !random.gen_bool(*self.share.lock().unwrap()) {
            return None;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        let retry_after = self.retry_after(random.gen_range(0..=RETRY_AFTERS.len()));
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

    /// The n-th of them; behind the last one is a date that is to come.
    fn retry_after(&self, n: usize) -> Option<String> {
        match RETRY_AFTERS.get(n) {
            Some(text) => text.map(str::to_owned),
            None => Some((self.clock.now() + SOON).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        }
    }

    async fn pass(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path().to_owned();
        let response = self.inner.send(request).await?;
        if is_new_order(&path, &response) {
            self.orders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Passes a request on whose answer is not what comes of it.
    async fn pass_in_vain(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let response = self.pass(request).await?;
        if is_new_order(&path, &response) {
            self.lost_orders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// Passes a request on and its answer back.
    async fn pass_whole(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let response = self.pass(request).await?;
        if response.status().is_success() {
            self.cut_short.lock().unwrap().remove(&path);
        }
        Ok(response)
    }

    /// Notes that an answer of this path was cut short.
    fn note_cut(&self, path: &str) {
        if !path.starts_with(ORDERS) {
            return;
        }
        let mut cut_short = self.cut_short.lock().unwrap();
        let count = cut_short.entry(path.to_owned()).or_default();
        *count += 1;
        if *count == UNREADABLE {
            *count = 0;
            self.unreadable_orders.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn is_new_order(path: &str, response: &Response<Bytes>) -> bool {
    path == NEW_ORDER && response.status() == StatusCode::CREATED
}

#[async_trait]
impl Transport for BadNetwork {
    async fn send(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match self.fault() {
            None => self.pass_whole(request).await,
            Some(Fault::Lost) => Err(TransportErrorKind::Broken.into()),
            Some(Fault::AnswerLost) => {
                self.pass_in_vain(request).await?;
                Err(TransportErrorKind::Broken.into())
            }
            Some(Fault::Truncated) => {
                self.note_cut(request.uri().path());
                let mut response = self.pass_in_vain(request).await?;
                let half = response.body().len() / 2;
                response.body_mut().truncate(half);
                Ok(response)
            }
            Some(Fault::Repeated) => {
                // The answer that comes back is the second one, which refuses the nonce.
                self.pass_in_vain(request.clone()).await?;
                self.pass(request).await
            }
            Some(Fault::Delayed) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.pass_whole(request).await
            }
            // It came no further than a server in between, which speaks no ACME.
            Some(Fault::Refused(status, retry_after)) => {
                let mut response = Response::new(Bytes::from_static(b"<html>Bad gateway</html>"));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                if let Some(retry_after) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_str(&retry_after).unwrap());
                }
                Ok(response)
            }
        }
    }
}

/// All certificates come, none is issued twice, none is ordered twice without need, and no storm of requests is made of
/// it.
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
    let clock = Arc::new(FastClock::new());
    let inner = HttpTransport::builder().root_certificates_pem(pebble.ca_pem()).build().unwrap();
    let network = Arc::new(BadNetwork::new(inner, clock.clone(), seed));
    let client = Client::builder(pebble.directory_url())
        .transport(network.clone())
        .clock(clock)
        .build()
        .await
        .unwrap();
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    let account = client.create_account(&new_account, key).await.unwrap();

    network.requests.store(0, Ordering::Relaxed);
    all(&account, store, "clean").await;
    let clean = network.requests.swap(0, Ordering::Relaxed);
    assert_eq!(network.orders.swap(0, Ordering::Relaxed), CERTIFICATES, "without a fault, seed {seed}");
    *network.share.lock().unwrap() = SHARE;
    let attempts = all(&account, store, "bad").await;
    let bad = network.requests.load(Ordering::Relaxed);
    let faults = network.faults.load(Ordering::Relaxed);
    eprintln!(
        "{CERTIFICATES} certificates: {clean} requests on a clean network; on a bad one {bad}, with {faults} faults and \
         {attempts} attempts"
    );
    assert_eq!(count(pebble, ISSUED), 2 * CERTIFICATES, "seed {seed}");
    check_orders(pebble, &network, seed);
    assert!(bad <= 2 * clean, "{bad} requests instead of {clean}, seed {seed}");
    assert!(faults > CERTIFICATES, "{faults} faults are too few to tell");
}

/// There is one order for each certificate, and one more only for an order that could not be gone on with: its URL was
/// lost with the answer, which nobody can ask for again; the CA made it invalid, since an attempt that failed had taken
/// the answer to its challenge away; or what the CA said of it was unreadable each time.
fn check_orders(pebble: &Pebble, network: &BadNetwork, seed: u64) {
    let orders = network.orders.load(Ordering::Relaxed);
    let lost = network.lost_orders.load(Ordering::Relaxed);
    let unreadable = network.unreadable_orders.load(Ordering::Relaxed);
    let invalid = count(pebble, INVALID);
    eprintln!("{orders} orders, of which {lost} were lost, {invalid} invalid, and {unreadable} unreadable");
    assert!(lost > 0, "no order was lost: there is nothing to tell, seed {seed}");
    assert!(
        orders <= CERTIFICATES + lost + invalid + unreadable,
        "{orders} orders, of which {lost} were lost, {invalid} invalid, and {unreadable} unreadable, seed {seed}"
    );
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
