//! The responder in other programs: axum, tower.

use crate::client::{Connection, HOST, TOKEN, key_authorization, path, request};
use axum::Router;
use axum::routing::get;
use gatecert_http01::{CHALLENGE_PATH, Responder, TokenStore};
use http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

fn responder() -> Responder {
    let store = TokenStore::new();
    store.insert(HOST, TOKEN, &key_authorization()).unwrap();
    Responder::new(store)
}

#[tokio::test]
async fn in_axum_beside_other_routes() {
    let responder = responder();
    let app = Router::new()
        .route("/", get(|| async { "page" }))
        .route_service(&format!("{CHALLENGE_PATH}{{token}}"), responder.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connection = Connection::open(listener.local_addr().unwrap()).await;
    tokio::spawn(async move { axum::serve(listener, app).await });

    connection.send(request()).await;
    assert_eq!(connection.response().await.body, key_authorization());
    connection.send("GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(connection.response().await.body, "page");
    connection.send(format!("HEAD {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path())).await;
    let head = connection.rest().await;
    assert!(
        head.starts_with("HTTP/1.1 200 ")
            && head.contains("content-length: 87\r\n")
            && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert_eq!(responder.counts().exact, 2);
}

#[tokio::test]
async fn as_a_tower_service() {
    for (method, body) in [(Method::GET, key_authorization()), (Method::HEAD, String::new())] {
        let request =
            Request::builder().method(method).uri(path()).header("host", HOST).body("ignored").unwrap();
        let response = responder().oneshot(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-length"].to_str().unwrap()),
            (200, "87")
        );
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    }
}

#[tokio::test]
async fn http_2_has_the_host_in_the_target() {
    let request = Request::get(format!("http://{HOST}:80{}", path())).body(()).unwrap();
    assert_eq!(responder().oneshot(request).await.unwrap().status(), 200);
}

#[test]
fn all_is_clone_send_sync() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Responder>();
    check::<TokenStore>();
    check::<gatecert_http01::Health>();
    fn sends<T: Send + Sync + 'static>() {}
    sends::<gatecert_http01::ServerHandle>();
}
