use super::*;
use crate::sds::resource::Pair;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, secret};
use envoy_types::pb::google::rpc::Status;
use prost::Message as _;

fn asking(names: &[&str], nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        response_nonce: nonce.to_owned(),
        type_url: TYPE_URL.to_owned(),
        ..DiscoveryRequest::default()
    }
}

fn set(table: &mut Table, name: &str, content: &str) {
    table.set(name, Pair { chain_pem: format!("chain {content}"), key_pem: format!("key {content}").into() });
}

/// Name, chain and key of each resource.
fn content(response: &DiscoveryResponse) -> Vec<(String, String, String)> {
    let text = |source: Option<envoy_types::pb::envoy::config::core::v3::DataSource>| {
        let Some(Specifier::InlineBytes(bytes)) = source.unwrap().specifier else { panic!("not inline") };
        String::from_utf8(bytes).unwrap()
    };
    let resources = response.resources.iter().map(|any| {
        assert_eq!(any.type_url, TYPE_URL);
        let secret = Secret::decode(any.value.as_slice()).unwrap();
        let Some(secret::Type::TlsCertificate(pair)) = secret.r#type else { panic!("no certificate") };
        (secret.name, text(pair.certificate_chain), text(pair.private_key))
    });
    resources.collect()
}

fn names(response: &DiscoveryResponse) -> Vec<String> {
    content(response).into_iter().map(|(name, _, _)| name).collect()
}

#[test]
fn what_exists_is_sent_once_and_again_when_it_changes() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    set(&mut table, "a", "1");
    subscription.request(asking(&["a"], "")).unwrap();
    let first = subscription.answer(&table).unwrap();
    assert_eq!(content(&first), [("a".into(), "chain 1".into(), "key 1".into())]);
    assert_eq!((first.nonce.as_str(), first.version_info.as_str()), ("1", "1"));
    assert_eq!(subscription.answer(&table), None);
    subscription.request(asking(&["a"], "1")).unwrap();
    assert_eq!(subscription.answer(&table), None, "an ACK is not answered");
    set(&mut table, "b", "1");
    assert_eq!(subscription.answer(&table), None, "nobody asked for it");
    set(&mut table, "a", "2");
    let second = subscription.answer(&table).unwrap();
    assert_eq!(content(&second), [("a".into(), "chain 2".into(), "key 2".into())]);
    assert_eq!((second.nonce.as_str(), second.version_info.as_str()), ("2", "3"));
}

#[test]
fn what_does_not_exist_is_sent_when_it_comes() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    subscription.request(asking(&["a", "b"], "")).unwrap();
    assert_eq!(subscription.answer(&table), None);
    assert_eq!(subscription.waiting(&table).unwrap(), "a, b");
    set(&mut table, "b", "1");
    assert_eq!(names(&subscription.answer(&table).unwrap()), ["b"]);
    set(&mut table, "a", "1");
    assert_eq!(
        names(&subscription.answer(&table).unwrap()),
        ["a", "b"],
        "the state of the world is all of it"
    );
    assert_eq!(subscription.waiting(&table), None);
}

#[test]
fn a_refused_pair_is_not_sent_again_until_there_is_another() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    set(&mut table, "a", "1");
    subscription.request(asking(&["a"], "")).unwrap();
    subscription.answer(&table).unwrap();
    let error_detail = Some(Status { message: "no\x1b[2J".into(), ..Status::default() });
    subscription.request(DiscoveryRequest { error_detail, ..asking(&["a"], "1") }).unwrap();
    assert_eq!(subscription.answer(&table), None);
    set(&mut table, "a", "2");
    assert_eq!(subscription.answer(&table).unwrap().nonce, "2");
}

#[test]
fn a_request_that_crossed_an_answer_changes_nothing() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    set(&mut table, "a", "1");
    set(&mut table, "b", "1");
    subscription.request(asking(&["a"], "")).unwrap();
    subscription.answer(&table).unwrap();
    set(&mut table, "a", "2");
    subscription.answer(&table).unwrap();
    for stale in ["1", "", "3", "nonsense"] {
        subscription.request(asking(&["b"], stale)).unwrap();
        assert_eq!(subscription.answer(&table), None, "{stale:?}");
    }
    subscription.request(asking(&["a", "b"], "2")).unwrap();
    assert_eq!(names(&subscription.answer(&table).unwrap()), ["a", "b"]);
}

#[test]
fn what_is_asked_for_again_is_sent_again() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    set(&mut table, "a", "1");
    set(&mut table, "b", "1");
    subscription.request(asking(&["a", "b"], "")).unwrap();
    subscription.answer(&table).unwrap();
    subscription.request(asking(&["b"], "1")).unwrap();
    assert_eq!(subscription.answer(&table), None);
    subscription.request(asking(&["a", "b"], "1")).unwrap();
    assert_eq!(names(&subscription.answer(&table).unwrap()), ["a", "b"]);
}

#[test]
fn nothing_is_asked_for_by_no_names() {
    let (mut table, mut subscription) = (Table::default(), Subscription::default());
    set(&mut table, "a", "1");
    subscription.request(asking(&[], "")).unwrap();
    assert_eq!(subscription.answer(&table), None);
    assert_eq!(fetch(asking(&["b"], ""), &table), Ok(None));
    assert_eq!(names(&fetch(asking(&["b", "a", "a"], ""), &table).unwrap().unwrap()), ["a"]);
}

#[test]
fn other_types_and_too_many_names_are_refused() {
    let many: Vec<String> = (0..=MAX_NAMES).map(|number| number.to_string()).collect();
    let many = DiscoveryRequest { resource_names: many, ..DiscoveryRequest::default() };
    assert_eq!(Subscription::default().request(many), Err(Refusal::Names(MAX_NAMES + 1)));
    let other = "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned();
    let other = DiscoveryRequest { type_url: other, ..DiscoveryRequest::default() };
    assert_eq!(Subscription::default().request(other), Err(Refusal::Type));
}

#[test]
fn texts_of_others_are_cut_and_harmless() {
    assert_eq!(shown("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
    assert_eq!(shown(&"x".repeat(1000)).len(), MAX_LOGGED);
}
