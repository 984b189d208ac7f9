//! The doctor without a cluster: a DNS server that tells it what to think.

use crate::setting::{Run, finish, gatecert};
use gatecert_testkit::Pebble;
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Asks this DNS server, with the checks that failed or warned.
async fn doctor(pebble: &Pebble, host: &str, more: &[&str]) -> (Run, Vec<String>) {
    let resolver = pebble.challtestsrv().dns_address().to_owned();
    let mut command = gatecert(&["doctor", host, "--no-cluster", "-o", "json", "--resolver", &resolver]);
    command.args(more);
    let run = tokio::task::spawn_blocking(move || finish(&mut command)).await.unwrap();
    let checks = run.json()["checks"].as_array().unwrap().clone();
    let is_bad = |check: &&Value| check["level"] == "fail" || check["level"] == "warn";
    let bad = checks.iter().filter(is_bad).map(|check| check["kind"].as_str().unwrap().to_owned()).collect();
    (run, bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_tells_what_is_wrong() {
    let pebble = Pebble::builder().start().await.unwrap();
    let dns = pebble.challtestsrv();
    dns.set_default_ipv4("").await.unwrap();
    let (run, bad) = doctor(&pebble, "www.missing.test", &[]).await;
    assert_eq!((run.code, bad), (1, vec!["dns-missing".to_owned()]), "{}", run.out);

    // A private address is told, and not asked.
    dns.add_a("www.private.test", &["127.0.0.1".parse().unwrap()]).await.unwrap();
    let (run, bad) = doctor(&pebble, "www.private.test", &[]).await;
    assert_eq!((run.code, bad), (1, vec!["dns-private".to_owned()]), "{}", run.out);
    assert!(run.out.contains("was not asked"), "{}", run.out);

    dns.set_servfail("www.broken.test").await.unwrap();
    let (run, bad) = doctor(&pebble, "www.broken.test", &[]).await;
    assert_eq!((run.code, bad), (1, ["dns-failed", "dns-failed", "caa-failed"].map(str::to_owned).to_vec()));
    assert!(run.out.contains("AAAA www.broken.test"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_closest_caa_records_count() {
    let pebble = Pebble::builder().start().await.unwrap();
    let dns = pebble.challtestsrv();
    dns.set_default_ipv4("").await.unwrap();
    dns.add_caa("caa.test", &[("issue", "other.test")]).await.unwrap();
    dns.add_caa("open.caa.test", &[("issue", "letsencrypt.org")]).await.unwrap();
    let (_, bad) = doctor(&pebble, "www.caa.test", &[]).await;
    assert_eq!(bad, ["dns-missing", "caa-forbids"]);
    let (run, bad) = doctor(&pebble, "www.open.caa.test", &[]).await;
    assert_eq!(bad, ["dns-missing"]);
    assert!(run.out.contains("CAA open.caa.test"), "{}", run.out);
    assert_eq!(
        dns.dns_queries("www.open.caa.test").await.unwrap().iter().filter(|kind| **kind == 257).count(),
        1
    );
    assert!(dns.dns_queries("caa.test").await.unwrap().contains(&257));
}

/// Whose a record is can not be told where the CA's directory can not be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_does_not_say_who_it_is_is_not_judged() {
    let pebble = Pebble::builder().start().await.unwrap();
    let dns = pebble.challtestsrv();
    dns.set_default_ipv4("").await.unwrap();
    dns.add_caa("caa.test", &[("issue", "other.test")]).await.unwrap();
    let ca = MockServer::start().await;
    let url = |place: &str| format!("{}/{place}", ca.uri());
    let directory = json!({
        "newNonce": url("nonce"), "newAccount": url("account"), "newOrder": url("order"),
        "revokeCert": url("revoke"), "keyChange": url("key"), "meta": {"caaIdentities": ["ca.test"]},
    });
    let answer = ResponseTemplate::new(200).set_body_json(directory);
    Mock::given(path("/directory")).respond_with(answer).mount(&ca).await;
    let (run, bad) = doctor(&pebble, "www.caa.test", &["--server", &url("directory")]).await;
    assert_eq!(bad, ["dns-missing", "caa-forbids"]);
    assert!(run.out.contains("other.test, not ca.test"), "{}", run.out);

    let (run, bad) = doctor(&pebble, "www.caa.test", &["--server", &url("elsewhere")]).await;
    assert_eq!(bad, ["dns-missing"]);
    let report = run.json();
    let skipped = report["checks"].as_array().unwrap().iter().find(|check| check["kind"] == "caa-skipped");
    assert_eq!(skipped.unwrap()["object"], "CAA caa.test");
    let asked = ca.received_requests().await.unwrap();
    assert!(asked.iter().any(|request| request.url.path() == "/elsewhere"), "{asked:?}");
}

/// Ctrl-C ends it, whatever it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it() {
    // A server of DNS that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolver = silent.local_addr().unwrap().to_string();
    let mut command = gatecert(&["doctor", "www.silent.test", "--no-cluster", "--resolver", &resolver]);
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    silent.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    silent.recv(&mut [0; 512]).expect("it has begun to ask");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
}
