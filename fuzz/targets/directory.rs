//! The directory of a CA, with any status and headers.
#![no_main]

use gatecert_fuzz::{client_of, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    run(async {
        if let Some(client) = client_of(input).await {
            // What is shown of it.
            let _ = format!("{:?}", client.directory());
        }
    });
});
