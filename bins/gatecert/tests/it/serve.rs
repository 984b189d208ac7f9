//! `gatecert serve` as a process of its own, with Pebble and Envoy.

mod envoy;
mod service;

use crate::setting::{Setting, finish, gatecert};
use envoy::{NAME, Root, Served, by_tls};
use gatecert_testkit::{Handshakes, Pebble, free_port};
use service::{Service, certificate};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixDatagram;

#[tokio::test]
async fn the_life_of_a_standalone_envoy() {
    let mut service = Service::new(Setting::new(Pebble::builder()).await, free_port());
    service.write(&certificate(NAME, "ecdsa-p256"));
    let served = Served::start(&service).await;
    assert_eq!(served.leaf().await, None, "there is no certificate yet");

    // The CA asks Envoy, which sends it on to the responder.
    service.start();
    let first = served.until_changed(None, &service).await;
    assert!(service.is_ready());
    let handshakes = served.handshakes();

    // A changed file is enough.
    service.write(&certificate(NAME, "ecdsa-p384"));
    let second = served.until_changed(Some(&first), &service).await;

    // What is wrong changes nothing, and is said once.
    service.write(&certificate(NAME, "ecdsa-p512"));
    service.until_logged("the configuration of before stays", 1).await;
    assert!(service.told().contains("gatecert.toml`, line 9: "), "{}", service.told());
    service.process().signal("HUP").unwrap();
    service.until_logged("the configuration of before stays", 2).await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));

    // One more.
    service.write(&(certificate(NAME, "ecdsa-p384") + &certificate("b.test", "ecdsa-p256")));
    service.process().signal("HUP").unwrap();
    service.until_published("b.test").await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));

    // Killed and started again, it goes on where it was, and Envoy with it.
    service.process().signal("KILL").unwrap();
    service.process().ended().await.unwrap();
    service.assert_log_has_no_key();
    service.start();
    service.until_logged("keeping 2 certificates", 1).await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));
    service.write(&certificate(NAME, "ecdsa-p256"));
    let third = served.until_changed(Some(&second), &service).await;
    service.until_logged("b.test: not kept any more", 1).await;
    assert_eq!(service.logged("issued, valid until"), 1, "{}", service.told());

    service.process().signal("TERM").unwrap();
    assert_eq!(service.process().ended().await.unwrap(), 0, "{}", service.told());
    assert!(!service.socket().exists());
    assert!(service.setting.out().join("b.test/tls.crt").exists(), "files stay");
    assert_eq!(served.leaf().await, Some(third), "Envoy keeps what it has");
    assert_none_failed(handshakes).await;
    service.assert_log_has_no_key();
}

#[tokio::test]
async fn one_that_fails_stops_no_other() {
    let pebble = Pebble::builder().domain_blocklist(&["refused.test"]);
    let setting = Setting::new(pebble).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&(certificate("refused.test", "ecdsa-p256") + &certificate("b.test", "ecdsa-p256")));
    service.start();
    service.until_published("b.test").await;
    service.until_logged("refused.test: ", 1).await;
    service.until_logged("to be tried again after", 1).await;
    let failures = service.logged(" ERROR ");
    // Whoever says so has it tried again before its time.
    service.process().signal("HUP").unwrap();
    service.until_logged("to be tried again after", 2).await;
    assert_eq!(service.logged(" ERROR "), 2 * failures, "{}", service.told());
    assert_eq!(service.logged("b.test: issued"), 1);
}

#[tokio::test]
async fn what_can_not_be_listened_on_leaves_all_as_it_was() {
    let setting = Setting::new(Pebble::builder()).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&certificate("b.test", "ecdsa-p256"));
    service.start();
    service.until_published("b.test").await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    service.responder = taken.local_addr().unwrap().port();
    service.write(&certificate("c.test", "ecdsa-p256"));
    service.until_logged("the configuration of before stays", 1).await;
    assert!(!service.setting.out().join("c.test").exists());

    service.responder = responder;
    service.write(&(certificate("b.test", "ecdsa-p256") + &certificate("d.test", "ecdsa-p256")));
    service.until_published("d.test").await;
    service.write_whole("store = \"elsewhere\"\nissuers = {}\ncertificates = []\n");
    service.until_logged("another `store` needs a restart", 1).await;

    // A second one over the same store does not start.
    service.write(&certificate("b.test", "ecdsa-p256"));
    let second = gatecert(&["serve", "--config"]).arg(service.config()).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(1) && said.contains("is in use by process"), "{said}");
}

/// A service whose CA is about to validate `b.test`, and takes its time.
async fn in_the_midst_of_an_issuance() -> Service {
    let setting = Setting::new(Pebble::builder().va_sleep(true)).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&certificate("b.test", "ecdsa-p256"));
    service.start();
    service.until_logged("b.test: validating", 1).await;
    service
}

#[tokio::test]
async fn the_end_waits_for_what_is_under_way() {
    let mut service = in_the_midst_of_an_issuance().await;
    service.process().signal("TERM").unwrap();
    assert_eq!(service.process().ended().await.unwrap(), 0);
    assert_eq!(service.logged("b.test: issued"), 1, "{}", service.told());
    assert!(service.setting.out().join("b.test/tls.crt").exists());
    assert!(!service.setting.out().join("b.test/journal.json").exists());
}

#[tokio::test]
async fn killed_in_the_midst_of_an_issuance_it_goes_on() {
    let mut service = in_the_midst_of_an_issuance().await;
    service.process().signal("KILL").unwrap();
    service.process().ended().await.unwrap();
    assert!(service.setting.out().join("b.test/journal.json").exists());
    assert!(service.socket().exists(), "nobody has cleaned up");
    service.start();
    service.until_published("b.test").await;
    service.until_logged("b.test: issued", 1).await;
    assert_eq!(service.logged(" ERROR "), 0, "{}", service.told());
}

/// By the protocol of its units with `Type=notify` (sd_notify(3)).
#[tokio::test]
async fn systemd_is_told_what_goes_on() {
    let mut service = Service::new(Setting::new(Pebble::builder()).await, free_port());
    service.write(&certificate(NAME, "ecdsa-p256"));
    let systemd = UnixDatagram::bind(service.notified()).unwrap();
    let told = async || {
        let mut message = [0; 256];
        let told = tokio::time::timeout(Duration::from_secs(60), systemd.recv(&mut message)).await;
        let length = told.expect("systemd is told nothing").unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    };
    service.start();
    assert_eq!(told().await, "READY=1");
    assert!(service.is_ready());
    service.process().signal("HUP").unwrap();
    assert_eq!(told().await, "STATUS=reading the configuration");
    assert_eq!(told().await, "STATUS=keeping the certificates");
    service.write(&certificate(NAME, "ecdsa-p512"));
    assert_eq!(told().await, "STATUS=reading the configuration");
    assert_eq!(
        told().await,
        "STATUS=keeping the certificates; the last change of the configuration is wrong"
    );
    service.process().signal("TERM").unwrap();
    assert_eq!(told().await, "STOPPING=1");
    assert_eq!(service.process().ended().await.unwrap(), 0, "{}", service.told());
}

#[tokio::test]
async fn an_envoy_elsewhere_needs_a_certificate() {
    let setting = Setting::new(Pebble::builder()).await;
    let (root, port) = (Root::new(), free_port());
    fs::write(setting.path("envoys.pem"), root.0.pem()).unwrap();
    root.write_leaf(&setting, "server");
    root.write_leaf(&setting, "envoy");
    let other = Root::new();
    other.write_leaf(&setting, "stranger");
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.more = format!(
        "sds.tls = {{listen = \"127.0.0.1:{port}\", certificate = \"server.crt\", key = \"server.key\", \
         client-ca = \"envoys.pem\"}}"
    );
    service.write(&certificate(NAME, "ecdsa-p256"));
    service.start();
    service.until_published(NAME).await;

    let stranger = Served::start_with(&service, |config| by_tls(&config, &service, port, "stranger")).await;
    let known = Served::start_with(&service, |config| by_tls(&config, &service, port, "envoy")).await;
    known.until_changed(None, &service).await;
    // It has tried, and tried again.
    stranger.until_connected(2).await;
    assert_eq!(stranger.leaf().await, None);
    // Those who are known come from a file, which is read anew.
    let both = format!("{}{}", root.0.pem(), other.0.pem());
    fs::write(service.setting.path("envoys.pem"), both).unwrap();
    service.process().signal("HUP").unwrap();
    stranger.until_changed(None, &service).await;
}

/// A line that systemd does not know is passed over by it with a warning, which nobody reads.
#[test]
fn systemd_knows_each_line_of_the_unit() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/gatecert.service");
    // The program has to be there, and whatever it is, it is not run.
    let unit =
        fs::read_to_string(unit).unwrap().replace("/usr/local/bin/gatecert", env!("CARGO_BIN_EXE_gatecert"));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("gatecert.service");
    fs::write(&file, unit).unwrap();
    let verify =
        std::process::Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
    match verify {
        Ok(output) => {
            // It looks at units of the machine too.
            let all = String::from_utf8_lossy(&output.stderr);
            let warned: Vec<_> = all.lines().filter(|line| line.contains("gatecert.service")).collect();
            assert!(output.status.success() && warned.is_empty(), "{all}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("this machine has no systemd-analyze");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_unit_checks_the_example() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let unit = fs::read_to_string(deploy.join("gatecert.service")).unwrap();
    let command = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.strip_prefix("/usr/local/bin/gatecert ").unwrap().to_owned()
    };
    let check = command("ExecStartPre=");
    assert_eq!(check, format!("{} --check", command("ExecStart=")));
    let example = deploy.join("gatecert.toml").display().to_string();
    let check = check.replace("/etc/gatecert/gatecert.toml", &example);
    let run = finish(&mut gatecert(&check.split(' ').collect::<Vec<_>>()));
    let run = run.expect(0);
    assert_eq!(run.out, "the configuration is right: 1 certificate, kept in /var/lib/gatecert\n");
}

async fn assert_none_failed(handshakes: Handshakes) {
    let (count, failures) = handshakes.stop().await.unwrap();
    assert!(count > 0 && failures.is_empty(), "{} of {count} failed: {failures:?}", failures.len());
    eprintln!("{count} handshakes, none failed");
}
