//! Lives of certificates.

use crate::setting::{Setting, finish, mode};
use gatecert_testkit::Pebble;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

#[tokio::test]
async fn issued_once_shown_and_listed() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let issued = setting.issue(&["-d", "www.example.test,example.test", "-o", "json"]).expect(0);
    assert!(issued.err.contains("example.test: validated"), "{}", issued.err);
    let value = issued.json();
    assert_eq!(value["status"], "issued");
    assert_eq!(value["identifiers"], json!(["www.example.test", "example.test"]));
    assert!(value["renewalWindow"]["selected"].is_string(), "the CA was asked at once: {value}");
    assert_eq!(value["renewalWindow"]["certificateId"], value["certificateId"]);

    let at = |name: &str| setting.out().join("www.example.test").join(name);
    assert_eq!(mode(&at("tls.key")), 0o600);
    assert!(std::fs::read_to_string(at("tls.crt")).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(at("sds.yaml").is_file() && !at("journal.json").exists());

    let again =
        setting.issue(&["-d", "www.example.test", "-d", "example.test", "-o", "json"]).expect(0).json();
    assert_eq!((&again["status"], &again["serial"]), (&json!("up-to-date"), &value["serial"]));
    let text = setting.issue(&["-d", "www.example.test", "-d", "example.test"]).expect(0).out;
    assert!(text.contains("nothing to do"), "{text}");

    let forced =
        setting.issue(&["-d", "www.example.test,example.test", "--force", "-o", "json", "-v"]).expect(0);
    let order =
        format!("method=POST url={}", setting.pebble.directory_url().as_str().replace("/dir", "/order-plz"));
    assert!(forced.err.contains(&order), "{}", forced.err);
    let forced = forced.json();
    assert_ne!(forced["serial"], value["serial"]);

    let listed = setting.run(&["list", "-o", "json"]).expect(0).json();
    assert_eq!(listed["certificates"][0]["serial"], forced["serial"]);
    let table = setting.run(&["list"]).expect(0).out;
    assert!(table.contains("www.example.test") && table.contains("valid 8"), "{table}");
    let shown = setting.run(&["show", "www.example.test"]).expect(0).out;
    assert!(shown.contains(forced["serial"].as_str().unwrap()), "{shown}");
    let unknown = setting.run(&["show", "other.test"]).expect(2).err;
    assert!(unknown.contains("hint: there are www.example.test"), "{unknown}");
    let unknown = setting.run(&["revoke", "other.test"]).expect(2).err;
    assert!(unknown.contains("hint: there are www.example.test"), "{unknown}");
}

/// The CA's roots from the environment, which a renewal does not need any more.
#[tokio::test]
async fn the_roots_of_the_environment() {
    let setting = Setting::new(Pebble::builder()).await;
    let (server, listen) = (setting.pebble.directory_url().to_string(), setting.listen());
    let arguments = ["issue", "-d", "a.test", "--server", &server, "--http01-listen", &listen];
    finish(&mut setting.command(&arguments)).expect(1);
    finish(setting.command(&arguments).env("GATECERT_CA_FILE", setting.ca_file())).expect(0);
    assert_eq!(setting.record("a.test")["renewal"]["ca_file"], json!(setting.ca_file()));
}

#[tokio::test]
async fn other_names_or_keys_are_reissued() {
    let setting = Setting::new(Pebble::builder()).await;
    // The same name, however it is written.
    let once = setting.issue(&["-d", "a.test,A.TEST", "-d", "a.test", "-o", "json"]).expect(0).json();
    assert_eq!(once["identifiers"], json!(["a.test"]));
    let more = setting.issue(&["-d", "a.test,b.test", "-o", "json"]).expect(0).json();
    assert_eq!(more["reason"], "the names changed, added b.test");
    // What is lost is told, whoever reads the result.
    let fewer = setting.issue(&["-d", "a.test"]).expect(0);
    assert!(fewer.err.contains("a.test: the names changed, removed b.test\n"), "{}", fewer.err);
    setting.issue(&["-d", "a.test,b.test"]).expect(0);
    let rsa =
        setting.issue(&["-d", "a.test,b.test", "--key-type", "rsa-2048", "-o", "json"]).expect(0).json();
    assert_eq!(rsa["keyType"], "rsa-2048");
    let turned = setting.issue(&["-d", "b.test,a.test"]).expect(0);
    assert!(turned.err.contains("warning: certificate `a.test` has the same names"), "{}", turned.err);
}

#[tokio::test]
async fn a_name_is_found_as_it_was_given() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "MÜNCHEN.test"]).expect(0);
    for name in ["MÜNCHEN.test", "münchen.test", "xn--mnchen-3ya.test", "XN--MNCHEN-3YA.TEST"] {
        assert!(setting.run(&["show", name]).expect(0).out.contains("xn--mnchen-3ya.test"), "{name}");
    }
}

/// As cron mails whatever is printed.
#[tokio::test]
async fn a_quiet_renewal_tells_what_it_did() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let nothing = setting.run(&["renew", "--quiet"]).expect(0);
    assert_eq!((nothing.out.as_str(), nothing.err.as_str()), ("", ""));
    setting.change_record("a.test", |record| record["key_type"] = json!("ecdsa-p384"));
    let renewed = setting.run(&["renew", "--quiet"]).expect(0);
    assert!(renewed.out.starts_with("a.test: renewed, valid until "), "{}", renewed.out);
}

/// Nobody wants it: neither a renewal nor what foresees one makes another.
#[tokio::test]
async fn what_is_revoked_is_not_renewed() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    setting.run(&["revoke", "a.test"]).expect(0);
    for arguments in [&["renew"][..], &["renew", "--dry-run"]] {
        let outcome = setting.run(&[arguments, &["-o", "json"]].concat()).expect(0).json();
        assert_eq!(outcome["certificates"][0]["status"], "revoked", "{outcome}");
    }
    let shown = setting.run(&["show", "a.test"]).expect(0).out;
    assert!(shown.contains("\nrevoked ") && !shown.contains("\nrenewal "), "{shown}");
}

#[tokio::test]
async fn a_hundred_names_and_addresses() {
    let setting = Setting::new(Pebble::builder()).await;
    let names: Vec<String> = (0..99).map(|n| format!("n{n}.test")).collect();
    let value =
        setting.issue(&["-d", &names.join(","), "--ip", "127.0.0.1", "-o", "json", "-q"]).expect(0).json();
    assert_eq!(value["identifiers"].as_array().unwrap().len(), 100);
    assert_eq!(value["name"], "n0.test");
}

#[tokio::test]
async fn renewed_when_the_ca_says_so() {
    let setting = Setting::new(Pebble::builder()).await;
    assert_eq!(setting.run(&["renew"]).code, 1, "there is no directory yet");
    let first = setting.issue(&["-d", "a.test", "-o", "json"]).expect(0).json();
    let nothing = setting.run(&["renew", "-o", "json"]).expect(0).json();
    assert_eq!(nothing["certificates"][0]["status"], "up-to-date");

    let pem = std::fs::read_to_string(setting.out().join("a.test/tls.crt")).unwrap();
    let window = r#"{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}"#;
    setting.pebble.set_renewal_info(&pem, window).await.unwrap();
    // As if it had been issued, and asked about, weeks ago.
    setting.change_record("a.test", |record| {
        record["issued_at"] = json!("2020-01-01T00:00:00Z");
        record["ari"]["ask_again_at"] = json!("2020-01-01T00:00:00Z");
    });
    let foreseen = setting.run(&["renew", "--dry-run", "-o", "json"]).expect(0).json();
    assert_eq!(foreseen["certificates"][0]["status"], "up-to-date", "a dry run asks nobody");
    let renewed = setting.run(&["renew", "-o", "json"]).expect(0).json();
    assert_eq!(renewed["certificates"][0]["status"], "renewed", "{renewed}");
    assert_ne!(setting.record("a.test")["serial"], first["serial"]);
    let done = setting.run(&["renew", "-o", "json"]).expect(0).json();
    assert_eq!(done["certificates"][0]["status"], "up-to-date");
}

#[tokio::test]
async fn several_are_renewed_in_one_run_on_one_port() {
    let setting = Setting::new(Pebble::builder()).await;
    for name in ["a.test", "b.test", "c.test"] {
        setting.issue(&["-d", name]).expect(0);
        // The record asks for what the certificate is not: a reason to issue.
        setting.change_record(name, |record| record["key_type"] = json!("ecdsa-p384"));
    }
    let renewed = setting.run(&["renew", "-o", "json"]).expect(0).json();
    for outcome in renewed["certificates"].as_array().unwrap() {
        assert_eq!(outcome["status"], "renewed", "{renewed}");
    }
}

#[tokio::test]
async fn what_this_machine_refuses_is_tried_again_at_once() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    setting.change_record("a.test", |record| record["key_type"] = json!("ecdsa-p384"));
    let taken = TcpListener::bind(setting.listen()).unwrap();
    setting.run(&["renew"]).expect(1);
    assert_eq!(setting.record("a.test")["failures"]["count"], 0);
    drop(taken);
    let renewed = setting.run(&["renew", "-o", "json"]).expect(0).json();
    assert_eq!(renewed["certificates"][0]["status"], "renewed", "{renewed}");
}

#[tokio::test]
async fn other_options_hold_for_the_next_renewals() {
    let setting = Setting::new(Pebble::builder()).await;
    let first = setting.issue(&["-d", "a.test", "-o", "json"]).expect(0).json();
    let webroot = setting.path("webroot");
    std::fs::create_dir(&webroot).unwrap();
    let webroot = webroot.display().to_string();
    let run =
        finish(&mut setting.at_ca(&["issue", "-d", "a.test", "--webroot", &webroot, "-o", "json"])).expect(0);
    assert!(run.err.contains("renewals will use the options"), "{}", run.err);
    assert_eq!(run.json()["serial"], first["serial"]);
    assert_eq!(setting.record("a.test")["renewal"]["http01"]["webroot"], json!(webroot));
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_old_pair_and_waits() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let good = setting.issue(&["-d", "b.test", "-o", "json"]).expect(0).json();
    for name in ["a.test", "b.test"] {
        setting.change_record(name, |record| {
            record["issued_at"] = json!("2020-01-01T00:00:00Z");
            record["profile"] = json!("default");
        });
    }
    // The record asks for what the certificate is not: a reason to issue. For `a.test` nobody answers the CA.
    let elsewhere = format!("127.0.0.1:{}", gatecert_testkit::free_port());
    setting.change_record("a.test", |record| {
        record["renewal"]["http01"]["listen"] = json!(elsewhere);
        // A new name: Pebble reuses authorizations now and then even where it is told not to.
        record["identifiers"] = json!(["a.test", "new.test"]);
    });
    setting.change_record("b.test", |record| record["key_type"] = json!("ecdsa-p384"));
    let old = std::fs::read(setting.out().join("a.test/tls.crt")).unwrap();

    let run = setting.run(&["renew", "-o", "json"]).expect(3);
    assert!(run.err.contains("error: a.test: validation failed"), "{}", run.err);
    let statuses: Vec<Value> = run.json()["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["status"].clone())
        .collect();
    assert_eq!(statuses, ["failed", "renewed"]);
    assert_eq!(std::fs::read(setting.out().join("a.test/tls.crt")).unwrap(), old);
    assert_ne!(setting.record("b.test")["serial"], good["serial"]);

    let waiting = setting.run(&["renew", "a.test", "-o", "json"]).expect(0).json();
    assert_eq!(waiting["certificates"][0]["status"], "waiting", "{waiting}");
    assert_eq!(setting.record("a.test")["failures"]["count"], 1);
}

#[tokio::test]
async fn a_name_that_fails_is_named_and_the_others_are_kept() {
    let setting = Setting::new(Pebble::builder().authz_reuse(100)).await;
    setting.pebble.challtestsrv().set_servfail("bad.test").await.unwrap();
    let failed = setting.issue(&["-d", "good.test,bad.test,fine.test", "-o", "json"]).expect(1);
    let error = &failed.json()["error"];
    assert_eq!(error["names"], json!(["bad.test"]));
    assert!(error["message"].as_str().unwrap().contains("bad.test"), "{error}");
    assert!(failed.err.contains("hint: "), "{}", failed.err);
    assert!(!setting.out().join("good.test/tls.crt").exists());

    let second = setting.issue(&["-d", "good.test,fine.test"]).expect(0);
    assert!(second.err.contains("still validated"), "{}", second.err);
}

#[tokio::test]
async fn revoked_by_account_and_by_its_own_key() {
    let setting = Setting::new(Pebble::builder()).await;
    for (name, more) in [("a.test", &[][..]), ("b.test", &["--with-certificate-key"][..])] {
        let issued = setting.issue(&["-d", name, "-o", "json"]).expect(0).json();
        let serial = issued["serial"].as_str().unwrap();
        setting.run(&[&["revoke", name, "--reason", "keyCompromise"], more].concat()).expect(0);
        let status = setting.pebble.cert_status(serial).await.unwrap();
        assert!(status.contains("Revoked"), "{status}");
        let again = setting.run(&[&["revoke", name], more].concat()).expect(0).out;
        assert!(again.starts_with("already revoked"), "{again}");
        assert!(setting.run(&["list"]).expect(0).out.contains("revoked"));
        let renewal = setting.run(&["renew", name, "-o", "json"]).expect(0).json();
        assert_eq!(renewal["certificates"][0]["status"], "revoked");
        let new = setting.issue(&["-d", name, "-o", "json"]).expect(0).json();
        assert_eq!(new["status"], "issued", "a revoked certificate is replaced");
    }
}

#[tokio::test]
async fn through_a_webroot() {
    let setting = Setting::new(Pebble::builder()).await;
    let webroot = setting.path("webroot");
    std::fs::create_dir(&webroot).unwrap();
    serve_files(&setting.listen(), &webroot);
    let webroot_text = webroot.display().to_string();
    let run = finish(&mut setting.at_ca(&[
        "issue",
        "-d",
        "a.test,b.test",
        "--webroot",
        &webroot_text,
        "-o",
        "json",
    ]))
    .expect(0);
    assert_eq!(run.json()["status"], "issued");
    assert_eq!(std::fs::read_dir(&webroot).unwrap().count(), 0, "what was made is gone");
    assert_eq!(setting.record("a.test")["renewal"]["http01"]["webroot"], json!(webroot_text));
}

/// As little of a web server as serves files. It stays, whatever becomes of the program.
pub fn serve_files(address: &str, root: &Path) {
    let listener = TcpListener::bind(address).unwrap();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
            let body = std::fs::read(root.join(path)).unwrap_or_default();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())
                .unwrap();
            stream.write_all(&body).unwrap();
        }
    });
}

/// Starts the program and waits until it has told the CA to look for this name; gives what it wrote and the rest of its
/// output.
fn until_validating(command: &mut Command, name: &str) -> (Child, String, BufReader<ChildStderr>) {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains(&format!("{name}: validating")) {
        assert_ne!(lines.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    (child, seen, lines)
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn journal(setting: &Setting) -> Value {
    serde_json::from_slice(&std::fs::read(setting.out().join("a.test/journal.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn interrupted_it_cleans_up_and_keeps_the_order() {
    for signal in ["-INT", "-TERM"] {
        interrupted_by(signal).await;
    }
}

async fn interrupted_by(signal: &str) {
    let setting = Setting::new(Pebble::builder().va_sleep(true)).await;
    let webroot = setting.path("webroot");
    std::fs::create_dir(&webroot).unwrap();
    let mut command = setting.at_ca(&["issue", "-d", "a.test", "--webroot", &webroot.display().to_string()]);
    let (mut child, mut seen, mut lines) = until_validating(&mut command, "a.test");
    send(signal, &child);
    lines.read_to_string(&mut seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{seen}");
    assert!(seen.contains("hint: nothing is lost"), "{seen}");
    assert_eq!(std::fs::read_dir(&webroot).unwrap().count(), 0, "what was made is gone");
    assert_eq!(mode(&setting.out().join("a.test/journal.json")), 0o600);
    assert!(journal(&setting)["order_url"].is_string());
    // The CA may have looked in the meantime and found nothing: then there has to be another order.
    setting.issue(&["-d", "a.test"]).expect(0);
    assert!(!setting.out().join("a.test/journal.json").exists());
}

#[tokio::test]
async fn an_interrupted_renewal_tells_what_was_done_before() {
    let setting = Setting::new(Pebble::builder()).await;
    for name in ["a.test", "b.test", "c.test"] {
        setting.issue(&["-d", name]).expect(0);
    }
    setting.change_record("a.test", |record| record["key_type"] = json!("ecdsa-p384"));
    setting.change_record("b.test", |record| record["identifiers"] = json!(["b.test", "new.test"]));
    // Where the CA asks for this name, it waits: nobody answers.
    let silent = TcpListener::bind(setting.listen().replace("127.0.0.1", "127.0.0.77")).unwrap();
    let silence = [silent.local_addr().unwrap().ip()];
    setting.pebble.challtestsrv().add_a("new.test", &silence).await.unwrap();

    let (json, _) = interrupted_renewal(&setting, "json", "-INT");
    let json: Value = serde_json::from_str(&json).unwrap();
    let outcomes = json["certificates"].as_array().unwrap();
    assert_eq!((outcomes.len(), &outcomes[0]["status"]), (1, &json!("renewed")), "{json}");
    assert_eq!(json["error"]["kind"], "stopped");
    assert!(setting.record("a.test")["ari"].is_object(), "asked before the next one was begun");

    // Another order, or there may be no challenge to begin.
    std::fs::remove_file(setting.out().join("b.test/journal.json")).unwrap();
    let (text, messages) = interrupted_renewal(&setting, "text", "-TERM");
    assert!(text.starts_with("a.test: up to date") && text.lines().count() == 1, "{text}");
    assert!(messages.contains("error: stopped by a signal\nhint: nothing is lost"), "{messages}");
}

/// What was written to standard output and to standard error.
fn interrupted_renewal(setting: &Setting, format: &str, signal: &str) -> (String, String) {
    let mut command = setting.command(&["renew", "-o", format]);
    let (mut child, mut messages, mut lines) = until_validating(&mut command, "new.test");
    send(signal, &child);
    lines.read_to_string(&mut messages).unwrap();
    let mut results = String::new();
    child.stdout.take().unwrap().read_to_string(&mut results).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{messages}");
    (results, messages)
}

#[tokio::test]
async fn killed_it_goes_on_with_the_same_order() {
    let setting = Setting::new(Pebble::builder().va_sleep(true)).await;
    let webroot = setting.path("webroot");
    std::fs::create_dir(&webroot).unwrap();
    serve_files(&setting.listen(), &webroot);
    let arguments = ["issue", "-d", "a.test", "-o", "json", "--webroot", &webroot.display().to_string()];
    let (mut child, ..) = until_validating(&mut setting.at_ca(&arguments), "a.test");
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = journal(&setting);
    let resumed = finish(&mut setting.at_ca(&arguments)).expect(0);
    assert!(resumed.err.contains("going on with"), "{}", resumed.err);
    assert_eq!(resumed.json()["order"], journal["order_url"]);
    let left = std::fs::read_dir(webroot.join(".well-known/acme-challenge")).unwrap().count();
    assert_eq!(left, 0, "the answer of the killed run is gone too");

    // An order that was begun beside a good certificate is not forgotten either.
    std::fs::write(setting.out().join("a.test/journal.json"), journal.to_string()).unwrap();
    let unfinished = finish(&mut setting.at_ca(&arguments)).expect(0);
    assert_eq!(unfinished.json()["order"], journal["order_url"]);
    assert!(!setting.out().join("a.test/journal.json").exists());
}
