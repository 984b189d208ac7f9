//! A crowd of clients that want nothing good, and the CA among them.

use crate::client::{Connection, Fixture, HOST, eventually, key_authorization, path, request};
use futures::future::join_all;
use gatecert_http01::{Limits, ListenAddress, Server};
use http::Response;
use http_body_util::Full;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Clients that connect and say nothing.
const IDLE: usize = 10_000;

/// Clients that say a little of a request, again and again.
const SLOW: usize = 500;

/// Clients that ask for anything else as fast as they can.
const FLOODING: usize = 20;

/// How many requests each of them sends at a time.
const BURST: usize = 100;

/// Challenges of the CA.
const CHALLENGES: usize = 500;

/// How many of them come at a time: an order of a hundred names from four places is more than that.
const AT_A_TIME: usize = 10;

/// As long as Let's Encrypt waits for a whole validation.
const CA_TIME: Duration = Duration::from_secs(10);

/// What is left of the descriptors for everything else.
const OTHER_FILES: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn challenges_are_answered_in_a_crowd() {
    let idle = IDLE.min(usize::try_from(raise_file_limit() - OTHER_FILES).unwrap());
    let fixture = Fixture::start();
    let address = fixture.address();
    let crowd = Arc::new(Crowd::default());
    let mut clients = JoinSet::new();
    for _ in 0..FLOODING {
        clients.spawn(flood(address, Arc::clone(&crowd)));
    }
    for _ in 0..SLOW {
        clients.spawn(drip(address, Arc::clone(&crowd)));
    }
    let mut silent = Vec::with_capacity(idle);
    while silent.len() < idle {
        silent.extend(join_all((0..50).map(|_| TcpStream::connect(address))).await.into_iter().flatten());
    }
    let mut right = 0;
    for _ in 0..CHALLENGES / AT_A_TIME {
        let answers = join_all((0..AT_A_TIME).map(|_| tokio::time::timeout(CA_TIME, ask(address)))).await;
        right += answers.iter().filter(|answer| **answer == Ok(Some(key_authorization()))).count();
        assert!(fixture.server.open_connections() <= Limits::default().connections);
    }
    crowd.is_over.store(true, Ordering::Relaxed);
    eprintln!(
        "{right} of {CHALLENGES} challenges answered among {idle} idle connections, {SLOW} slow ones ({} anew) and {} other requests",
        crowd.reconnected.load(Ordering::Relaxed),
        crowd.answered.load(Ordering::Relaxed),
    );
    assert_eq!(right, CHALLENGES);
    assert_eq!(fixture.responder.counts().exact, CHALLENGES as u64);
    assert!(crowd.answered.load(Ordering::Relaxed) > CHALLENGES as u64, "there was no flood");
    drop(silent);
}

#[derive(Default)]
struct Crowd {
    is_over: AtomicBool,
    answered: AtomicU64,
    reconnected: AtomicUsize,
}

impl Crowd {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// What the CA does: one connection, one request.
async fn ask(address: SocketAddr) -> Option<String> {
    let mut connection = Connection::open(address).await;
    let head = format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path());
    if !connection.try_send(&head).await {
        return None;
    }
    Some(connection.try_response().await?.body)
}

async fn flood(address: SocketAddr, crowd: Arc<Crowd>) {
    let requests = "GET /anything HTTP/1.1\r\nHost: other.example.com\r\n\r\n".repeat(BURST);
    while crowd.goes_on() {
        let mut connection = Connection::open(address).await;
        while crowd.goes_on() && connection.try_send(&requests).await {
            for _ in 0..BURST {
                if connection.try_response().await.is_none() {
                    break;
                }
                crowd.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn drip(address: SocketAddr, crowd: Arc<Crowd>) {
    while crowd.goes_on() {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        crowd.reconnected.fetch_add(1, Ordering::Relaxed);
        let mut is_open = stream.write_all(b"GET / HTTP/1.1\r\n").await.is_ok();
        while is_open && crowd.goes_on() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            is_open = stream.write_all(b"X: y\r\n").await.is_ok();
        }
    }
}

/// Raises the soft limit of open files to the hard one, and gives it.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}

/// Whoever has waited longest for a whole head gives way, and no one before there is somebody to give way to.
#[tokio::test]
async fn the_one_that_has_waited_longest_gives_way() {
    let fixture = Fixture::with_limits(Limits { connections: 3, ..Limits::default() });
    let (mut first, mut second) = (fixture.connect().await, fixture.connect().await);
    eventually(|| fixture.server.open_connections() == 2).await;
    let mut third = fixture.connect().await;
    eventually(|| fixture.server.open_connections() == 3).await;
    // An answer begins the wait anew: the second has waited longest now.
    first.send(request()).await;
    assert_eq!(first.response().await.body, key_authorization());
    second.send("GET / HTTP/1.1\r\nX: y\r\n").await;
    let mut fourth = fixture.connect().await;
    assert_eq!(second.rest().await, "");
    for connection in [&mut first, &mut third, &mut fourth] {
        connection.send(request()).await;
        assert_eq!(connection.response().await.body, key_authorization());
    }
    assert_eq!(fixture.server.open_connections(), 3);
}

#[tokio::test]
async fn one_connection_is_enough() {
    let fixture = Fixture::with_limits(Limits { connections: 1, ..Limits::default() });
    let silent = fixture.connect().await;
    for _ in 0..10 {
        assert_eq!(ask(fixture.address()).await, Some(key_authorization()));
    }
    drop(silent);
}

/// An answer that takes a while is given, whoever waits; then its connection gives way at once.
#[tokio::test]
async fn what_is_being_answered_does_not_give_way() {
    let hour = Duration::from_secs(3600);
    let limits = Limits { connections: 1, head_time: hour, ..Limits::default() };
    let (begun, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (started, allowed) = (Arc::clone(&begun), Arc::clone(&answers));
    let service = tower::service_fn(move |_| {
        let (started, allowed) = (Arc::clone(&started), Arc::clone(&allowed));
        async move {
            started.add_permits(1);
            allowed.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(Full::from("late")))
        }
    });
    let server = Server::bind(ListenAddress::loopback(0)).unwrap().limits(limits).spawn(service).unwrap();
    let address = server.local_addrs()[0];
    let mut first = Connection::open(address).await;
    first.send(request()).await;
    begun.acquire().await.unwrap().forget();
    let mut second = Connection::open(address).await;
    second.send(request()).await;
    // Longer than anybody may wait who could give way; and the server is let run, often enough to see the second.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    answers.add_permits(1);
    assert_eq!(first.response().await.body, "late");
    answers.add_permits(1);
    let body = tokio::time::timeout(CA_TIME, second.response()).await.unwrap().body;
    assert_eq!(body, "late");
    assert_eq!(first.rest().await, "");
}
