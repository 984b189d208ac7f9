//! Clients that cost more than they should.

use crate::client::{Connection, Fixture, HOST, eventually, key_authorization, path, request};
use futures::future::join_all;
use gatecert_http01::Limits;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_silent_client_is_disconnected() {
    let fixture = Fixture::with_limits(Limits { head_time: SOON, ..Limits::default() });
    assert_eq!(fixture.connect().await.rest().await, "");
}

#[tokio::test]
async fn a_head_has_to_come_in_time() {
    let fixture = Fixture::with_limits(Limits { head_time: SOON, ..Limits::default() });
    let mut connection = fixture.connect().await;
    connection.send(format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\n", path())).await;
    connection.send_until_refused_slowly(b"X: y\r\n").await;
    assert_eq!(fixture.responder.counts().total(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let fixture = Fixture::with_limits(Limits { head_time: SOON, ..Limits::default() });
    let mut connection = fixture.connect().await;
    connection.send(request()).await;
    assert_eq!(connection.response().await.body, key_authorization());
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_head_has_at_most_8_kib() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    connection.send(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(9000))).await;
    assert!(connection.rest().await.starts_with("HTTP/1.1 431 "));

    let mut connection = fixture.connect().await;
    connection.send(format!("GET /{}", "x".repeat(9000))).await;
    assert!(connection.rest().await.starts_with("HTTP/1.1 4"));

    let mut connection = fixture.connect().await;
    connection.send(format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101))).await;
    assert!(connection.rest().await.starts_with("HTTP/1.1 431 "));
    assert_eq!(fixture.responder.counts().total(), 0);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let fixture = Fixture::with_limits(Limits { write_time: SOON, ..Limits::default() });
    let mut connection = fixture.connect().await;
    connection.send_until_refused(request().repeat(100).as_bytes()).await;
    eventually(|| fixture.server.open_connections() <= 1).await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_their_turn() {
    let fixture = Fixture::with_limits(Limits { connections: 4, head_time: SOON, ..Limits::default() });
    let silent: Vec<Connection> = join_all((0..8).map(|_| fixture.connect())).await;
    let answers = join_all((0..100).map(|_| async {
        let mut connection = fixture.connect().await;
        connection
            .send(format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path()))
            .await;
        assert!(fixture.server.open_connections() <= 4);
        connection.response().await.body
    }))
    .await;
    assert!(answers.iter().all(|answer| *answer == key_authorization()));
    drop(silent);
}
