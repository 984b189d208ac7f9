//! Accounts.

use crate::setting::{Setting, finish, mode};
use gatecert_testkit::Pebble;
use serde_json::json;

impl Setting {
    fn account(&self, arguments: &[&str]) -> crate::setting::Run {
        finish(&mut self.at_ca(&[&["account"], arguments, &["-o", "json"]].concat()))
    }
}

#[tokio::test]
async fn made_once_shown_changed_rolled_over_and_ended() {
    let setting = Setting::new(Pebble::builder().strict(true)).await;
    let none = setting.account(&["show"]);
    assert_eq!(none.code, 1, "{none:?}");
    setting.issue(&["-d", "a.test", "--email", "admin@example.test"]).expect(0);
    let (path, stored) = setting.stored_account();
    assert_eq!(mode(&path), 0o600);

    let shown = setting.account(&["show"]).expect(0).json();
    assert_eq!(shown["account"], stored["account_url"]);
    assert_eq!((&shown["status"], &shown["contacts"]), (&json!("valid"), &json!(["admin@example.test"])));

    setting.account(&["update", "--email", "ops@example.test,b@example.test"]).expect(0);
    let contacts = setting.account(&["show"]).expect(0).json()["contacts"].clone();
    assert_eq!(contacts, json!(["ops@example.test", "b@example.test"]));
    let told = setting.issue(&["-d", "b.test", "--email", "c@example.test"]).expect(0);
    assert!(
        told.err.contains("new e-mail addresses") && !told.err.contains("created account"),
        "{}",
        told.err
    );

    let rolled = setting.account(&["rollover"]).expect(0).json();
    assert_eq!(rolled["account"], shown["account"]);
    assert_ne!(rolled["thumbprint"], shown["thumbprint"]);
    setting.issue(&["-d", "c.test"]).expect(0);

    setting.account(&["deactivate"]).expect(0);
    assert_eq!(setting.account(&["show"]).code, 2);
    let new = setting.issue(&["-d", "d.test"]).expect(0);
    assert!(new.err.contains("created account"), "{}", new.err);
}

/// Whoever deactivates it elsewhere leaves a copy here, by which nothing can be done any more.
#[tokio::test]
async fn one_that_was_deactivated_elsewhere_says_what_to_do() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let (path, stored) = setting.stored_account();
    setting.account(&["deactivate"]).expect(0);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, stored.to_string()).unwrap();
    let hint = "hint: if the account was deactivated, move its folder below `accounts` away";
    for run in
        [setting.issue(&["-d", "b.test"]), setting.account(&["show"]), setting.account(&["deactivate"])]
    {
        assert!(run.err.contains(hint), "{run:?}");
        run.expect(1);
    }
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    setting.issue(&["-d", "b.test"]).expect(0);
}

#[tokio::test]
async fn a_rollover_that_was_cut_off_is_settled_with_the_ca() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let (path, mut before) = setting.stored_account();
    setting.account(&["rollover"]).expect(0);
    let (_, after) = setting.stored_account();
    // As if the program had been killed behind the CA's answer.
    before["next_key"] = after["private_key"].clone();
    std::fs::write(&path, before.to_string()).unwrap();
    setting.issue(&["-d", "b.test"]).expect(0);
    let (_, settled) = setting.stored_account();
    assert_eq!(settled["private_key"], after["private_key"]);
    assert!(settled.get("next_key").is_none(), "no key is left over");
}

#[tokio::test]
async fn an_account_that_was_begun_is_found_again_by_its_key() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let (path, stored) = setting.stored_account();
    // As if the program had been killed behind the CA's answer to the new account.
    let folder = path.parent().unwrap();
    let begun = folder.with_file_name(format!("{}.begun", folder.file_name().unwrap().to_str().unwrap()));
    std::fs::rename(folder, &begun).unwrap();
    std::fs::write(begun.join("account.json"), stored["private_key"].as_str().unwrap()).unwrap();
    setting.issue(&["-d", "b.test"]).expect(0);
    assert_eq!(setting.stored_account().1["account_url"], stored["account_url"]);
    assert!(!begun.exists());
}

#[tokio::test]
async fn a_renewal_leaves_the_contacts_alone() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test", "--email", "old@example.test"]).expect(0);
    setting.account(&["update", "--email", "new@example.test"]).expect(0);
    setting.change_record("a.test", |record| record["key_type"] = json!("ecdsa-p384"));
    setting.run(&["renew"]).expect(0);
    assert_eq!(setting.account(&["show"]).expect(0).json()["contacts"], json!(["new@example.test"]));
}

#[tokio::test]
async fn imported_by_its_key() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test", "--email", "admin@example.test"]).expect(0);
    let (_, stored) = setting.stored_account();
    let pem = setting.path("account.pem");
    std::fs::write(&pem, stored["private_key"].as_str().unwrap()).unwrap();
    let pem = pem.display().to_string();
    let there = setting.account(&["import", &pem]);
    assert_eq!(there.code, 2, "{there:?}");
    std::fs::remove_dir_all(setting.out()).unwrap();
    let imported = setting.account(&["import", &pem]).expect(0).json();
    assert_eq!(imported["account"], stored["account_url"]);
    let issued = setting.issue(&["-d", "b.test"]).expect(0);
    assert!(!issued.err.contains("created account"), "{}", issued.err);

    std::fs::write(setting.path("strange.pem"), "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n")
        .unwrap();
    let strange = setting.path("strange.pem").display().to_string();
    let refused = setting.account(&["import", &strange, "--force"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[tokio::test]
async fn external_accounts() {
    let hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let setting = Setting::new(Pebble::builder().eab(&[("kid-1", hmac)])).await;
    let refused = setting.issue(&["-d", "a.test"]).expect(1);
    assert!(refused.err.contains("--eab-kid"), "{}", refused.err);
    let file = setting.path("hmac");
    std::fs::write(&file, format!("{hmac}\n")).unwrap();
    let file = file.display().to_string();
    setting.issue(&["-d", "a.test", "--eab-kid", "kid-1", "--eab-hmac-key-file", &file]).expect(0);
}

#[tokio::test]
async fn a_damaged_account_is_left_as_it_is() {
    let setting = Setting::new(Pebble::builder()).await;
    setting.issue(&["-d", "a.test"]).expect(0);
    let (path, _) = setting.stored_account();
    std::fs::write(&path, "{").unwrap();
    let refused = setting.issue(&["-d", "b.test"]).expect(1);
    assert!(refused.err.contains("account.json.bak"), "{}", refused.err);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    assert!(!setting.out().join("b.test/tls.crt").exists());
}
