//! The service over weeks.

use crate::setting::Setting;
use gatecert_testkit::{Envoy, Handshakes, StandaloneEnvoy, free_port, served_chain};
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::time::Duration;

const NAME: &str = "a.test";

#[tokio::test]
async fn a_renewal_that_the_ca_asks_for_reaches_envoy() {
    let setting = Setting::new().await;
    let pebble = setting.pebble.as_ref().unwrap();
    let socket = setting.path("sds.sock");
    let https = free_port();
    let envoy = StandaloneEnvoy {
        http: free_port(),
        https,
        responder: free_port(),
        socket: &socket,
        certificate: NAME,
    };
    let service = tokio::spawn(setting.serve(NAME));
    let _envoy = Envoy::start(&envoy.config()).await.unwrap();
    let (address, roots) = (SocketAddr::from(([127, 0, 0, 1], https)), pebble.root_pem(0).await.unwrap());
    let first = until_changed(address, &roots, None).await;

    let handshakes = Handshakes::start(address, NAME, &roots);
    let pem = std::fs::read_to_string(setting.out().join("a.test/tls.crt")).unwrap();
    let window = r#"{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}"#;
    pebble.set_renewal_info(&pem, window).await.unwrap();
    // The CA is asked every six hours; an age of half a day is the least to renew at.
    setting.clock.advance(SignedDuration::from_hours(13));
    let second = until_changed(address, &roots, Some(&first)).await;
    assert_ne!(first, second);
    // Had it renewed for its age, it would have done so again by now.
    let (count, failures) = handshakes.stop().await.unwrap();
    assert!(count > 0 && failures.is_empty(), "{} of {count} failed: {failures:?}", failures.len());
    println!("{count} handshakes, none failed");
    assert!(!service.is_finished());
    service.abort();
}

async fn until_changed(address: SocketAddr, roots: &str, old: Option<&[u8]>) -> Vec<u8> {
    for _ in 0..3000 {
        if let Ok(chain) = served_chain(address, NAME, roots).await
            && old != Some(chain[0].as_ref())
        {
            return chain[0].to_vec();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("Envoy serves nothing else");
}
