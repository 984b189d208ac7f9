//! Verifying a chain before it is published, and reading what is published.

use criterion::Criterion;
use gatecert_acme::Identifier;
use gatecert_issue::{CertificateKey, KeyType, facts, verify};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::collections::BTreeSet;
use std::hint::black_box;

pub(crate) fn bench(criterion: &mut Criterion) {
    let now: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
    let mut group = criterion.benchmark_group("chain");
    for names in [1, 100] {
        let (chain, key, identifiers) = chain(names, now);
        group.bench_function(format!("verify, {names} names"), |bencher| {
            bencher.iter(|| verify(black_box(&chain), &key, &identifiers, now).unwrap());
        });
        group.bench_function(format!("read, {names} names"), |bencher| {
            bencher.iter(|| facts(black_box(&chain)).unwrap());
        });
    }
    group.finish();
}

/// A leaf and an intermediate, as Let's Encrypt gives them.
pub(crate) fn chain(names: usize, now: Timestamp) -> (String, CertificateKey, BTreeSet<Identifier>) {
    let dates = |params: &mut CertificateParams| {
        let day = |days: i64| std::time::SystemTime::from(now + SignedDuration::from_hours(24 * days)).into();
        (params.not_before, params.not_after) = (day(-1), day(89));
    };
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    dates(&mut ca);
    let intermediate = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let dns_names: Vec<_> = (0..names).map(|name| format!("n{name}.example.com")).collect();
    let key = CertificateKey::generate(KeyType::EcdsaP256).unwrap();
    let mut leaf = CertificateParams::new(dns_names.clone()).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    dates(&mut leaf);
    let pair = KeyPair::from_pem(&key.to_pem()).unwrap();
    let leaf = leaf.signed_by(&pair, &intermediate).unwrap();
    let identifiers = dns_names.iter().map(|name| Identifier::dns(name).unwrap()).collect();
    (format!("{}{}", leaf.pem(), intermediate.pem()), key, identifiers)
}
