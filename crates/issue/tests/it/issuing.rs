//! What is issued when nothing goes wrong.

use crate::environment::{Environment, names};
use crate::wire::{change, count};
use gatecert_acme::Identifier;
use gatecert_issue::{Event, Journal as _, KeySource, KeyType, ObtainError, Request, facts};
use gatecert_testkit::Pebble;
use jiff::SignedDuration;

#[tokio::test]
async fn one_name() {
    let environment = Environment::start().await;
    let bundle = environment.obtain(&Request::new(names(&["www.example.test"]))).await.unwrap();
    assert_eq!(bundle.identifiers(), &names(&["www.example.test"]).into_iter().collect());
    assert_eq!(bundle.facts, facts(&bundle.chain_pem).unwrap());
    assert!(bundle.chain_pem.ends_with(&bundle.intermediates_pem) && !bundle.intermediates_pem.is_empty());
    assert!(!format!("{bundle:?}").contains("PRIVATE"));
    let status = environment.pebble.cert_status(&bundle.facts.serial).await.unwrap();
    assert!(status.contains("Valid"), "{status}");
    let kinds: Vec<_> = environment.events().iter().map(|event| format!("{event:?}")).collect();
    let words = ["OrderCreated", "ChallengePresented", "Validating", "Validated", "Finalizing", "Issued"];
    assert!(
        kinds.len() == 6 && kinds.iter().zip(words).all(|(kind, word)| kind.starts_with(word)),
        "{kinds:?}"
    );
    let log = environment.wire.take();
    for (kind, times) in [("order-plz", 1), ("authZ", 1), ("chalZ", 1), ("finalize-order", 1), ("certZ", 1)] {
        assert_eq!(count(&log, kind), times, "{kind}: {log:?}");
    }
}

#[tokio::test]
async fn the_journal_is_the_callers_to_clear() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["www.example.test"]));
    let first = environment.obtain(&request).await.unwrap();
    let again = environment.obtain(&request).await.unwrap();
    assert_eq!((&again.chain_pem, &again.key_pem), (&first.chain_pem, &first.key_pem));
    assert_eq!(count(&environment.wire.take(), "order-plz"), 0);
    environment.journal.clear().await.unwrap();
    let other = environment.obtain(&request).await.unwrap();
    assert_ne!(other.facts.serial, first.facts.serial);
    assert_ne!(other.key_pem, first.key_pem);
}

async fn many(count_of_names: usize) {
    let environment = Environment::start().await;
    let many = (0..count_of_names).map(|n| Identifier::dns(&format!("n{n}.example.test")).unwrap());
    let bundle = environment.obtain(&Request::new(many)).await.unwrap();
    assert_eq!(bundle.identifiers().len(), count_of_names);
    let log = environment.wire.take();
    assert_eq!((count(&log, "authZ"), count(&log, "chalZ")), (count_of_names, count_of_names));
}

#[tokio::test]
async fn twenty_five_names() {
    many(25).await;
}

#[tokio::test]
async fn a_hundred_names() {
    many(100).await;
}

#[tokio::test]
async fn what_can_not_be_ordered_is_not() {
    let environment = Environment::start().await;
    let account = environment.account().await;
    let refused = async |request: Request| {
        let error = environment.obtain_with(&account, &request).await.unwrap_err();
        assert_eq!(environment.wire.take(), [""; 0], "{error}");
        error
    };
    let many = (0..101).map(|n| Identifier::dns(&format!("n{n}.test")).unwrap());
    assert!(matches!(refused(Request::new(many)).await, ObtainError::Count { count: 101 }));
    assert!(matches!(refused(Request::new([])).await, ObtainError::Count { count: 0 }));
    let error = refused(Request::new(names(&["a.test", "*.a.test"]))).await;
    assert_eq!(error.identifiers(), names(&["*.a.test"]).into_iter().collect());
    let request = Request::new(names(&["a.test"])).common_name(Some(names(&["b.test"]).remove(0)));
    assert!(matches!(refused(request).await, ObtainError::Key(_)));
    assert_eq!(environment.journal.entry(), None);
}

#[tokio::test]
async fn other_keys() {
    let environment = Environment::start().await;
    for key_type in [KeyType::EcdsaP384, KeyType::Rsa2048] {
        let request = Request::new(names(&["www.example.test"])).key(KeySource::New(key_type));
        let bundle = environment.obtain(&request).await.unwrap();
        assert_eq!(bundle.facts.key_type, Some(key_type));
    }
}

#[tokio::test]
async fn the_same_key_again() {
    let environment = Environment::start().await;
    let request = Request::new(names(&["www.example.test"]));
    let bundle = environment.obtain(&request).await.unwrap();
    environment.journal.clear().await.unwrap();
    let key = gatecert_issue::CertificateKey::from_pem(&bundle.key_pem).unwrap();
    let again = environment.obtain(&request.key(KeySource::Reuse(key))).await.unwrap();
    assert_eq!(again.key_pem, bundle.key_pem);
    assert_ne!(again.facts.serial, bundle.facts.serial);
}

#[tokio::test]
async fn a_common_name() {
    let environment = Environment::start().await;
    let [name] = <[Identifier; 1]>::try_from(names(&["www.example.test"])).unwrap();
    let bundle = environment.obtain(&Request::new([name.clone()]).common_name(Some(name))).await.unwrap();
    assert_eq!(bundle.identifiers().len(), 1);
}

#[tokio::test]
async fn addresses() {
    let environment = Environment::start().await;
    for wanted in [names(&["127.0.0.1"]), names(&["::1"]), names(&["127.0.0.1", "::1", "www.example.test"])] {
        let bundle = environment.obtain(&Request::new(wanted.clone())).await.unwrap();
        assert_eq!(bundle.identifiers(), &wanted.into_iter().collect());
    }
}

#[tokio::test]
async fn internationalised_names() {
    let environment = Environment::start().await;
    let bundle = environment.obtain(&Request::new(names(&["Bücher.Example.test"]))).await.unwrap();
    assert_eq!(bundle.identifiers().first().unwrap().value(), "xn--bcher-kva.example.test");
}

#[tokio::test]
async fn profiles() {
    let profiles = [("default", "usual", 90 * 86400), ("shortlived", "six days", 6 * 86400)];
    let environment = Environment::with(Pebble::builder().profiles(&profiles)).await;
    let request = Request::new(names(&["www.example.test"]));
    let bundle = environment.obtain(&request.clone().profile(Some("shortlived".into()))).await.unwrap();
    assert!(bundle.facts.life() <= SignedDuration::from_hours(6 * 24 + 1), "{}", bundle.facts.life());
    assert_eq!(bundle.origin.profile.as_deref(), Some("shortlived"));

    let error = environment.obtain(&request.profile(Some("tlsserver".into()))).await.unwrap_err();
    assert_eq!(error.to_string(), "the CA has no profile `tlsserver`; it has default, shortlived");
    assert_eq!(count(&environment.wire.take(), "order-plz"), 0);
}

#[tokio::test]
async fn more_names_than_a_profile_takes_are_the_cas_to_refuse() {
    let environment = Environment::with(Pebble::builder().profiles(&[("tlsserver", "", 45 * 86400)])).await;
    let many = (0..26).map(|n| Identifier::dns(&format!("n{n}.example.test")).unwrap());
    environment.obtain(&Request::new(many).profile(Some("tlsserver".into()))).await.unwrap();
    let warning = environment.events().into_iter().find(|event| matches!(event, Event::Warning { .. }));
    assert!(format!("{warning:?}").contains("takes 25 names"), "{warning:?}");
}

#[tokio::test]
async fn valid_authorizations_are_not_proved_again() {
    let environment = Environment::with(Pebble::builder().authz_reuse(100)).await;
    environment.obtain(&Request::new(names(&["a.test", "b.test"]))).await.unwrap();
    environment.events();
    environment.obtain(&Request::new(names(&["a.test", "b.test", "c.test"]))).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "chalZ"), 1);
    let events = environment.events();
    let reused = events.iter().filter(|event| matches!(event, Event::AuthorizationReused { .. })).count();
    assert_eq!(reused, 2, "{events:?}");

    environment.obtain(&Request::new(names(&["a.test", "c.test"]))).await.unwrap();
    let log = environment.wire.take();
    assert_eq!((count(&log, "chalZ"), count(&log, "authZ")), (0, 0), "ready at once");
    let reused = environment
        .events()
        .iter()
        .filter(|event| matches!(event, Event::AuthorizationReused { .. }))
        .count();
    assert_eq!(reused, 2);
}

#[tokio::test]
async fn an_order_that_lags_behind_its_authorizations_is_waited_for() {
    let environment = Environment::with(Pebble::builder().authz_reuse(100)).await;
    environment.obtain(&Request::new(names(&["a.test", "b.test"]))).await.unwrap();
    environment.tamper(Box::new(|kind, n, response| {
        if kind == "order-plz" || kind == "my-order" && n < 3 {
            change(response, |order| order["status"] = "pending".into());
        }
        Ok(())
    }));
    environment.obtain(&Request::new(names(&["b.test"]))).await.unwrap();
    assert_eq!(count(&environment.wire.take(), "chalZ"), 0);
}

#[tokio::test]
async fn refused_nonces_are_no_matter() {
    let environment = Environment::with(Pebble::builder().nonce_reject(40).retry_after(1, 1)).await;
    environment.obtain(&Request::new(names(&["a.test", "b.test"]))).await.unwrap();
}
