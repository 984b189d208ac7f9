//! What a CA says about renewing a certificate (RFC 9773), asked a few times.
#![no_main]

use gatecert_acme::CertificateId;
use gatecert_fuzz::{LONGEST_WAIT, account_of, run};
use gatecert_issue::StoredWindow;
use jiff::SignedDuration;
use libfuzzer_sys::fuzz_target;

/// The example of RFC 9773 §4.1.
const ID: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

const QUESTIONS: usize = 4;

fuzz_target!(|input: &[u8]| {
    run(async {
        let account = account_of(input).await;
        let client = account.client();
        let id: CertificateId = ID.parse().expect("an identifier");
        let longest = SignedDuration::try_from(LONGEST_WAIT).expect("a day");
        let mut known = None;
        for _ in 0..QUESTIONS {
            let now = client.clock().now();
            let before = StoredWindow::of(known, &id, now);
            let after = match client.renewal_info(&id).await {
                Ok(info) => {
                    assert!(info.window.start < info.window.end);
                    let after = before.answered(info.window, info.retry_after, now, 0.5);
                    let chosen = after.renew_at.expect("a time is chosen");
                    assert!((info.window.start..=info.window.end).contains(&chosen));
                    after
                }
                Err(error) => {
                    let _ = (error.to_string(), format!("{error:?}"));
                    before.failed(error.retry(), now)
                }
            };
            assert!(after.ask_at > now && after.ask_at.duration_since(now) <= longest, "{after:?}");
            known = Some(after);
        }
    });
});
