//! Many requests at once.

use crate::client::{Fixture, HOST, TOKEN, key_authorization, path, request};
use futures::future::join_all;
use gatecert_http01::{Responder, TokenStore};
use std::thread;

const SOCKETS: usize = 500;
const REQUESTS_EACH: usize = 100;
const ALL: u64 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_requests_at_once() {
    let fixture = Fixture::start();
    let mut connections = join_all((0..SOCKETS).map(|_| fixture.connect())).await;
    let requests = request().repeat(REQUESTS_EACH);
    join_all(connections.iter_mut().map(|connection| connection.send(&requests))).await;
    let right = join_all(connections.iter_mut().map(async |connection| {
        let mut right = 0;
        for _ in 0..REQUESTS_EACH {
            right += usize::from(connection.response().await.body == key_authorization());
        }
        right
    }))
    .await;
    assert_eq!(right.iter().sum::<usize>(), SOCKETS * REQUESTS_EACH);
    assert_eq!(fixture.responder.counts().exact, ALL);
    assert_eq!(fixture.responder.counts().total(), ALL);
    assert_eq!(fixture.store.answered(HOST, TOKEN), ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_with_one_request_each() {
    let fixture = Fixture::start();
    let bodies = join_all((0..1000).map(async |_| {
        let mut connection = fixture.connect().await;
        connection
            .send(format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path()))
            .await;
        connection.response().await.body
    }))
    .await;
    assert!(bodies.iter().all(|body| *body == key_authorization()));
    assert_eq!(fixture.responder.counts().exact, 1000);
}

#[test]
fn the_store_changes_while_it_is_asked() {
    let store = TokenStore::new();
    let responder = Responder::new(store.clone());
    thread::scope(|scope| {
        for name in ["a.example.com", "b.example.com", "c.example.com", "d.example.com"] {
            let (store, responder) = (store.clone(), responder.clone());
            scope.spawn(move || {
                for round in 0..500 {
                    let token = format!("token-{round}");
                    store.insert(name, &token, &format!("{token}.thumbprint")).unwrap();
                    assert_eq!(ask(&responder, name, &token), 200);
                    assert_eq!(store.answered(name, &token), 1);
                    assert!(store.remove(name, &token));
                    assert_eq!(ask(&responder, name, &token), 404);
                }
            });
        }
    });
    assert!(store.is_empty());
    assert_eq!((responder.counts().exact, responder.counts().unknown_host), (2000, 2000));
}

fn ask(responder: &Responder, host: &str, token: &str) -> u16 {
    let uri = format!("/.well-known/acme-challenge/{token}");
    responder.respond(http::Request::get(uri).header("host", host).body(()).unwrap()).status().as_u16()
}
