//! Methods, bytes on the wire, keep-alive, pipelining.

use crate::client::{Fixture, HOST, TOKEN, header, key_authorization, path, request, reqwest_client};

#[tokio::test]
async fn the_body_is_the_key_authorization_and_nothing_else() {
    let fixture = Fixture::start();
    let response = fixture.exchange(request()).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, key_authorization());
    assert_eq!(header(head, "content-length"), Some("87"));
    assert_eq!(header(head, "content-type"), Some("text/plain"));
    assert_eq!(header(head, "cache-control"), Some("no-store"));
    assert_eq!(header(head, "transfer-encoding"), None);
    assert!(header(head, "date").is_some());
}

#[tokio::test]
async fn reqwest_reads_it() {
    let fixture = Fixture::start();
    let client = reqwest_client(fixture.address());
    let url = format!("http://{HOST}:{}{}", fixture.address().port(), path());
    let response = client.get(&url).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(87)));
    assert_eq!(response.bytes().await.unwrap(), key_authorization());

    let head = client.head(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "87"));
    assert_eq!(client.post(&url).body("x").send().await.unwrap().status(), 404);
    assert_eq!(fixture.store.answered(HOST, TOKEN), 2);
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let fixture = Fixture::start();
    for (path, status, length) in [(path(), "200", "87"), ("/".to_owned(), "404", "10")] {
        let response = fixture.exchange(format!("HEAD {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.split(' ').nth(1), Some(status));
        assert_eq!(header(head, "content-length"), Some(length));
        assert_eq!(body, "");
    }
}

#[tokio::test]
async fn other_methods_are_not_found() {
    let fixture = Fixture::start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"] {
        let response =
            fixture.exchange(format!("{method} {} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", path())).await;
        assert!(
            response.starts_with("HTTP/1.1 404 Not Found\r\n") && response.ends_with("\r\n\r\nnot found\n"),
            "{response}"
        );
    }
    for target in ["OPTIONS *", "CONNECT www.example.com:80"] {
        let response = fixture.exchange(format!("{target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 404 Not Found\r\n"), "{response}");
    }
    assert_eq!(fixture.responder.counts().not_challenge, 10);
    assert_eq!(fixture.responder.counts().total(), 10);
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    connection.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n")).await;
    assert_eq!(connection.response().await.status, 404);
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn a_connection_is_kept_and_requests_may_be_pipelined() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    for _ in 0..3 {
        connection.send(request()).await;
        assert_eq!(connection.response().await.body, key_authorization());
    }
    let mixed = [request(), "GET / HTTP/1.1\r\n\r\n".to_owned(), request()].concat();
    connection.send(mixed.repeat(50)).await;
    for _ in 0..50 {
        let statuses =
            [connection.response().await, connection.response().await, connection.response().await];
        assert_eq!(statuses.map(|response| response.status), [200, 404, 200]);
    }
    assert_eq!(fixture.store.answered(HOST, TOKEN), 103);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    for byte in request().bytes() {
        connection.send([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.response().await.body, key_authorization());
}

#[tokio::test]
async fn connection_close_is_obeyed() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    connection.send(format!("GET {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", path())).await;
    assert_eq!(connection.response().await.body, key_authorization());
    assert_eq!(connection.rest().await, "");
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_request() {
    let fixture = Fixture::start();
    for bytes in [
        "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
    ] {
        let response = fixture.exchange(bytes).await;
        assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
    }
    assert_eq!(fixture.responder.counts().total(), 0);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_rest_of_the_next_request() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    let (begun, rest) = ("GET / HTTP/1.1\r\nX", ": y\r\n\r\n");
    connection.send(request() + begun).await;
    assert_eq!(connection.response().await.body, key_authorization());
    connection.send(rest).await;
    assert_eq!(connection.response().await.status, 404);
}
