//! Going on after the process ended, at any point.

use crate::cut::Cut;
use crate::environment::{Environment, names};
use crate::seams::CutJournal;
use crate::wire::{change, count, refuse};
use gatecert_issue::{Entry, Event, Journal as _, KeySource, KeyType, ObtainError, Request, obtain};
use gatecert_testkit::Pebble;
use std::sync::Arc;

/// What the first life of the process leaves behind.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    /// The answers: routes of a mesh, files of a web server.
    Answers,
    /// Nothing: the process was the responder.
    Nothing,
}

/// Obtains a certificate in two lives of the process, the first of which ends after so many points. Gives whether it
/// was cut off at all.
async fn in_two_lives(environment: &Environment, points: usize, left: Left) -> bool {
    let request = Request::new(names(&[&format!("a{points}.test"), &format!("b{points}.test")]));
    environment.journal.clear().await.unwrap();
    let account = environment.account().await;
    environment.wire.take();
    let cut = Arc::new(Cut::after(points));
    environment.wire.cut(Some(cut.clone()));
    let journal = CutJournal { inner: &environment.journal, cut: cut.clone() };
    let mut solver = environment.solver();
    solver.cut = Some(cut.clone());
    let first = cut.run(obtain(&account, &request, &solver, &journal, &())).await;
    environment.wire.cut(None);
    if left == Left::Nothing {
        solver.forget();
    }
    drop(account);

    let mut log = environment.wire.take();
    let is_saved = environment.journal.entry().is_some();
    let mut result = environment.obtain(&request).await;
    log.append(&mut environment.wire.take());
    if left == Left::Nothing && matches!(result, Err(ObtainError::Validation { .. })) {
        // The CA asked while nobody answered, and was not through when the order was looked at.
        result = environment.obtain(&request).await;
        log.append(&mut environment.wire.take());
    }
    let bundle = result.unwrap_or_else(|error| panic!("after {points} points: {error:?}: {log:?}"));
    assert_eq!(count(&log, "finalize-order"), 1, "after {points} points: {log:?}");
    if is_saved && left == Left::Answers {
        assert_eq!(count(&log, "order-plz"), 1, "after {points} points: {log:?}");
    }
    if let Some(Ok(first)) = &first {
        assert_eq!(first.facts.serial, bundle.facts.serial);
    }
    assert_eq!(environment.journal.entry().unwrap().key_pem, bundle.key_pem);
    first.is_none()
}

/// Kills at every point, and gives how many there are.
async fn kill_everywhere(environment: &Environment, left: Left) -> usize {
    let mut points = 0;
    while in_two_lives(environment, points, left).await {
        points += 1;
        assert!(points < 200);
    }
    points
}

#[tokio::test]
async fn a_kill_at_any_point_costs_no_second_order() {
    let points = kill_everywhere(&Environment::start().await, Left::Answers).await;
    assert!(points > 25, "only {points} points");
}

#[tokio::test]
async fn a_kill_that_takes_the_responder_along_costs_no_second_certificate() {
    kill_everywhere(&Environment::start().await, Left::Nothing).await;
}

#[tokio::test]
async fn a_kill_when_all_is_proved_already() {
    let environment = Environment::with(Pebble::builder().authz_reuse(100)).await;
    let first = kill_everywhere(&environment, Left::Answers).await;
    // The CA knows the names of the first round.
    let second = kill_everywhere(&environment, Left::Answers).await;
    assert!(second < first, "{second} points, {first} before");
}

/// Puts an order into the journal by cutting off at the solver.
async fn begun(environment: &Environment, request: &Request) -> Entry {
    let mut solver = environment.solver();
    solver.fails_at = Some("ready");
    let account = environment.account().await;
    // Where names were proved before, one order in a hundred needs no solver, and is over at once.
    while obtain(&account, request, &solver, &environment.journal, &()).await.is_ok() {
        environment.journal.clear().await.unwrap();
    }
    environment.journal.entry().unwrap()
}

#[tokio::test]
async fn an_order_for_something_else_is_passed_over() {
    let profiles = [("default", "", 90 * 86400), ("shortlived", "", 6 * 86400)];
    let environment = Environment::with(Pebble::builder().profiles(&profiles)).await;
    let request = Request::new(names(&["a.test"]));
    let key = gatecert_issue::CertificateKey::generate(KeyType::EcdsaP256).unwrap();
    for other in [
        Request::new(names(&["a.test", "b.test"])),
        request.clone().key(KeySource::New(KeyType::EcdsaP384)),
        request.clone().key(KeySource::Reuse(key)),
        request.clone().profile(Some("shortlived".into())),
    ] {
        let entry = begun(&environment, &request).await;
        let bundle = environment.obtain(&other).await.unwrap();
        assert_ne!(bundle.order_url, entry.order_url);
        assert_eq!(bundle.identifiers(), &other.identifiers);
        environment.journal.clear().await.unwrap();
    }
    let entry = begun(&environment, &request).await;
    let bundle = environment.obtain_with(&environment.other_account().await, &request).await.unwrap();
    assert_ne!(bundle.order_url, entry.order_url);
}

#[tokio::test]
async fn a_key_that_can_not_be_read_is_passed_over() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    let mut entry = begun(&environment, &request).await;
    entry.key_pem = "nonsense".to_owned().into();
    environment.journal.save(&entry).await.unwrap();
    let bundle = environment.obtain(&request).await.unwrap();
    assert_ne!(bundle.order_url, entry.order_url);
}

#[tokio::test]
async fn an_order_that_the_ca_has_forgotten_is_made_anew() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    let mut entry = begun(&environment, &request).await;
    entry.order_url = entry.order_url.join("/my-order/nothing-here").unwrap();
    environment.journal.save(&entry).await.unwrap();
    environment.events();
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 1);
    assert!(matches!(environment.events()[..], [Event::Retrying { .. }, Event::OrderCreated { .. }, ..]));
}

#[tokio::test]
async fn an_invalid_or_expired_order_is_made_anew() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    for (member, value) in [("status", "invalid"), ("expires", "2020-01-01T00:00:00Z")] {
        begun(&environment, &request).await;
        environment.tamper(Box::new(move |kind, n, response| {
            if kind == "my-order" && n == 0 {
                change(response, |order| order[member] = value.into());
            }
            Ok(())
        }));
        environment.obtain(&request).await.unwrap();
        assert_eq!(count(&environment.wire.take(), "order-plz"), 1, "{member}");
        environment.journal.clear().await.unwrap();
        environment.wire.tamper(None);
    }
}

#[tokio::test]
async fn authorizations_that_expired_make_the_order_anew_once() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    begun(&environment, &request).await;
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "authZ" && n == 0 {
            change(response, |authorization| authorization["status"] = "expired".into());
        }
        Ok(())
    }));
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 1);
}

#[tokio::test]
async fn a_ca_that_is_down_keeps_the_order() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    let entry = begun(&environment, &request).await;
    let account = environment.account().await;
    environment.tamper(Box::new(|_, _, response| {
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        *response.body_mut() = "<html>".into();
        Ok(())
    }));
    let error = environment.obtain_with(&account, &request).await.unwrap_err();
    assert!(matches!(error, ObtainError::Resume(_)), "{error:?}");
    assert!(matches!(error.retry(), gatecert_acme::Retry::After(_)));
    assert_eq!(environment.journal.entry(), Some(entry.clone()));
    environment.wire.tamper(None);
    assert_eq!(environment.obtain(&request).await.unwrap().order_url, entry.order_url);
}

#[tokio::test]
async fn an_answer_that_is_no_order_is_not_in_the_way() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    begun(&environment, &request).await;
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "my-order" && n < 3 {
            *response.body_mut() = "<html>".into();
        }
        Ok(())
    }));
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 1);
}

#[tokio::test]
async fn an_answer_that_was_cut_short_costs_no_order() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    begun(&environment, &request).await;
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "my-order" && n < 2 {
            response.body_mut().truncate(40);
        }
        Ok(())
    }));
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 0);
}

/// What it said may have been that the order is not ready, for one: it was finalized a moment ago.
#[tokio::test]
async fn a_refusal_that_was_cut_short_costs_no_order() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test"]));
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "finalize-order" && n == 0 {
            refuse(response, 403, "orderNotReady");
            response.body_mut().truncate(20);
        }
        Ok(())
    }));
    environment.obtain(&request).await.unwrap_err();
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 0);
}
