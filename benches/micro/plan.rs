//! Planning: all certificates of a large cluster, of which one, or each tenth, is due.

use crate::chain::chain;
use criterion::{Criterion, Throughput};
use gatecert_acme::Identifier;
use gatecert_issue::{CertificateFacts, KeyType, Observed, Origin, Plan, Stored, Wanted, facts, plan};
use jiff::{SignedDuration, Timestamp};

const CERTIFICATES: usize = 100_000;

/// The life of a certificate.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A certificate and what is wanted.
struct Held {
    facts: CertificateFacts,
    wanted: Wanted,
    origin: Origin,
}

pub(crate) fn bench(criterion: &mut Criterion) {
    let now: Timestamp = "2026-11-26T15:00:00Z".parse().unwrap();
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10).throughput(Throughput::Elements(CERTIFICATES.try_into().unwrap()));
    let template = facts(&chain(1, now).0).unwrap();
    for (name, due_each) in [("one is due", usize::MAX), ("each tenth is due", 10)] {
        let all: Vec<_> =
            (0..CERTIFICATES).map(|number| held(number, number % due_each == 3, &template, now)).collect();
        let expected = if due_each == 10 { CERTIFICATES / 10 } else { 1 };
        group.bench_function(format!("{CERTIFICATES} certificates, {name}"), |bencher| {
            bencher.iter(|| {
                let due = all.iter().filter(|held| matches!(planned(held, now), Plan::Issue { .. })).count();
                assert_eq!(due, expected);
            });
        });
    }
    group.finish();
}

fn planned(held: &Held, now: Timestamp) -> Plan {
    plan(&Observed {
        certificate: Stored::Certificate(&held.facts),
        origin: Some(&held.origin),
        wanted: &held.wanted,
        ari: None,
        failures: None,
        pending_order: None,
        forced: false,
        now,
        jitter: held.facts.jitter(),
        renew_before: None,
    })
}

/// A certificate of one day, or one that ends in a day.
fn held(number: usize, is_due: bool, template: &CertificateFacts, now: Timestamp) -> Held {
    let age = SignedDuration::from_hours(if is_due { 89 * 24 } else { 24 });
    let directory: url::Url = gatecert_acme::LETS_ENCRYPT.parse().unwrap();
    let identifiers = [Identifier::dns(&format!("c{number}.example.com")).unwrap()].into();
    let wanted =
        Wanted { identifiers, key_type: KeyType::EcdsaP256, directory: directory.clone(), profile: None };
    let mut facts = template.clone();
    facts.serial = format!("{number:032x}");
    (facts.not_before, facts.not_after) = (now - age, now - age + LIFE);
    facts.identifiers = wanted.identifiers.clone();
    facts.fingerprint = format!("{number:064x}");
    Held { facts, wanted, origin: Origin { directory, profile: None, issued_at: now - age } }
}
