//! What goes wrong says so, and leaves nothing half done. What needs no server is among the pinned texts.

use crate::setting::{Setting, finish, finish_with, gatecert};
use gatecert_testkit::Pebble;
use serde_json::json;
use std::net::TcpListener;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A manifest that is cut off must not look like a whole one.
#[test]
fn what_can_not_be_printed_is_no_success() {
    for arguments in
        [&["render", "crds"][..], &["render", "crds", "-o", "json"], &["completions", "bash"], &["man"]]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = finish_with(gatecert(arguments).stdout(full)).expect(1);
        assert!(run.err.starts_with("error: could not write to standard output: "), "{}", run.err);
        assert!(run.err.contains("hint: what was printed is not whole"), "{}", run.err);
    }
}

#[test]
fn a_socket_without_a_directory_says_what_to_do() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("gatecert.toml");
    let text = "store = 'out'\nhttp01 = {listen = '127.0.0.1:0'}\nsds.unix = {path = 'none/sds.sock'}\n\
                issuers.le = {server = 'letsencrypt-staging'}\ncertificates = [{names = ['www.example.com']}]\n";
    std::fs::write(&config, text).unwrap();
    let run = finish(gatecert(&["serve", "--config"]).arg(&config)).expect(1);
    let socket = folder.path().join("none/sds.sock");
    assert!(run.err.contains(&format!("could not listen on `{}`: ", socket.display())), "{}", run.err);
    assert!(run.err.contains("hint: make its directory") && !run.err.contains(".sds"), "{}", run.err);
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let home = tempfile::TempDir::new().unwrap();
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let kubeconfig = home.path().join("config");
    let cluster = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": format!("https://{nowhere}")}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "users": [{"name": "a", "user": {}}],
    });
    std::fs::write(&kubeconfig, cluster.to_string()).unwrap();
    for arguments in [&["status"][..], &["migrate", "--cluster"], &["doctor", "a.test"]] {
        let run = |kubeconfig: Option<&std::path::Path>| {
            let mut command = gatecert(arguments);
            command.env("HOME", home.path()).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
            command.envs(kubeconfig.map(|file| ("KUBECONFIG", file)));
            finish(&mut command).expect(1).err
        };
        let none = run(None);
        let file = home.path().join(".kube/config");
        assert!(
            none.contains(&format!("there is no kubeconfig: `{}` does not exist", file.display())),
            "{none}"
        );
        assert!(none.contains("hint: name a file with --kubeconfig"), "{none}");
        let silent = run(Some(&kubeconfig));
        assert!(
            silent.contains(&format!(
                "error: https://{nowhere}, the kubeconfig's API server, can not be asked: "
            )),
            "{silent}"
        );
    }
}

#[tokio::test]
async fn a_port_in_use_orders_nothing() {
    let setting = Setting::new(Pebble::builder()).await;
    let _taken = TcpListener::bind(setting.listen()).unwrap();
    let run = setting.issue(&["-d", "a.test"]).expect(1);
    assert!(
        run.err.contains("--webroot") && run.err.contains(&std::process::id().to_string()),
        "{}",
        run.err
    );
    assert!(!setting.out().join("accounts").exists(), "no account was made");
}

#[tokio::test]
async fn an_unknown_profile_lists_those_that_there_are() {
    let setting = Setting::new(
        Pebble::builder().profiles(&[("classic", "c", 7_776_000), ("shortlived", "s", 518_400)]),
    )
    .await;
    let run = setting.issue(&["-d", "a.test", "--profile", "eternal"]).expect(2);
    assert!(run.err.contains("classic, shortlived"), "{}", run.err);
    setting.issue(&["-d", "a.test", "--profile", "shortlived"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_addresses_get_a_profile_to_ask_for() {
    let server = MockServer::start().await;
    let url = |path: &str| format!("{}{path}", server.uri());
    let directory = json!({
        "newNonce": url("/nonce"), "newAccount": url("/accounts"), "newOrder": url("/orders"),
        "meta": {"profiles": {"classic": "90 days", "shortlived": "6 days"}},
    });
    let account = json!({"status": "valid"});
    let problem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier",
        "detail": "Profile \"classic\" does not permit ip type identifiers",
    });
    let nonce = |answer: ResponseTemplate| answer.append_header("replay-nonce", "bm9uY2U");
    let created = ResponseTemplate::new(201).append_header("location", url("/account/1"));
    for (at, answer) in [
        ("/directory", ResponseTemplate::new(200).set_body_json(directory)),
        ("/nonce", ResponseTemplate::new(200)),
        ("/accounts", created.set_body_json(account)),
        ("/orders", ResponseTemplate::new(400).set_body_raw(problem.to_string(), "application/problem+json")),
    ] {
        Mock::given(path(at)).respond_with(nonce(answer)).mount(&server).await;
    }
    let out = tempfile::TempDir::new().unwrap();
    let directory = url("/directory");
    let mut command =
        gatecert(&["issue", "--ip", "192.0.2.7", "--server", &directory, "--http01-listen", "127.0.0.1:0"]);
    command.arg("--out").arg(out.path());
    let run = tokio::task::spawn_blocking(move || finish(&mut command)).await.unwrap().expect(1);
    assert!(run.err.contains("does not permit ip type identifiers"), "{}", run.err);
    assert!(run.err.contains("hint: ask for the profile `shortlived`"), "{}", run.err);
}

#[tokio::test]
async fn a_ca_that_is_not_trusted_names_the_option() {
    let setting = Setting::new(Pebble::builder()).await;
    let server = setting.pebble.directory_url().to_string();
    let run = finish(&mut setting.command(&[
        "issue",
        "-d",
        "a.test",
        "--server",
        &server,
        "--http01-listen",
        &setting.listen(),
    ]));
    let run = run.expect(1);
    assert!(run.err.contains("not trusted") && run.err.contains("--ca-file"), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_answers_html() {
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_raw("<html>welcome</html>", "text/html");
    Mock::given(any()).respond_with(page).mount(&server).await;
    let out = tempfile::TempDir::new().unwrap();
    let mut command =
        gatecert(&["issue", "-d", "a.test", "--server", &server.uri(), "--http01-listen", "127.0.0.1:0"]);
    let run = tokio::task::spawn_blocking(move || {
        let run = finish(command.arg("--out").arg(out.path()));
        (run, out)
    });
    let (run, out) = run.await.unwrap();
    let run = run.expect(1);
    assert!(
        run.err.contains("text/html") && run.err.contains("hint: is this the URL of an ACME directory"),
        "{}",
        run.err
    );
    assert!(!run.err.contains("welcome"), "{}", run.err);
    assert!(!out.path().join("a.test").exists(), "it looks like a certificate");
}

#[tokio::test]
async fn a_damaged_store_loses_nothing() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    setting.issue(&["-d", "b.test"]).expect(0);
    let key = std::fs::read(setting.out().join("a.test/tls.key")).unwrap();
    std::fs::write(setting.out().join("a.test/cert.json"), "{\"version\":1").unwrap();
    let listed = setting.run(&["list"]).expect(3).out;
    assert!(listed.contains("damaged") && listed.contains("b.test"), "{listed}");
    assert!(setting.run(&["show", "a.test"]).expect(1).err.contains("cert.json"));
    let renewed = setting.run(&["renew"]).expect(3);
    assert!(renewed.err.contains("error: a.test"), "{}", renewed.err);
    assert_eq!(std::fs::read(setting.out().join("a.test/tls.key")).unwrap(), key);
    // Asked for by name it is made anew.
    let repaired = setting.issue(&["-d", "a.test", "-o", "json"]).expect(0).json();
    assert!(repaired["reason"].as_str().unwrap().contains("can not be used"), "{repaired}");
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let setting = Setting::new(Pebble::builder()).await;
    let _first = gatecert_publish::FileStore::open(setting.out()).unwrap();
    let run = setting.issue(&["-d", "a.test"]).expect(1);
    assert!(run.err.contains(&std::process::id().to_string()), "{}", run.err);
}

#[test]
fn a_webroot_that_can_not_be_used_leaves_nothing() {
    let out = tempfile::TempDir::new().unwrap();
    for (webroot, message, hint) in [
        ("/nonexistent", "is not a directory", "hint: the webroot is the directory that a web server serves"),
        ("/proc", "no file can be put into", "hint: the webroot is a directory that this user can write to"),
    ] {
        let mut command = gatecert(&["issue", "-d", "a.test", "--webroot", webroot]);
        let run = finish(command.arg("--out").arg(out.path())).expect(2);
        assert!(run.err.contains(message) && run.err.contains(hint), "{}", run.err);
        assert!(!out.path().join("a.test").exists(), "it looks like a certificate");
    }
}

/// Everything that is logged at all while an account is bound to an external one, a certificate is issued and the
/// account's key is rolled over, and what must not be in it: the keys of the certificate and of the account, the new one
/// of the account, and the key of the external account, in whatever form.
#[tokio::test]
async fn no_secret_is_logged() {
    let hmac: Vec<u8> = (0..48_u8).map(|n| n.wrapping_mul(37).wrapping_add(201)).collect();
    let hmac_text = base64(&hmac, "-_");
    let setting = Setting::new(Pebble::builder().eab(&[("kid-1", hmac_text.as_str())])).await;
    let file = setting.path("hmac");
    std::fs::write(&file, &hmac_text).unwrap();
    let file = file.display().to_string();
    let external = ["--eab-kid", "kid-1", "--eab-hmac-key-file", file.as_str()];
    let issued = setting.issue(&[&["-d", "a.test", "-vv"][..], &external[..]].concat()).expect(0);
    let (_, account) = setting.stored_account();
    let rolled = finish(&mut setting.at_ca(&["account", "rollover", "-vv"])).expect(0);
    let (_, rolled_account) = setting.stored_account();
    assert_ne!(account["private_key"], rolled_account["private_key"]);
    for run in [&issued, &rolled] {
        assert!(
            run.err.contains("TRACE") && run.err.contains("gatecert_acme"),
            "there is no log: {}",
            run.err
        );
    }
    let all = [issued.err, issued.out, rolled.err, rolled.out].concat();

    let key = std::fs::read_to_string(setting.out().join("a.test/tls.key")).unwrap();
    let mut secrets = vec![hmac];
    let [before, after] = [&account, &rolled_account].map(|account| account["private_key"].as_str().unwrap());
    for pem in [key.as_str(), before, after] {
        let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        assert!(lines.len() >= 3, "the key has other lines than it should have");
        assert!(lines.iter().all(|line| !all.contains(line)), "a line of a key is in the log");
        secrets.push(scalar(pem));
    }
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!all.contains(&form), "a piece of a secret is in the log: {form}");
    }
}

/// The private number of a key on P-256: the 32 bytes behind what all PKCS#8 of this kind begins with.
fn scalar(pem: &str) -> Vec<u8> {
    let pem = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap();
    assert_eq!(pem.contents[34..36], [0x04, 0x20], "an octet string of 32 bytes");
    pem.contents[36..68].to_vec()
}

/// Eighteen bytes in a row of a secret, from each place in it, as texts have them: base64 of both kinds, which may begin
/// at any of three bytes, hexadecimal, and what `Debug` makes of bytes.
fn forms(secret: &[u8]) -> Vec<String> {
    let of_piece = |piece: &[u8]| {
        let numbers: Vec<_> = piece.iter().map(ToString::to_string).collect();
        let hexadecimal: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        [base64(piece, "+/"), base64(piece, "-_"), hexadecimal, numbers.join(", ")]
    };
    secret.windows(18).flat_map(of_piece).collect()
}

/// Base64 of bytes whose number is a multiple of three. The last two characters differ by kind.
fn base64(bytes: &[u8], last: &str) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last.chars()).collect();
    let of_three = |three: &[u8]| {
        let number = three.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        [18, 12, 6, 0].map(|bits| alphabet[(number >> bits) & 63])
    };
    bytes.chunks_exact(3).flat_map(of_three).collect()
}
