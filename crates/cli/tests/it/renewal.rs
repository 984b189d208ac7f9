//! Renewals over weeks.

use crate::setting::Setting;
use gatecert_cli::Exit;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::net::TcpSocket;

#[tokio::test]
async fn what_fails_is_tried_again_in_steps() {
    let mut setting = Setting::with_one_due().await;
    let directory = setting.pebble.as_ref().unwrap().directory_url();
    setting.pebble.take();
    let _port = held(&directory);
    for (failures, wait) in [(1, 1), (2, 10), (3, 100), (4, 24 * 60), (5, 24 * 60)] {
        assert_eq!(setting.renew().await, Exit::Failed);
        assert_eq!(setting.record()["failures"]["count"], failures);
        setting.clock.advance(SignedDuration::from_mins(wait) - SignedDuration::from_secs(20));
        assert_eq!(setting.renew().await, Exit::Done, "{failures} failures: still to wait");
        assert_eq!(setting.record()["failures"]["count"], failures, "a wait is no failure");
        setting.clock.advance(SignedDuration::from_secs(21));
    }
}

/// Keeps the port of a CA that is gone, without listening: another test's would be asked in its place.
fn held(directory: &url::Url) -> TcpSocket {
    let address = directory.socket_addrs(|| None).unwrap()[0];
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

#[tokio::test]
async fn a_failure_behind_the_switch_leaves_the_record_of_the_new_certificate() {
    let setting = Setting::with_one_due().await;
    let old = setting.published_serial();
    // The last step of publishing can not be done.
    let sds = setting.out().join("a.test/sds.yaml");
    std::fs::remove_file(&sds).unwrap();
    std::fs::create_dir(&sds).unwrap();
    assert_eq!(setting.renew().await, Exit::Failed);
    assert_ne!(setting.published_serial(), old, "the new one is in place");
    assert_eq!(setting.record()["serial"], json!(setting.published_serial()));
}

#[tokio::test]
async fn a_first_question_without_an_answer_is_remembered() {
    let setting = Setting::new().await;
    let pebble = setting.pebble.as_ref().unwrap();
    setting.issue("a.test").await;
    let pem = std::fs::read_to_string(setting.out().join("a.test/tls.crt")).unwrap();
    // As if nothing had come of the question right after the issue.
    setting.change_record("a.test", |record| drop(record.as_object_mut().unwrap().remove("ari")));
    pebble.set_renewal_info(&pem, r#"{"suggestedWindow":null}"#).await.unwrap();
    assert_eq!(setting.renew().await, Exit::Done);
    let remembered = setting.record();
    let time = |of: &str| remembered["unanswered"][of].as_str().unwrap().parse::<Timestamp>().unwrap();
    let wait = time("ask_again_at").duration_since(time("asked_at"));
    assert_eq!(wait, SignedDuration::from_hours(6), "{remembered}");

    let window = r#"{"suggestedWindow":{"start":"2099-01-01T00:00:00Z","end":"2099-01-02T00:00:00Z"}}"#;
    pebble.set_renewal_info(&pem, window).await.unwrap();
    setting.clock.advance(SignedDuration::from_hours(5));
    assert_eq!(setting.renew().await, Exit::Done);
    assert_eq!(setting.record(), remembered, "it is too early to ask again");
    setting.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(setting.renew().await, Exit::Done);
    assert_eq!(setting.record()["ari"]["start"], "2099-01-01T00:00:00Z");
    assert_eq!(setting.record()["unanswered"], serde_json::Value::Null);
}

#[tokio::test]
async fn one_port_may_be_written_in_two_ways() {
    let setting = Setting::new().await;
    for name in ["a.test", "b.test"] {
        setting.issue(name).await;
        setting.change_record(name, |record| record["key_type"] = json!("ecdsa-p384"));
    }
    let padded = setting.listen().replace(':', ":0");
    setting.change_record("b.test", |record| record["renewal"]["http01"]["listen"] = json!(padded));
    assert_eq!(setting.renew().await, Exit::Done);
}
