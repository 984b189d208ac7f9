//! Importing the accounts of other clients.

use crate::jws::fixture;
use gatecert_acme::import::{ImportError, ImportedAccount, MAX_DEPTH, MAX_FILE_BYTES, discover, from_text};
use gatecert_acme::{AccountKey, KeyAlgorithm, KeyError, LETS_ENCRYPT, LETS_ENCRYPT_STAGING};
use serde_json::{Value, json};
use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

type Summary<'a> = (Option<&'a str>, Option<&'a str>, Vec<&'a str>, KeyAlgorithm);

fn summary(account: &ImportedAccount) -> Summary<'_> {
    let contacts = account.contacts.iter().map(String::as_str).collect();
    let url = account.account_url.as_ref().map(url::Url::as_str);
    (account.directory.as_ref().map(url::Url::as_str), url, contacts, account.key.algorithm())
}

/// Directory, account URL, contacts and algorithm of every account at a fixture.
fn assert_found(name: &str, expected: &[Summary<'_>]) -> Vec<ImportedAccount> {
    let accounts = discover(&fixture("import").join(name)).unwrap();
    assert_eq!(accounts.iter().map(summary).collect::<Vec<_>>(), expected, "{name}");
    accounts
}

fn read(name: &str) -> String {
    fs::read_to_string(fixture("import").join(name)).unwrap()
}

const ADMIN: &str = "mailto:admin@example.test";

#[test]
fn certbot() {
    let accounts = assert_found(
        "certbot",
        &[
            (
                Some(LETS_ENCRYPT_STAGING),
                Some("https://acme-staging-v02.api.letsencrypt.org/acme/acct/1002"),
                vec![],
                KeyAlgorithm::Es256,
            ),
            (
                Some(LETS_ENCRYPT),
                Some("https://acme-v02.api.letsencrypt.org/acme/acct/1001"),
                vec![],
                KeyAlgorithm::Rs256,
            ),
        ],
    );
    let staging =
        "certbot/accounts/acme-staging-v02.api.letsencrypt.org/directory/9cd1bb91725d0a86398620e856975f80";
    let key = AccountKey::from_jwk(&read(&format!("{staging}/private_key.json"))).unwrap();
    assert_eq!(accounts[0].key.thumbprint(), key.thumbprint());
    assert!(accounts[0].origin.starts_with("certbot /") && accounts[0].origin.ends_with("/private_key.json"));
}

#[test]
fn certbot_links_of_the_first_acme_version() {
    let root = TempDir::new().unwrap();
    let accounts = root.path().join("accounts");
    let old = accounts.join("acme-v01.api.letsencrypt.org/directory");
    let account = fixture("import/certbot/accounts/acme-v02.api.letsencrypt.org/directory");
    copy(&account, &old);
    let (id, _) = one_entry(&old);
    let uri = json!({"body": {"contact": [ADMIN]}, "uri": "https://acme-v01.api.letsencrypt.org/acme/reg/7"});
    fs::write(old.join(&id).join("regr.json"), uri.to_string()).unwrap();
    fs::create_dir(accounts.join("acme-v02.api.letsencrypt.org")).unwrap();
    symlink(&old, accounts.join("acme-v02.api.letsencrypt.org/directory")).unwrap();

    let found = discover(root.path()).unwrap();
    let expected = [(Some(LETS_ENCRYPT), None, vec![ADMIN], KeyAlgorithm::Rs256)];
    assert_eq!(found.iter().map(summary).collect::<Vec<_>>(), expected);
}

#[test]
fn certbot_with_a_port_and_without_a_registration() {
    let root = TempDir::new().unwrap();
    let account = root.path().join("accounts/ca.example.test:14000/acme/main/directory/0123");
    copy(
        &fixture("import/certbot/accounts/acme-v02.api.letsencrypt.org/directory"),
        account.parent().unwrap(),
    );
    fs::rename(one_entry(account.parent().unwrap()).1, &account).unwrap();
    fs::remove_file(account.join("regr.json")).unwrap();
    for path in [root.path(), &account] {
        let found = discover(path).unwrap();
        let directory = "https://ca.example.test:14000/acme/main/directory";
        assert_eq!(summary(&found[0]), (Some(directory), None, vec![], KeyAlgorithm::Rs256));
    }
}

#[test]
fn lego() {
    let accounts = assert_found(
        "lego-4",
        &[(
            Some(LETS_ENCRYPT),
            Some("https://acme-v02.api.letsencrypt.org/acme/acct/2001"),
            vec![ADMIN],
            KeyAlgorithm::Es256,
        )],
    );
    let pem =
        read("lego-4/accounts/acme-v02.api.letsencrypt.org/admin@example.test/keys/admin@example.test.key");
    assert_eq!(accounts[0].key.thumbprint(), AccountKey::from_pem(&pem).unwrap().thumbprint());
    assert_found(
        "lego-5",
        &[(
            Some("https://localhost:14000/dir"),
            Some("https://localhost:14000/my-account/2002"),
            vec![],
            KeyAlgorithm::Es384,
        )],
    );
}

#[test]
fn lego_needs_one_key() {
    let store = copy_of("lego-5");
    let directory = store.path().join("accounts/localhost_14000/noemail@example.com");
    fs::copy(directory.join("noemail@example.com.key"), directory.join("second.key")).unwrap();
    let message = discover(store.path()).unwrap_err().to_string();
    assert!(message.contains("account.json` is ambiguous: there are several `.key` files"), "{message}");
    fs::remove_file(directory.join("second.key")).unwrap();
    fs::remove_file(directory.join("noemail@example.com.key")).unwrap();
    let message = discover(store.path()).unwrap_err().to_string();
    assert!(message.contains("account.json` is missing: there is no `.key` file"), "{message}");
}

#[test]
fn acme_sh() {
    assert_found(
        "acme.sh",
        &[
            (
                Some(LETS_ENCRYPT),
                Some("https://acme-v02.api.letsencrypt.org/acme/acct/3002"),
                vec!["mailto:ops@example.test"],
                KeyAlgorithm::Rs256,
            ),
            (
                Some("https://acme.zerossl.com/v2/DV90"),
                Some("https://acme.zerossl.com/v2/DV90/account/3001"),
                vec![ADMIN],
                KeyAlgorithm::Es256,
            ),
        ],
    );
}

#[test]
fn acme_sh_of_the_old_layout() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("ca/acme-v02.api.letsencrypt.org");
    fs::create_dir_all(&directory).unwrap();
    let key = read("acme.sh/ca/acme-v02.api.letsencrypt.org/directory/account.key");
    fs::write(directory.join("account.key"), key).unwrap();
    assert_eq!(
        summary(&discover(root.path()).unwrap()[0]),
        (Some(LETS_ENCRYPT), None, vec![], KeyAlgorithm::Rs256)
    );
}

#[test]
fn traefik() {
    let account_url = "https://acme-v02.api.letsencrypt.org/acme/acct/4001";
    let expected = [(Some(LETS_ENCRYPT), Some(account_url), vec![ADMIN], KeyAlgorithm::Rs256)];
    for path in ["traefik", "traefik/acme.json"] {
        let accounts = assert_found(path, &expected);
        assert!(accounts[0].origin.ends_with("acme.json (letsencrypt)"), "{}", accounts[0].origin);
    }
    let account_url = "https://acme-v02.api.letsencrypt.org/acme/acct/4002";
    let contacts = vec!["mailto:old@example.test"];
    assert_found("traefik-1", &[(Some(LETS_ENCRYPT), Some(account_url), contacts, KeyAlgorithm::Rs256)]);
}

#[test]
fn traefik_errors_name_the_resolver() {
    let mut store: Value = serde_json::from_str(&read("traefik/acme.json")).unwrap();
    let mut error = |key: Value| {
        store["letsencrypt"]["Account"]["PrivateKey"] = key;
        from_text(&store.to_string(), Path::new("acme.json")).unwrap_err()
    };
    let message = error(Value::Null).to_string();
    assert_eq!(message, "`letsencrypt.Account.PrivateKey` in `acme.json` is missing");
    let message = error(json!("no base64!")).to_string();
    assert_eq!(message, "`letsencrypt.Account.PrivateKey` in `acme.json` is not base64");
    assert!(matches!(
        error(json!("AAAA")),
        ImportError::Key { source: KeyError::Malformed { format: "PKCS#1", .. }, .. }
    ));
    assert!(matches!(error(json!(["AAAA"])), ImportError::Json { client: "Traefik", .. }));
    assert!(matches!(from_text("{}", Path::new("acme.json")).unwrap_err(), ImportError::NothingFound { .. }));
}

#[test]
fn caddy() {
    assert_found(
        "caddy",
        &[
            (
                Some(LETS_ENCRYPT),
                Some("https://acme-v02.api.letsencrypt.org/acme/acct/5001"),
                vec![ADMIN],
                KeyAlgorithm::Es256,
            ),
            (None, Some("https://ca.example.test/acme/acme/account/5002"), vec![], KeyAlgorithm::Es256),
        ],
    );
}

#[test]
fn cert_manager() {
    assert_found("cert-manager/secret.json", &[(None, None, vec![], KeyAlgorithm::Rs256)]);
    let staging = "https://acme-staging-v02.api.letsencrypt.org/acme/acct/6002";
    let accounts = assert_found(
        "cert-manager/issuers.json",
        &[
            (
                Some(LETS_ENCRYPT),
                Some("https://acme-v02.api.letsencrypt.org/acme/acct/6001"),
                vec![ADMIN],
                KeyAlgorithm::Rs256,
            ),
            (Some(LETS_ENCRYPT_STAGING), Some(staging), vec![ADMIN], KeyAlgorithm::Rs256),
        ],
    );
    let secret = discover(&fixture("import/cert-manager/secret.json")).unwrap();
    assert_eq!(accounts[0].key.thumbprint(), secret[0].key.thumbprint());
    assert!(accounts[1].origin.ends_with("issuers.json (Secret account)"), "{}", accounts[1].origin);
}

#[test]
fn cert_manager_issuers_need_their_secret() {
    let mut list: Value = serde_json::from_str(&read("cert-manager/issuers.json")).unwrap();
    let error = |list: &Value| from_text(&list.to_string(), Path::new("list.json")).unwrap_err().to_string();
    let mut second = list["items"][3].clone();
    second["metadata"]["namespace"] = "other".into();
    list["items"].as_array_mut().unwrap().push(second);
    let field = "`ClusterIssuer letsencrypt: spec.acme.privateKeySecretRef` in `list.json`";
    assert_eq!(error(&list), format!("{field} names Secrets in several namespaces"));
    list["items"].as_array_mut().unwrap().retain(|item| item["metadata"]["name"] != "letsencrypt-account");
    assert_eq!(error(&list), format!("{field} names a Secret that is not among the objects"));
}

#[test]
fn cert_manager_yaml_is_told_how_to_be_json() {
    let yaml = "apiVersion: v1\nkind: Secret\ndata:\n  tls.key: LS0tLS1CRUdJTg==\n";
    let message = from_text(yaml, Path::new("secret.yaml")).unwrap_err().to_string();
    assert!(message.contains("`secret.yaml`") && message.contains("kubectl get … -o json"), "{message}");
}

#[test]
fn a_mounted_secret_is_one_account() {
    let root = TempDir::new().unwrap();
    let data = root.path().join("..2026_01_02");
    fs::create_dir(&data).unwrap();
    fs::copy(fixture("jws/keys/rsa-2048-pkcs1.pem"), data.join("tls.key")).unwrap();
    symlink("..2026_01_02", root.path().join("..data")).unwrap();
    symlink("..data/tls.key", root.path().join("tls.key")).unwrap();
    assert_eq!(discover(root.path()).unwrap().len(), 1);
    // With a certificate beside it the key is a certificate's.
    fs::write(data.join("tls.crt"), "").unwrap();
    symlink("..data/tls.crt", root.path().join("tls.crt")).unwrap();
    assert!(matches!(discover(root.path()).unwrap_err(), ImportError::NothingFound { .. }));
}

#[test]
fn a_bare_key() {
    let pem = discover(&fixture("jws/keys/p256-sec1-with-parameters.pem")).unwrap();
    assert_eq!(summary(&pem[0]), (None, None, vec![], KeyAlgorithm::Es256));
    let example = include_str!("../../src/key/rfc7515-a3.json");
    let jwk = &serde_json::from_str::<Value>(example).unwrap()["jwk"];
    let jwk = from_text(&jwk.to_string(), Path::new("key.json")).unwrap();
    assert_eq!(summary(&jwk[0]), (None, None, vec![], KeyAlgorithm::Es256));
    let refused = discover(&fixture("jws/keys/ed25519.pem")).unwrap_err();
    assert!(
        matches!(&refused, ImportError::Key { source: KeyError::Unsupported { kind }, .. } if kind == "Ed25519")
    );
    assert!(chain(&refused).contains("ed25519.pem"));
}

#[test]
fn all_stores_together() {
    let accounts = discover(&fixture("import")).unwrap();
    let clients: Vec<&str> =
        accounts.iter().map(|account| account.origin.split(' ').next().unwrap()).collect();
    let expected =
        ["certbot", "certbot", "lego", "lego", "acme.sh", "acme.sh", "Traefik", "Traefik", "Caddy", "Caddy"];
    assert_eq!(clients, expected);
    for account in &accounts {
        let printed = format!("{account:?} {account:#?}");
        crate::jws::assert_shows_nothing_of(&printed, &account.key.to_pkcs8_pem());
    }
}

#[test]
fn nothing_is_not_an_account() {
    let root = TempDir::new().unwrap();
    assert!(matches!(discover(root.path()).unwrap_err(), ImportError::NothingFound { .. }));
    assert!(matches!(discover(&root.path().join("absent")).unwrap_err(), ImportError::Read { .. }));
    let file = root.path().join("notes.txt");
    for text in ["", "hello", "[]", "{\"a\": 1"] {
        fs::write(&file, text).unwrap();
        assert!(chain(&discover(&file).unwrap_err()).contains("notes.txt"), "{text}");
    }
    fs::write(&file, [0xFF, 0xFE]).unwrap();
    assert!(matches!(discover(&file).unwrap_err(), ImportError::NotText { .. }));
}

#[test]
fn links_that_leave_the_store_are_not_followed() {
    let root = TempDir::new().unwrap();
    symlink(fixture("import/certbot").canonicalize().unwrap(), root.path().join("outside")).unwrap();
    symlink(fixture("import/traefik/acme.json").canonicalize().unwrap(), root.path().join("acme.json"))
        .unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();
    symlink(".", root.path().join("loop")).unwrap();
    assert!(matches!(discover(root.path()).unwrap_err(), ImportError::NothingFound { .. }));

    fs::create_dir(root.path().join("inside")).unwrap();
    fs::copy(fixture("import/traefik/acme.json"), root.path().join("inside/store")).unwrap();
    fs::remove_file(root.path().join("acme.json")).unwrap();
    symlink("inside/store", root.path().join("acme.json")).unwrap();
    assert_eq!(discover(root.path()).unwrap().len(), 1);
}

#[test]
fn sizes_and_depths_are_bounded() {
    let root = TempDir::new().unwrap();
    let large = root.path().join("acme.json");
    fs::File::create(&large).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    for path in [root.path(), &large] {
        assert!(
            matches!(discover(path).unwrap_err(), ImportError::TooLarge { path } if path.ends_with("acme.json"))
        );
    }
    fs::remove_file(large).unwrap();

    let below = |levels: usize| (0..levels).fold(root.path().to_path_buf(), |path, _| path.join("d"));
    fs::create_dir_all(below(MAX_DEPTH)).unwrap();
    fs::copy(fixture("import/traefik/acme.json"), below(MAX_DEPTH).join("acme.json")).unwrap();
    assert!(matches!(discover(root.path()).unwrap_err(), ImportError::NothingFound { .. }));
    fs::copy(fixture("import/traefik/acme.json"), below(MAX_DEPTH - 1).join("acme.json")).unwrap();
    assert_eq!(discover(root.path()).unwrap().len(), 1);
}

/// Every file of every store is cut short and has bytes changed: there may be an error, which then names the file and
/// shows nothing of it; there is no panic.
#[test]
fn corrupt_stores_give_errors_that_show_no_key() {
    let mut errors = 0;
    for name in ["certbot", "lego-4", "lego-5", "acme.sh", "traefik", "traefik-1", "caddy", "cert-manager"] {
        let store = copy_of(name);
        for file in files(store.path()) {
            let original = fs::read_to_string(&file).unwrap();
            for broken in corruptions(&original) {
                fs::write(&file, &broken).unwrap();
                let target = if name == "cert-manager" { &file } else { store.path() };
                if let Err(error) = discover(target) {
                    errors += 1;
                    assert_names_and_hides(&error, &file, &original);
                }
            }
            fs::write(&file, &original).unwrap();
        }
        if name != "cert-manager" {
            discover(store.path()).unwrap();
        }
    }
    assert!(errors > 300, "only {errors} of the corruptions were noticed");
}

fn corruptions(text: &str) -> Vec<String> {
    let at = |part: usize| text.floor_char_boundary(text.len() * part / 16);
    let cut = (0..16).map(|part| text[..at(part)].to_owned());
    let changed = (0..16).flat_map(|part| {
        ["\u{7f}", "A", "\n\n", "\""]
            .map(|insert| format!("{}{insert}{}", &text[..at(part)], &text[at(part)..]))
    });
    // The content where another type is expected, which JSON libraries like to quote.
    let retyped =
        [format!("[{text}]"), format!("\"{}\"", text.escape_default()), "null".into(), "{\"kty\":1}".into()];
    cut.chain(changed).chain(retyped).collect()
}

fn assert_names_and_hides(error: &ImportError, file: &Path, original: &str) {
    let shown = chain(error);
    let named = shown.contains(&file.canonicalize().unwrap().display().to_string());
    assert!(named || matches!(error, ImportError::NothingFound { .. }), "{shown}");
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    for secret in original.split(|c| !is_base64(c)).filter(|piece| piece.len() >= 40) {
        let middle = &secret[secret.len() / 2..secret.len() / 2 + 12];
        assert!(!shown.contains(&secret[..12]) && !shown.contains(middle), "{shown}");
    }
}

/// The error with its sources, as `Display` and `Debug` show them.
fn chain(error: &ImportError) -> String {
    let sources = std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source());
    sources.map(|error| format!("{error} {error:?}\n")).collect()
}

fn copy_of(name: &str) -> TempDir {
    let root = TempDir::new().unwrap();
    copy(&fixture("import").join(name), root.path());
    root
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn one_entry(directory: &Path) -> (String, PathBuf) {
    let entry = fs::read_dir(directory).unwrap().next().unwrap().unwrap();
    (entry.file_name().into_string().unwrap(), entry.path())
}
