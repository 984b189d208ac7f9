//! A chain of certificates as a CA gives it, or as a Secret holds it.
#![no_main]

use gatecert_acme::CertificateChain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(chain) = CertificateChain::from_pem(input) {
        assert!(!chain.certificates_der().is_empty() && !chain.leaf_der().is_empty());
        let again = CertificateChain::from_pem(chain.pem().as_bytes()).expect("what was printed is read");
        assert_eq!(again.certificates_der(), chain.certificates_der());
    }
    if let Ok(text) = str::from_utf8(input)
        && let Ok(facts) = gatecert_issue::facts(text)
    {
        assert!((0.0..1.0).contains(&facts.jitter()));
        assert!(!facts.serial.is_empty());
    }
});
