//! The servers start, answer, and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gatecert_testkit::{Envoy, Pebble, https_client};
use std::process::Command;

#[tokio::test]
async fn pebbles_start_side_by_side_and_end_on_drop() {
    let (first, second) = tokio::join!(Pebble::builder().start(), Pebble::builder().strict(true).start());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.directory_url(), second.directory_url());
    let client = https_client(first.ca_pem(), &[]).unwrap();
    let directory = client.get(first.directory_url()).send().await.unwrap().text().await.unwrap();
    assert!(directory.contains("newOrder"), "{directory}");
    assert!(first.root_pem(0).await.unwrap().contains("BEGIN CERTIFICATE"));
    let url = first.directory_url();
    drop(first);
    assert!(client.get(url).send().await.is_err());
}

#[tokio::test]
async fn a_refused_configuration_shows_the_log() {
    let error = Envoy::start("static_resources: {listeners: 7}").await.unwrap_err().to_string();
    assert!(error.contains("envoy ended with"), "{error}");
    assert!(error.contains("listeners"), "{error}");
}

#[tokio::test]
async fn envoy_starts_and_ends() {
    let envoy = Envoy::start("static_resources: {}").await.unwrap();
    let info = reqwest_get(&format!("{}/server_info", envoy.admin())).await;
    assert!(info.contains("1.40.0"), "{info}");
}

async fn reqwest_get(url: &str) -> String {
    https_client("", &[]).unwrap().get(url).send().await.unwrap().text().await.unwrap()
}

/// The watching shell kills its program when the pipe closes, as it does when a test is killed.
#[test]
fn a_server_does_not_outlive_a_killed_test() {
    let directory = tempfile::TempDir::new().unwrap();
    let process =
        gatecert_testkit::Process::start("sleep", "sleep".as_ref(), &["86399"], &[], directory).unwrap();
    let running = || Command::new("pgrep").args(["-f", "^sleep 86399"]).output().unwrap().status.success();
    while !running() {
        std::thread::yield_now();
    }
    drop(process);
    assert!(!running());
}
