//! How a server ends.

use crate::client::{Connection, Fixture, HOST, TOKEN, eventually, header, key_authorization, path, request};
use futures::future::join_all;
use gatecert_http01::{Drained, Health, Limits, ListenAddress, Responder, ServeError, Server, TokenStore};
use std::net::TcpStream;
use std::time::Duration;

#[tokio::test]
async fn a_request_in_flight_is_answered() {
    let fixture = Fixture::start();
    let address = fixture.address();
    let mut begun = fixture.connect().await;
    begun.send(format!("GET {} HTTP/1.1\r\n", path())).await;
    let mut idle = fixture.connect().await;
    idle.send(request()).await;
    assert_eq!(idle.response().await.status, 200);

    let ending = tokio::spawn(fixture.server.shutdown());
    assert_eq!(idle.rest().await, "");
    eventually(|| TcpStream::connect(address).is_err()).await;
    begun.send(format!("Host: {HOST}\r\n\r\n")).await;
    let response = begun.response().await;
    assert_eq!((response.status, response.body), (200, key_authorization()));
    assert_eq!(header(&response.head, "connection"), Some("close"));
    assert_eq!(begun.rest().await, "");
    assert_eq!(ending.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let fixture =
        Fixture::with_limits(Limits { drain_time: Duration::from_millis(100), ..Limits::default() });
    let mut stuck = join_all((0..3).map(|_| fixture.connect())).await;
    for connection in &mut stuck {
        connection.send("GET / HTTP/1.1\r\n").await;
    }
    let silent = fixture.connect().await;
    eventually(|| fixture.server.open_connections() >= 4).await;
    let drained = fixture.server.shutdown().await.unwrap();
    assert_eq!(drained.cut, 3);
    for connection in &mut stuck {
        assert_eq!(connection.rest().await, "");
    }
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_request_that_is_answered_is_answered_whole() {
    let fixture = Fixture::start();
    let address = fixture.address();
    let clients: Vec<_> = (0..50).map(|_| tokio::spawn(ask_until_closed(address))).collect();
    eventually(|| fixture.store.answered(HOST, TOKEN) > 2000).await;
    assert_eq!(fixture.server.shutdown().await.unwrap().cut, 0);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert_eq!(answered, fixture.store.answered(HOST, TOKEN));
}

async fn ask_until_closed(address: std::net::SocketAddr) -> u64 {
    let mut connection = Connection::open(address).await;
    let mut answered = 0;
    while connection.try_send(&request()).await {
        let Some(response) = connection.try_response().await else { break };
        assert_eq!(response.body, key_authorization());
        answered += 1;
    }
    answered
}

#[tokio::test]
async fn connections_in_the_queue_are_answered() {
    let store = TokenStore::new();
    store.insert(HOST, TOKEN, &key_authorization()).unwrap();
    let server = Server::bind(ListenAddress::loopback(0)).unwrap();
    let mut waiting = Connection::open(server.local_addrs()[0]).await;
    waiting.send(request()).await;
    let drained = server.serve(Responder::new(store), std::future::ready(())).await.unwrap();
    assert_eq!(waiting.response().await.body, key_authorization());
    assert_eq!(drained.cut, 0);
}

#[tokio::test]
async fn the_port_is_free_afterwards() {
    let fixture = Fixture::start();
    let address = fixture.address();
    fixture.exchange(request()).await;
    assert_eq!(fixture.server.shutdown().await.unwrap(), Drained { cut: 0 });
    let again = Server::bind(address.into()).unwrap();
    assert_eq!(again.local_addrs(), [address]);
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let Fixture { server, .. } = Fixture::start();
    let address = server.local_addrs()[0];
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    eventually(|| TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn dropping_the_future_cuts_connections() {
    let server = Server::bind(ListenAddress::loopback(0)).unwrap();
    let address = server.local_addrs()[0];
    let serving = tokio::spawn(server.serve(Responder::new(TokenStore::new()), std::future::pending()));
    let mut connection = Connection::open(address).await;
    connection.send("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n").await;
    assert_eq!(connection.response().await.status, 404);
    serving.abort();
    assert_eq!(connection.rest().await, "");
    eventually(|| TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn readiness_follows_the_server() {
    let health = Health::new();
    let limits = Limits { drain_time: Duration::from_millis(100), ..Limits::default() };
    let server = Server::bind(ListenAddress::loopback(0)).unwrap().limits(limits).health(health.clone());
    assert!(!health.is_ready());
    let server = server.spawn(Responder::new(TokenStore::new())).unwrap();
    eventually(|| health.is_ready()).await;
    let mut begun = Connection::open(server.local_addrs()[0]).await;
    begun.send("GET / HTTP/1.1\r\n").await;
    eventually(|| server.open_connections() == 1).await;
    let ending = tokio::spawn(server.shutdown());
    eventually(|| !health.is_ready()).await;
    assert_eq!(ending.await.unwrap().unwrap().cut, 1);
}

#[test]
fn without_a_runtime_it_says_so() {
    let server = Server::bind(ListenAddress::loopback(0)).unwrap();
    let error = server.spawn(Responder::new(TokenStore::new())).unwrap_err();
    assert!(matches!(error, ServeError::NoRuntime(_)));
    assert_eq!(error.to_string(), "the server was started outside a tokio runtime");
}
