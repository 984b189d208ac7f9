//! Orders that replace a certificate, and CAs that refuse that.

use crate::environment::{Environment, names};
use crate::wire::{count, refuse};
use gatecert_issue::{Event, Journal as _, ObtainError, Request};

fn retries(environment: &Environment) -> usize {
    environment.events().iter().filter(|event| matches!(event, Event::Retrying { .. })).count()
}

#[tokio::test]
async fn accepted() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test", "b.test"]));
    let bundle = environment.obtain(&request).await.unwrap();
    environment.journal.clear().await.unwrap();
    environment.obtain(&request.replaces(bundle.certificate_id().cloned())).await.unwrap();
    assert_eq!(retries(&environment), 0);
    assert_eq!(environment.journal.entry().unwrap().replaces, bundle.certificate_id().cloned());
}

#[tokio::test]
async fn replaced_already() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    let bundle = environment.obtain(&request).await.unwrap();
    let request = request.replaces(bundle.certificate_id().cloned());
    for refused in [0, 1] {
        environment.journal.clear().await.unwrap();
        environment.obtain(&request).await.unwrap();
        assert_eq!(retries(&environment), refused);
        assert_eq!(count(&environment.wire.take(), "order-plz"), 1 + refused);
    }
    assert_eq!(environment.journal.entry().unwrap().replaces, None);
}

#[tokio::test]
async fn of_another_account_or_unknown() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    let bundle = environment.obtain(&request).await.unwrap();
    environment.journal.clear().await.unwrap();
    let other = environment.other_account().await;
    environment
        .obtain_with(&other, &request.clone().replaces(bundle.certificate_id().cloned()))
        .await
        .unwrap();
    assert_eq!(retries(&environment), 1);

    environment.journal.clear().await.unwrap();
    let unknown = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".parse().unwrap();
    environment.obtain(&request.replaces(Some(unknown))).await.unwrap();
    assert_eq!(retries(&environment), 1);
}

#[tokio::test]
async fn every_kind_of_refusal() {
    let environment = Environment::start().await;
    let unknown = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".parse().unwrap();
    let request = Request::new(names(&["a.test"])).replaces(Some(unknown));
    for (status, kind, again) in [
        (409, "alreadyReplaced", true),
        (409, "conflict", true),
        (400, "malformed", true),
        (403, "unauthorized", true),
        (404, "malformed", true),
        (400, "rejectedIdentifier", false),
        (429, "rateLimited", false),
    ] {
        environment.tamper(Box::new(move |path, n, response| {
            if path == "order-plz" && n == 0 {
                refuse(response, status, kind);
                // Longer than a request waits for on the spot.
                response.headers_mut().insert("retry-after", http::HeaderValue::from_static("3600"));
            }
            Ok(())
        }));
        match environment.obtain(&request).await {
            Ok(_) => assert!(again, "{kind}"),
            Err(error) => assert!(!again && matches!(error, ObtainError::Order { .. }), "{kind}: {error:?}"),
        }
        assert_eq!(count(&environment.wire.take(), "order-plz"), 1 + usize::from(again), "{kind}");
        environment.journal.clear().await.unwrap();
    }
}
