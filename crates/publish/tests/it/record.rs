//! `cert.json`.

use crate::sample::{NAME, certificate, name, record};
use gatecert_publish::{Failures, FileStore, Http01, Record, RenewalWindow, StoreError, UnansweredQuestion};
use std::fs;

/// A record with everything in it.
fn full() -> Record {
    let time = |text: &str| text.parse().unwrap();
    let mut full = record(1);
    full.profile = Some("shortlived".to_owned());
    full.ari = Some(RenewalWindow {
        certificate_id: "AAAA.AQ".to_owned(),
        start: time("2026-12-30T00:00:00Z"),
        end: time("2027-01-01T00:00:00Z"),
        selected: time("2026-12-30T12:34:56.789Z"),
        fetched_at: time("2026-11-01T01:00:01Z"),
        ask_again_at: Some(time("2026-11-01T07:00:01Z")),
        explanation_url: Some("https://ca.example/why".parse().unwrap()),
    });
    full.unanswered = Some(UnansweredQuestion {
        certificate_id: "AAAA.AQ".to_owned(),
        asked_at: time("2026-11-01T01:00:00Z"),
        ask_again_at: time("2026-11-01T02:00:00Z"),
    });
    full.revoked_at = Some(time("2026-11-02T00:00:00Z"));
    full.renewal.http01 = Http01::Listen("[::]:80".to_owned());
    full.renewal.email = Some("admin@example.com".to_owned());
    full.renewal.preferred_chain = Some("ISRG Root X1".to_owned());
    full.renewal.ca_file = Some("/etc/ca.pem".into());
    full.failures = Failures {
        count: 3,
        last: Some(time("2026-11-03T00:00:00Z")),
        retry_after_until: Some(time("2026-11-03T01:00:00Z")),
        permanent: true,
    };
    full
}

#[test]
fn an_updated_record_keeps_the_pair_and_the_version() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let published = store.publish(&certificate(1)).unwrap();
    store.update_record(&full()).unwrap();
    let found = store.load(&name()).unwrap().unwrap();
    assert_eq!(found.record, full());
    assert_eq!(found.chain_pem, certificate(1).chain_pem);
    assert_eq!(fs::read_dir(published.files.directory.join("versions")).unwrap().count(), 1);
    assert!(published.files.record.is_symlink());
}

/// The form is what other programs read: it may gain fields, and must not lose or change one.
#[test]
fn the_form_is_pinned() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let path = store.publish(&certificate(1)).unwrap().files.record;
    store.update_record(&full()).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let expected = serde_json::json!({
        "version": 1,
        "name": NAME,
        "identifiers": [NAME, "192.0.2.1"],
        "server": "https://ca.example/directory",
        "profile": "shortlived",
        "key_type": "ecdsa-p256",
        "account_url": "https://ca.example/account/1",
        "order_url": "https://ca.example/order/1",
        "certificate_id": "AAAA.AQ",
        "not_before": "2026-11-01T00:00:00Z",
        "not_after": "2027-01-30T00:00:00Z",
        "issued_at": "2026-11-01T01:00:00Z",
        "issuer": "CN=Test",
        "serial": "1",
        "ari": {
            "certificate_id": "AAAA.AQ",
            "start": "2026-12-30T00:00:00Z",
            "end": "2027-01-01T00:00:00Z",
            "selected": "2026-12-30T12:34:56.789Z",
            "fetched_at": "2026-11-01T01:00:01Z",
            "ask_again_at": "2026-11-01T07:00:01Z",
            "explanation_url": "https://ca.example/why",
        },
        "unanswered": {
            "certificate_id": "AAAA.AQ",
            "asked_at": "2026-11-01T01:00:00Z",
            "ask_again_at": "2026-11-01T02:00:00Z",
        },
        "revoked_at": "2026-11-02T00:00:00Z",
        "renewal": {
            "http01": { "listen": "[::]:80" },
            "email": "admin@example.com",
            "preferred_chain": "ISRG Root X1",
            "ca_file": "/etc/ca.pem",
        },
        "failures": {
            "count": 3,
            "last": "2026-11-03T00:00:00Z",
            "retry_after_until": "2026-11-03T01:00:00Z",
            "permanent": true,
        },
    });
    assert_eq!(found, expected);
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_have_defaults() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let path = store.publish(&certificate(1)).unwrap().files.record;
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["of_a_later_time"] = serde_json::json!({ "a": [1] });
    json["renewal"]["later_too"] = serde_json::json!(true);
    json.as_object_mut().unwrap().remove("failures");
    fs::write(&path, json.to_string()).unwrap();
    assert_eq!(store.record(&name()).unwrap(), Some(record(1)));
}

#[test]
fn a_record_without_a_certificate_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    assert!(matches!(store.update_record(&record(1)), Err(StoreError::NotPublished { .. })));
    store.save_journal(&name(), b"{}").unwrap();
    let error = store.update_record(&record(1)).unwrap_err();
    assert_eq!(error.to_string(), "no certificate `www.example.com` is published");
}
