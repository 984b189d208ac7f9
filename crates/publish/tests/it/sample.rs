//! Certificates that can be told apart, and a look at what lies in a directory.

use gatecert_publish::{Certificate, CertificateName, Failures, Http01, Record, RenewalOptions};
use std::fs;
use std::path::Path;

pub(crate) const NAME: &str = "www.example.com";

pub(crate) fn name() -> CertificateName {
    NAME.parse().unwrap()
}

pub(crate) fn record(number: u32) -> Record {
    Record {
        name: name(),
        identifiers: vec![NAME.to_owned(), "192.0.2.1".to_owned()],
        server: "https://ca.example/directory".parse().unwrap(),
        profile: None,
        key_type: "ecdsa-p256".to_owned(),
        account_url: Some("https://ca.example/account/1".parse().unwrap()),
        order_url: Some(format!("https://ca.example/order/{number}").parse().unwrap()),
        certificate_id: Some("AAAA.AQ".to_owned()),
        not_before: "2026-11-01T00:00:00Z".parse().unwrap(),
        not_after: "2027-01-30T00:00:00Z".parse().unwrap(),
        issued_at: "2026-11-01T01:00:00Z".parse().unwrap(),
        issuer: "CN=Test".to_owned(),
        serial: number.to_string(),
        ari: None,
        unanswered: None,
        revoked_at: None,
        renewal: RenewalOptions::new(Http01::Webroot("/var/www".into())),
        failures: Failures::default(),
    }
}

/// The certificate of this number: its leaf, its key and its record all tell the number.
pub(crate) fn certificate(number: u32) -> Certificate {
    Certificate {
        record: record(number),
        chain_pem: format!("{}{}", block("CERTIFICATE", number), block("CERTIFICATE", 0)),
        key_pem: block("PRIVATE KEY", number).into(),
    }
}

/// Long enough that a torn write shows.
fn block(label: &str, number: u32) -> String {
    let body = format!("{number:064}\n").repeat(20);
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

/// The number of the certificate whose files these are, if they are of one certificate.
pub(crate) fn number_in(directory: &Path) -> Option<u32> {
    let read = |file| fs::read_to_string(directory.join(file)).ok();
    let record: serde_json::Value = serde_json::from_str(&read("cert.json")?).ok()?;
    let number = record["serial"].as_str()?.parse().ok()?;
    let expected = certificate(number);
    let same = read("tls.crt")? == expected.chain_pem
        && read("tls.key")? == *expected.key_pem
        && read("chain.pem")? == block("CERTIFICATE", 0);
    same.then_some(number)
}

/// Every path below a directory, relative and sorted, with the targets of symlinks.
pub(crate) fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    walk(directory, "", &mut found);
    found.sort();
    found
}

fn walk(directory: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        match fs::read_link(&path) {
            Ok(target) => found.push(format!("{name} -> {}", target.display())),
            Err(_) if path.is_dir() => walk(&path, &format!("{name}/"), found),
            Err(_) => found.push(name),
        }
    }
}

/// An error with its causes, as a program would print it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
