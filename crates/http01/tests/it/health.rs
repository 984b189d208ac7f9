//! `/healthz` and `/readyz`.

use crate::client::Connection;
use gatecert_http01::{Health, ListenAddress, Server, ServerHandle};

async fn ask(server: &ServerHandle, method: &str, path: &str) -> (u16, String) {
    let mut connection = Connection::open(server.local_addrs()[0]).await;
    connection.send(format!("{method} {path} HTTP/1.1\r\n\r\n")).await;
    let response = connection.response().await;
    (response.status, response.body)
}

#[tokio::test]
async fn alive_always_ready_when_told() {
    let health = Health::new();
    let server = Server::bind(ListenAddress::loopback(0)).unwrap().spawn(health.clone()).unwrap();
    assert_eq!(ask(&server, "GET", "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(ask(&server, "GET", "/readyz").await, (503, "not ready\n".to_owned()));
    health.set_ready(true);
    assert_eq!(ask(&server, "GET", "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(ask(&server, "POST", "/readyz").await.0, 404);
    assert_eq!(ask(&server, "GET", "/readyz/").await.0, 404);
    assert_eq!(ask(&server, "GET", "/.well-known/acme-challenge/t").await.0, 404);
}
