//! Renewals over weeks.

use crate::setting::Setting;
use gatecert_cli::Exit;
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn what_fails_is_tried_again_in_steps() {
    let mut setting = Setting::with_one_due().await;
    setting.pebble.take();
    for (failures, wait) in [(1, 1), (2, 10), (3, 100), (4, 24 * 60), (5, 24 * 60)] {
        assert_eq!(setting.renew().await, Exit::Failed);
        assert_eq!(setting.record()["failures"]["count"], failures);
        setting.clock.advance(SignedDuration::from_mins(wait) - SignedDuration::from_secs(20));
        assert_eq!(setting.renew().await, Exit::Done, "{failures} failures: still to wait");
        assert_eq!(setting.record()["failures"]["count"], failures, "a wait is no failure");
        setting.clock.advance(SignedDuration::from_secs(21));
    }
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
