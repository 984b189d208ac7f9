//! What fails, what is said of it, and what is left for the next attempt.

use crate::environment::{Environment, names};
use crate::seams::FullJournal;
use crate::wire::{change, count, refuse};
use gatecert_acme::{OrderError, OrderStatus, ProblemKind, Retry, TransportErrorKind};
use gatecert_issue::{Event, ObtainError, Request, VerifyError, obtain};
use gatecert_testkit::Pebble;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn one_name_of_three() {
    let environment = Environment::with(Pebble::builder().authz_reuse(100)).await;
    let nobody = ["127.0.0.77".parse().unwrap()];
    environment.pebble.challtestsrv().add_a("bad.example.test", &nobody).await.unwrap();
    let request = Request::new(names(&["a.example.test", "bad.example.test", "c.example.test"]));
    let error = environment.obtain(&request).await.unwrap_err();
    let ObtainError::Validation { failures } = &error else { panic!("{error:?}") };
    assert_eq!(error.identifiers(), names(&["bad.example.test"]).into_iter().collect());
    assert_eq!(failures[0].problem.as_ref().unwrap().kind, ProblemKind::Connection);
    assert!(error.to_string().contains("bad.example.test: connection: "), "{error}");
    assert!(error.to_string().contains("127.0.0.77"), "the CA's own words: {error}");
    assert!(error.hint().unwrap().contains("port 80 of bad.example.test"), "{:?}", error.hint());
    assert!(matches!(error.retry(), Retry::After(_)));
    assert!(environment.events().iter().any(|event| matches!(event, Event::Failed { .. })));
    assert_eq!(environment.journal.entry(), None, "the order is lost");

    let _there = environment.answer_at("127.0.0.77");
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "chalZ"), 1, "the other names are still proved");
}

#[tokio::test]
async fn all_that_failed_are_named() {
    let environment = Environment::start().await;
    let nobody = ["127.0.0.77".parse().unwrap()];
    for name in ["b.example.test", "d.example.test"] {
        environment.pebble.challtestsrv().add_a(name, &nobody).await.unwrap();
    }
    environment.pebble.challtestsrv().set_servfail("c.example.test").await.unwrap();
    let request =
        Request::new(names(&["a.example.test", "b.example.test", "c.example.test", "d.example.test"]));
    let error = environment.obtain(&request).await.unwrap_err();
    let failed = names(&["b.example.test", "c.example.test", "d.example.test"]);
    assert_eq!(error.identifiers(), failed.into_iter().collect(), "{error}");
}

#[tokio::test]
async fn a_name_that_the_ca_refuses() {
    let environment = Environment::with(Pebble::builder().domain_blocklist(&["blocked.test"])).await;
    let error = environment.obtain(&Request::new(names(&["www.blocked.test"]))).await.unwrap_err();
    assert!(matches!(error, ObtainError::Order { .. }), "{error:?}");
    assert_eq!(error.problem().unwrap().kind, ProblemKind::RejectedIdentifier);
    assert_eq!(error.retry(), Retry::No);
    assert!(error.hint().unwrap().contains("use another name"), "{:?}", error.hint());
}

/// Why the CA refuses to order this, with a problem of this kind.
async fn refused(profiles: &[(&str, &str, u64)], name: &str, kind: &'static str) -> ObtainError {
    let environment = Environment::with(Pebble::builder().profiles(profiles)).await;
    environment.tamper(Box::new(move |request, _, response| {
        if request == "order-plz" {
            refuse(response, 400, kind);
        }
        Ok(())
    }));
    environment.obtain(&Request::new(names(&[name]))).await.unwrap_err()
}

#[tokio::test]
async fn refused_addresses_get_a_profile_to_ask_for() {
    let shortlived = [("classic", "c", 7_776_000), ("shortlived", "s", 518_400)];
    let other = [("classic", "c", 7_776_000), ("machines", "m", 518_400)];
    for (profiles, expected) in
        [(&shortlived, "ask for the profile `shortlived`"), (&other, "it has classic, machines")]
    {
        for kind in ["unsupportedIdentifier", "rejectedIdentifier", "malformed"] {
            let hint = refused(profiles, "127.0.0.1", kind).await.hint().unwrap();
            assert!(hint.contains(expected), "{kind}: {hint}");
        }
    }
    assert_eq!(refused(&shortlived, "a.test", "malformed").await.hint(), None);
}

#[tokio::test]
async fn a_profile_is_no_help_against_everything() {
    let shortlived = [("shortlived", "s", 518_400)];
    let hint = refused(&shortlived, "127.0.0.1", "userActionRequired").await.hint().unwrap();
    assert!(hint.contains("somebody has to act first"), "{hint}");
}

#[tokio::test]
async fn a_solver_that_fails_costs_no_validation() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test", "b.test"]));
    let account = environment.account().await;
    environment.wire.take();
    for (index, step) in ["present", "ready"].into_iter().enumerate() {
        let mut solver = environment.solver();
        solver.fails_at = Some(step);
        let error = obtain(&account, &request, &solver, &environment.journal, &()).await.unwrap_err();
        assert!(matches!(error, ObtainError::Present(_) | ObtainError::Ready(_)), "{error:?}");
        assert_eq!(solver.clean_ups.load(Ordering::SeqCst), 1);
        assert!(environment.store.is_empty());
        let log = environment.wire.take();
        assert_eq!(count(&log, "chalZ"), 0);
        assert_eq!(count(&log, "order-plz"), usize::from(index == 0), "the order is kept");
    }
    environment.obtain(&request).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "order-plz"), 0, "the order is kept");
}

#[tokio::test]
async fn a_clean_up_that_fails_stops_nothing() {
    let environment = Environment::start().await;
    let mut solver = environment.solver();
    solver.fails_at = Some("clean_up");
    let events = std::sync::Mutex::new(Vec::new());
    let progress = |event| events.lock().unwrap().push(event);
    let request = Request::new(names(&["a.test"]));
    obtain(&environment.account().await, &request, &solver, &environment.journal, &progress).await.unwrap();
    let is_told = events.lock().unwrap().contains(&Event::CleanUpFailed { message: "clean_up fails".into() });
    assert!(is_told);
}

#[tokio::test]
async fn without_a_journal_nothing_is_proved() {
    let environment = Environment::start().await;
    let account = environment.account().await;
    let request = Request::new(names(&["a.test"]));
    let error = obtain(&account, &request, &environment.solver(), &FullJournal, &()).await.unwrap_err();
    assert!(matches!(error, ObtainError::Journal(_)), "{error:?}");
    let log = environment.wire.take();
    assert_eq!((count(&log, "chalZ"), count(&log, "finalize-order")), (0, 0));
}

#[tokio::test]
async fn a_ca_without_http01() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, _, response| {
        if kind == "authZ" {
            change(response, |authorization| {
                authorization["challenges"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|challenge| challenge["type"] != "http-01");
            });
        }
        Ok(())
    }));
    let error = environment.obtain(&Request::new(names(&["a.test"]))).await.unwrap_err();
    let ObtainError::NoHttp01 { offered, .. } = &error else { panic!("{error:?}") };
    assert!(offered.contains(&"dns-01".to_owned()), "{offered:?}");
}

#[tokio::test]
async fn an_order_that_is_stuck_is_left_and_resumed() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, _, response| {
        if kind == "my-order" {
            change(response, |order| {
                if order["status"] == "valid" {
                    order["status"] = "processing".into();
                }
            });
        }
        Ok(())
    }));
    let request = Request::new(names(&["a.test"]));
    let error = environment.obtain(&request).await.unwrap_err();
    let ObtainError::Issue(source) = &error else { panic!("{error:?}") };
    assert!(matches!(**source, OrderError::TimedOut { status: OrderStatus::Processing, .. }), "{error:?}");
    let log = environment.wire.take();
    assert!(count(&log, "my-order") < 160, "{} looks", count(&log, "my-order"));
    assert!(environment.journal.entry().is_some());

    environment.wire.tamper(None);
    environment.obtain(&request).await.unwrap();
    let log = environment.wire.take();
    assert_eq!((count(&log, "order-plz"), count(&log, "finalize-order")), (0, 0));
}

#[tokio::test]
async fn an_unclear_finalize_is_not_sent_again() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, _, _| match kind {
        "finalize-order" => Err(TransportErrorKind::Broken.into()),
        _ => Ok(()),
    }));
    environment.obtain(&Request::new(names(&["a.test"]))).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "finalize-order"), 1);
}

#[tokio::test]
async fn a_refused_finalize_ends_the_order() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, _, response| {
        if kind == "finalize-order" {
            refuse(response, 403, "caa");
        }
        Ok(())
    }));
    let error = environment.obtain(&Request::new(names(&["a.test"]))).await.unwrap_err();
    assert!(matches!(error, ObtainError::Finalize(_)), "{error:?}");
    assert_eq!(error.retry(), Retry::No);
    assert!(error.hint().unwrap().contains("CAA"), "{:?}", error.hint());
    assert_eq!(environment.journal.entry(), None);
}

#[tokio::test]
async fn a_rate_limit_keeps_the_order() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, _, response| {
        if kind == "finalize-order" {
            refuse(response, 429, "rateLimited");
            response.headers_mut().insert("retry-after", http::HeaderValue::from_static("7200"));
        }
        Ok(())
    }));
    let request = Request::new(names(&["a.test"]));
    let error = environment.obtain(&request).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(std::time::Duration::from_secs(7200)));
    assert!(environment.journal.entry().is_some());
}

#[tokio::test]
async fn a_certificate_that_is_not_as_ordered_is_not_given_out() {
    let environment = Environment::start().await;
    let other = environment.obtain(&Request::new(names(&["a.test"]))).await.unwrap();
    environment.tamper(Box::new(move |kind, _, response| {
        if kind == "certZ" {
            *response.body_mut() = other.chain_pem.clone().into();
        }
        Ok(())
    }));
    let error = environment.obtain(&Request::new(names(&["b.test"]))).await.unwrap_err();
    assert!(matches!(error, ObtainError::Verify(VerifyError::OtherKey { .. })), "{error:?}");
    assert_eq!(error.retry(), Retry::No);
    assert_eq!(environment.journal.entry(), None);
}

#[tokio::test]
async fn a_challenge_that_the_ca_does_not_take() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["a.test", "b.test", "c.test"]));
    environment
        .wire
        .block(Some(Box::new(|kind, n| (kind == "chalZ" && n == 1).then_some((403, "unauthorized")))));
    let error = environment.obtain(&request).await.unwrap_err();
    assert!(matches!(error, ObtainError::Respond { .. }), "{error:?}");
    assert_eq!(error.identifiers().len(), 1);
    assert_eq!(count(&environment.wire.take(), "finalize-order"), 0);

    environment.wire.block(None);
    environment.obtain(&request).await.unwrap();
    let log = environment.wire.take();
    assert_eq!(
        (count(&log, "order-plz"), count(&log, "chalZ")),
        (0, 1),
        "the others were validated: {log:?}"
    );
}

#[tokio::test]
async fn a_challenge_that_was_begun_before_is_as_good() {
    let environment = Environment::start().await;
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "chalZ" && n == 0 {
            refuse(response, 400, "malformed");
        }
        Ok(())
    }));
    environment.obtain(&Request::new(names(&["a.test", "b.test"]))).await.unwrap();
}

#[tokio::test]
async fn an_issuance_can_be_a_task() {
    let environment = std::sync::Arc::new(Environment::start().await);
    let task =
        tokio::spawn(async move { environment.obtain(&Request::new(names(&["a.test", "b.test"]))).await });
    task.await.unwrap().unwrap();
}
