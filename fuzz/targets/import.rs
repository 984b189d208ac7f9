//! A file of another client's store; the first line is its path.
#![no_main]

use gatecert_acme::import::from_text;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|input: &str| {
    let (path, text) = input.split_once('\n').unwrap_or(("account.json", input));
    match from_text(text, Path::new(path)) {
        Ok(accounts) => {
            for account in accounts {
                // Whole, or not at all: the key is one that signs.
                assert!(!account.key.thumbprint().is_empty());
                assert!(!format!("{:?}", account.key).contains("PRIVATE"));
                // Origin and contacts are shown, which a path or a file may give any text.
                let shown = account.contacts.iter().chain([&account.origin]);
                let rest =
                    shown.fold(format!("{account:?}"), |rest, part| rest.replace(&format!("{part:?}"), ""));
                assert!(!rest.contains("PRIVATE"), "{rest}");
            }
        }
        Err(error) => {
            // The path is shown, the content is not.
            let shown = error.to_string().replace(path, "");
            assert!(!shown.contains("PRIVATE KEY"), "{shown}");
        }
    }
});
