//! Paths and tokens.

use crate::client::{Fixture, HOST, THUMBPRINT, TOKEN, key_authorization, path};

#[tokio::test]
async fn odd_paths_and_tokens_are_not_found() {
    let fixture = Fixture::start();
    fixture.store.set_thumbprint(HOST, THUMBPRINT).unwrap();
    let challenge = "/.well-known/acme-challenge";
    for path in [
        "/".to_owned(),
        "/favicon.ico".to_owned(),
        challenge.to_owned(),
        format!("{challenge}/"),
        format!("{challenge}//{TOKEN}"),
        format!("/{challenge}/{TOKEN}"),
        format!("{challenge}/{TOKEN}/"),
        format!("{challenge}/{TOKEN}/x"),
        format!("{challenge}/../acme-challenge/{TOKEN}"),
        format!("/.Well-Known/acme-challenge/{TOKEN}"),
        format!("/%2ewell-known/acme-challenge/{TOKEN}"),
        format!("{challenge}/%4coqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"),
        format!("{challenge}/{TOKEN}="),
        format!("{challenge}/{TOKEN}.{THUMBPRINT}"),
        format!("{challenge}/a+b"),
        format!("{challenge}/a~b"),
        format!("{challenge}/tökén"),
        format!("{challenge}/{}", "x".repeat(129)),
        format!("{challenge}/{}", "x".repeat(4000)),
    ] {
        assert_eq!(fixture.status(HOST, &path).await, 404, "{path}");
    }
    assert_eq!(fixture.responder.counts().not_challenge, 19);
}

#[tokio::test]
async fn a_query_does_not_matter() {
    let fixture = Fixture::start();
    assert_eq!(fixture.status(HOST, &format!("{}?from=redirect", path())).await, 200);
}

#[tokio::test]
async fn tokens_are_compared_with_case() {
    let fixture = Fixture::start();
    assert_eq!(
        fixture
            .status(
                HOST,
                &path().to_uppercase().replace("/.WELL-KNOWN/ACME-CHALLENGE", "/.well-known/acme-challenge")
            )
            .await,
        404
    );
    assert_eq!(fixture.responder.counts().unknown_token, 1);
}

#[tokio::test]
async fn an_answer_has_fewer_than_128_bytes_in_both_modes() {
    let fixture = Fixture::start();
    fixture.store.set_thumbprint("stateless.example.com", THUMBPRINT).unwrap();
    for (length, status) in [(83, 200), (84, 404), (128, 404)] {
        let token = "x".repeat(length);
        let inserted = fixture.store.insert(HOST, &token, &format!("{token}.{THUMBPRINT}"));
        assert_eq!(inserted.is_ok(), status == 200);
        let path = format!("/.well-known/acme-challenge/{token}");
        assert_eq!(fixture.status(HOST, &path).await, status);
        assert_eq!(fixture.status("stateless.example.com", &path).await, status);
    }
}

#[tokio::test]
async fn a_change_of_the_store_is_seen_on_open_connections() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect().await;
    let request = crate::client::request();
    connection.send(&request).await;
    assert_eq!(connection.response().await.body, key_authorization());
    fixture.store.insert(HOST, TOKEN, &format!("{TOKEN}.other")).unwrap();
    connection.send(&request).await;
    assert_eq!(connection.response().await.body, format!("{TOKEN}.other"));
    assert!(fixture.store.remove(HOST, TOKEN));
    connection.send(&request).await;
    assert_eq!(connection.response().await.status, 404);
}
