//! The nonce pool: one is put and taken for each request.

use criterion::Criterion;
use gatecert_acme::measured::Nonces;
use jiff::Timestamp;

const NONCE: &str = "oFvnlFP1wIhRlYS2jTaXbAoFvnlFP1wIhRlYS2jTaXbA";

pub(crate) fn bench(criterion: &mut Criterion) {
    let now = Timestamp::UNIX_EPOCH;
    let mut group = criterion.benchmark_group("nonce");
    // Filled to its bound: what is put pushes the oldest out.
    for (name, kept) in [("put and take, empty", 0), ("put and take, full", 64)] {
        let nonces = Nonces::default();
        (0..kept).for_each(|number| nonces.put(format!("{NONCE}{number}"), now));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                nonces.put(NONCE.to_owned(), now);
                nonces.take(now).unwrap()
            });
        });
    }
    group.finish();
}
