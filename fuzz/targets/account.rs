//! An account from its creation to its end, each answer of the CA made up.
#![no_main]

use gatecert_acme::{AccountError, AccountKey, KeyAlgorithm, NewAccount, Retry};
use gatecert_fuzz::{LONGEST_WAIT, account_of, client_of, run};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<AccountKey> =
    LazyLock::new(|| AccountKey::generate(KeyAlgorithm::Es256).expect("a key"));

fuzz_target!(|input: &[u8]| {
    run(async {
        if let Some(client) = client_of(input).await {
            check(client.create_account(&NewAccount::default(), KEY.clone()).await.map(|_| ()));
            check(client.find_account(KEY.clone()).await.map(|_| ()));
        }
        let account = account_of(input).await;
        for details in [account.details().await, account.deactivate().await] {
            check(details.map(|details| drop(format!("{details:?}"))));
        }
        check(account.roll_over(KEY.clone()).await.map(|_| ()));
    });
});

fn check(result: Result<(), AccountError>) {
    let Err(error) = result else { return };
    if let Retry::After(wait) = error.retry() {
        assert!(wait <= LONGEST_WAIT, "told to wait for {wait:?}");
    }
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
