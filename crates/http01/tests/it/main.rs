//! The responder over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use futures::stream::{self, StreamExt as _};
use gatecert_http01::{BindError, Health, ListenAddress, Readiness, Responder, Server, TokenStore};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const HOST: &str = "www.example.test";
const ANSWER: &str = "tok-1_A.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
const PATH: &str = "/.well-known/acme-challenge/tok-1_A";

/// A served store. Dropping it leaves the server to the runtime's end.
struct Served {
    address: SocketAddr,
    tokens: TokenStore,
    responder: Responder,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn serve_on(address: &str) -> Served {
    let tokens = TokenStore::new();
    tokens.insert(HOST, "tok-1_A", ANSWER).unwrap();
    let server = Server::bind(address.parse().unwrap()).unwrap();
    let address = server.local_addresses()[0];
    let responder = Responder::new(tokens.clone());
    let (stop, stopped) = oneshot::channel();
    let service = responder.clone();
    let task = tokio::spawn(async move {
        server.serve(service, async { drop(stopped.await) }).await;
    });
    Served { address, tokens, responder, stop, task }
}

async fn serve() -> Served {
    serve_on("127.0.0.1:0").await
}

/// What the server answers to these bytes until it closes, or is silent for a while after `Connection: close`.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn request(address: SocketAddr, method: &str, path: &str, host: &str) -> String {
    exchange(address, &format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_answer_to_the_byte() {
    let served = serve().await;
    let answer = request(served.address, "GET", PATH, HOST).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), ANSWER);
    let head = answer.to_ascii_lowercase();
    assert!(head.contains(&format!("content-length: {}\r\n", ANSWER.len())), "{answer}");
    assert!(head.contains("content-type: text/plain\r\n"), "{answer}");
    assert_eq!(served.tokens.asked(HOST, "tok-1_A"), 1);
    assert_eq!(served.responder.statistics().answered, 1);
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let served = serve().await;
    let answer = request(served.address, "HEAD", PATH, HOST).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "");
    assert!(answer.to_ascii_lowercase().contains(&format!("content-length: {}\r\n", ANSWER.len())), "{answer}");
}

#[tokio::test]
async fn hosts_in_all_spellings() {
    let served = serve().await;
    for host in ["WWW.Example.TEST", "www.example.test:80", "www.example.test.", "www.example.test.:5002"] {
        assert_eq!(status(&request(served.address, "GET", PATH, host).await), 200, "{host}");
    }
    for host in ["example.test", "www.example.test.evil", "evil.www.example.test", "192.0.2.1", "[::1]:80", ""] {
        assert_eq!(status(&request(served.address, "GET", PATH, host).await), 404, "{host}");
    }
    served.tokens.insert("2001:db8::1", "v6", "v6.answer").unwrap();
    for host in ["[2001:db8::1]", "[2001:DB8:0:0::1]:80"] {
        let answer = request(served.address, "GET", "/.well-known/acme-challenge/v6", host).await;
        assert_eq!(body(&answer), "v6.answer", "{host}");
    }
}

#[tokio::test]
async fn an_absolute_target_names_the_host() {
    let served = serve().await;
    let target = format!("http://{HOST}{PATH}");
    assert_eq!(status(&request(served.address, "GET", &target, "elsewhere.test").await), 200);
}

#[tokio::test]
async fn without_a_host_there_is_no_answer() {
    let served = serve().await;
    assert_eq!(status(&exchange(served.address, &format!("GET {PATH} HTTP/1.0\r\n\r\n")).await), 404);
}

#[tokio::test]
async fn other_methods_and_paths() {
    let served = serve().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        assert_eq!(status(&request(served.address, method, PATH, HOST).await), 405, "{method}");
    }
    let long = "x".repeat(129);
    for path in [
        "/", "/.well-known/acme-challenge", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other",
        "/.well-known/acme-challenge/tok-1_A/", "/.well-known/acme-challenge//tok-1_A",
        "/.well-known/acme-challenge/../tok-1_A", "/.well-known/acme-challenge/tok%2D1_A",
        "/.well-known/acme-challenge/..%2f..%2fetc%2fpasswd", "/.WELL-KNOWN/acme-challenge/tok-1_A",
        &format!("/.well-known/acme-challenge/{long}"),
    ] {
        assert_eq!(status(&request(served.address, "GET", path, HOST).await), 404, "{path}");
    }
    assert_eq!(status(&request(served.address, "GET", &format!("{PATH}?x=1"), HOST).await), 200, "a query is not the path's");
    let statistics = served.responder.statistics();
    assert_eq!((statistics.answered, statistics.unknown + statistics.other), (1, 16));
}

#[tokio::test]
async fn oversized_and_broken_requests_are_refused() {
    let served = serve().await;
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let big = format!("X: {}\r\n", "y".repeat(64 * 1024));
    for headers in [many, big] {
        let answer = exchange(served.address, &format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")).await;
        assert!(answer.is_empty() || status(&answer) == 431, "{answer:?}");
    }
    let answer = exchange(served.address, "\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n").await;
    assert!(answer.is_empty() || status(&answer) == 400, "{answer:?}");
    assert_eq!(status(&request(served.address, "GET", PATH, HOST).await), 200);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_left() {
    let served = serve().await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /.well-known/acme-cha").await.unwrap();
    // Paused time runs ahead once all wait: the server's own limit ends the connection.
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.is_empty() || status(&rest) == 408, "{rest:?}");
}

#[tokio::test]
async fn requests_on_one_connection_one_behind_the_other() {
    let served = serve().await;
    let one = format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let last = format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let answer = exchange(served.address, &(one.repeat(9) + &last)).await;
    assert_eq!(answer.matches(ANSWER).count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_at_once() {
    let served = serve().await;
    let connections = stream::iter(0..500).map(|_| async {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let one = format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let last = format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all((one.repeat(19) + &last).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.matches(ANSWER).count()
    });
    let answered: usize = connections.buffer_unordered(500).collect::<Vec<_>>().await.into_iter().sum();
    assert_eq!(answered, 10_000);
    assert_eq!(served.tokens.asked(HOST, "tok-1_A"), 10_000);
}

#[tokio::test]
async fn what_is_removed_is_not_answered() {
    let served = serve().await;
    served.tokens.remove(HOST, "tok-1_A");
    assert_eq!(status(&request(served.address, "GET", PATH, HOST).await), 404);
}

#[tokio::test]
async fn stops_when_told_and_ends_idle_connections() {
    let served = serve().await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut first = [0; 16];
    idle.read_exact(&mut first).await.unwrap();
    served.stop.send(()).unwrap();
    served.task.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn all_addresses_are_ipv4_and_ipv6_on_one_port() {
    let served = serve_on(":0").await;
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), served.address.port());
        assert_eq!(status(&request(address, "GET", PATH, HOST).await), 200, "{address}");
    }
}

#[tokio::test]
async fn a_taken_port_names_its_holder() {
    let served = serve().await;
    let error = Server::bind(ListenAddress::from(served.address)).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine() {
    let error = Server::bind("192.0.2.1:8080".parse().unwrap()).unwrap_err();
    assert!(matches!(error, BindError::NoSuchAddress { .. }), "{error:?}");
}

#[tokio::test]
async fn health_and_readiness() {
    let readiness = Readiness::default();
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addresses()[0];
    tokio::spawn(server.serve(Health::new(readiness.clone()), std::future::pending()));
    assert_eq!(status(&request(address, "GET", "/healthz", HOST).await), 200);
    assert_eq!(status(&request(address, "GET", "/readyz", HOST).await), 503);
    readiness.set(true);
    assert_eq!(status(&request(address, "GET", "/readyz", HOST).await), 200);
    assert_eq!(status(&request(address, "GET", PATH, HOST).await), 404);
}
