//! An order from its beginning to its certificate, each answer of the CA made up: orders, authorizations, problems, chains,
//! and the headers `Location`, `Link` and `Retry-After`.
#![no_main]

use gatecert_acme::{Identifier, NewOrder, OrderError, Retry};
use gatecert_fuzz::{LONGEST_WAIT, account_of, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    run(async {
        let account = account_of(input).await;
        let name = Identifier::dns("www.example.com").expect("a name");
        match account.new_order(&NewOrder::new([name.clone()])).await {
            Err(error) => check(&error),
            Ok(mut order) => {
                assert!(order.identifiers().contains(&name), "an order for other names was taken");
                let steps = async {
                    order.authorizations().await?;
                    order.wait_ready().await?;
                    order.finalize(b"a request").await?;
                    order.wait_valid().await?;
                    order.certificate().await.map(|_| ())
                };
                if let Err(error) = steps.await {
                    check(&error);
                }
            }
        }
    });
});

fn check(error: &OrderError) {
    if let Retry::After(wait) = error.retry() {
        assert!(wait <= LONGEST_WAIT, "told to wait for {wait:?}");
    }
    // What is shown of it.
    let _ = (error.to_string(), format!("{error:?}"));
}
