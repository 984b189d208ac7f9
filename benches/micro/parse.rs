//! Reading what a CA answers.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use gatecert_acme::Problem;
use gatecert_acme::measured::Answer;
use serde_json::{Value, json};
use std::hint::black_box;

const CA: &str = "https://acme-v02.api.letsencrypt.org";

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let answer =
        |value: &Value| Answer::new(format!("{CA}/x").parse().unwrap(), Bytes::from(value.to_string()));
    let directory = answer(&directory());
    group.bench_function("directory", |bencher| bencher.iter(|| black_box(&directory).directory().unwrap()));
    for names in [1, 100] {
        let text = order(names);
        let order = answer(&text);
        group.throughput(Throughput::Bytes(text.to_string().len().try_into().unwrap()));
        group.bench_function(format!("order of {names} names"), |bencher| {
            bencher.iter(|| black_box(&order).order().unwrap());
        });
    }
    let authorization = answer(&authorization());
    let problem = problem().to_string();
    group.throughput(Throughput::Elements(1));
    group.bench_function("authorization", |bencher| {
        bencher.iter(|| black_box(&authorization).authorization().unwrap());
    });
    group.bench_function("problem", |bencher| {
        let parse = |text: String| serde_json::from_str::<Problem>(&text).unwrap();
        bencher.iter_batched(|| problem.clone(), parse, BatchSize::SmallInput);
    });
    group.finish();
}

fn directory() -> Value {
    json!({
        "newNonce": format!("{CA}/acme/new-nonce"),
        "newAccount": format!("{CA}/acme/new-acct"),
        "newOrder": format!("{CA}/acme/new-order"),
        "revokeCert": format!("{CA}/acme/revoke-cert"),
        "keyChange": format!("{CA}/acme/key-change"),
        "renewalInfo": format!("{CA}/acme/renewal-info"),
        "hPQ2YlNn0zE": "https://community.letsencrypt.org/t/adding-random-entries-to-the-directory/33417",
        "meta": {
            "caaIdentities": ["letsencrypt.org"],
            "profiles": {
                "classic": "https://letsencrypt.org/docs/profiles#classic",
                "shortlived": "https://letsencrypt.org/docs/profiles#shortlived",
                "tlsserver": "https://letsencrypt.org/docs/profiles#tlsserver",
            },
            "termsOfService": "https://letsencrypt.org/documents/LE-SA-v1.5-February-24-2025.pdf",
            "website": "https://letsencrypt.org",
        },
    })
}

fn order(names: usize) -> Value {
    let identifiers: Vec<_> =
        (0..names).map(|name| json!({"type": "dns", "value": format!("n{name}.example.com")})).collect();
    let authorizations: Vec<_> = (0..names).map(|name| format!("{CA}/acme/authz/123456789/{name}")).collect();
    json!({
        "status": "pending",
        "expires": "2026-12-03T15:00:00Z",
        "identifiers": identifiers,
        "authorizations": authorizations,
        "finalize": format!("{CA}/acme/finalize/123456789/987654321"),
    })
}

fn authorization() -> Value {
    let challenge = |kind: &str| {
        json!({
            "type": kind,
            "url": format!("{CA}/acme/chall/123456789/987654321/{kind}"),
            "status": "pending",
            "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
        })
    };
    let challenges = ["http-01", "dns-01", "tls-alpn-01"].map(challenge);
    json!({
        "identifier": {"type": "dns", "value": "www.example.com"},
        "status": "pending",
        "expires": "2026-12-03T15:00:00Z",
        "challenges": challenges,
    })
}

fn problem() -> Value {
    let subproblems: Vec<_> = (0..10)
        .map(|name| {
            json!({
                "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                "detail": "This CA will not issue for \"example.net\"",
                "identifier": {"type": "dns", "value": format!("n{name}.example.net")},
            })
        })
        .collect();
    json!({
        "type": "urn:ietf:params:acme:error:malformed",
        "status": 400,
        "detail": "Some of the identifiers requested were rejected",
        "subproblems": subproblems,
    })
}
