//! The responder without a socket.

use criterion::Criterion;
use gatecert_http01::{CHALLENGE_PATH, Responder, TokenStore};
use http::{Request, StatusCode};
use std::hint::black_box;

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

pub(crate) fn bench(criterion: &mut Criterion) {
    let store = TokenStore::new();
    // As many as a large cluster has under way.
    for number in 0..10_000 {
        let token = format!("{TOKEN}{number}");
        let answer = format!("{token}.{THUMBPRINT}");
        store.insert(&format!("n{number}.example.com"), &token, &answer).unwrap();
    }
    store.set_thumbprint("stateless.example.com", THUMBPRINT).unwrap();
    let responder = Responder::new(store);
    let mut group = criterion.benchmark_group("respond");
    for (name, host, path, status) in [
        ("exact", "n7.example.com", format!("{CHALLENGE_PATH}{TOKEN}7"), StatusCode::OK),
        ("stateless", "stateless.example.com", format!("{CHALLENGE_PATH}{TOKEN}"), StatusCode::OK),
        ("unknown token", "n7.example.com", format!("{CHALLENGE_PATH}{TOKEN}"), StatusCode::NOT_FOUND),
        ("no challenge", "n7.example.com", "/index.html".to_owned(), StatusCode::NOT_FOUND),
    ] {
        let request = || Request::get(path.as_str()).header("host", host).body(()).unwrap();
        group.bench_function(name, |bencher| {
            let respond = |request| {
                let response = responder.respond(black_box(request));
                assert_eq!(response.status(), status);
                response
            };
            bencher.iter_batched(request, respond, criterion::BatchSize::SmallInput);
        });
    }
    group.finish();
}
