//! A private key of a certificate, as a Secret or a file holds it.
#![no_main]

use gatecert_issue::CertificateKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    if let Ok(key) = CertificateKey::from_pem(input) {
        let again = CertificateKey::from_pem(&key.to_pem()).expect("what was printed is read");
        assert_eq!(again.key_type(), key.key_type());
        assert_eq!(again.public_key_info_der(), key.public_key_info_der());
    }
});
