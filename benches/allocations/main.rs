//! What is allocated, where that is counted out: a guard against a regression that no test of behaviour sees. A test binary
//! of its own, with one test, since it counts what the process allocates.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use gatecert_acme::{AccountKey, KeyAlgorithm, measured};
use gatecert_http01::{CHALLENGE_PATH, Responder, TokenStore};
use http::{Request, StatusCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

/// How often something allocates or grows what it has allocated.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let region = Region::new(ALLOCATED);
    let value = work();
    let change = region.change();
    (change.allocations + change.reallocations, value)
}

#[test]
fn what_is_done_for_each_request_allocates_little() {
    respond();
    sign();
}

fn respond() {
    let store = TokenStore::new();
    store.insert("www.example.com", TOKEN, &format!("{TOKEN}.{THUMBPRINT}")).unwrap();
    let responder = Responder::new(store);
    for (path, status) in
        [(format!("{CHALLENGE_PATH}{TOKEN}"), StatusCode::OK), ("/".to_owned(), StatusCode::NOT_FOUND)]
    {
        let request = Request::get(&path).header("host", "www.example.com").body(()).unwrap();
        let (count, response) = allocations(|| responder.respond(request));
        assert_eq!(response.status(), status);
        println!("{path}: {count} allocations");
        assert!(count <= 2, "{path}: {count} allocations");
    }
}

fn sign() {
    let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    let [kid, url] = ["acct/1", "new-order"].map(|path| format!("https://ca.test/acme/{path}"));
    let payload = br#"{"identifiers":[{"type":"dns","value":"www.example.com"}]}"#;
    let (count, signed) = allocations(|| measured::jws(&key, &kid, TOKEN, &url, payload));
    assert!(signed.is_ok());
    println!("a signed request: {count} allocations");
    assert!(count <= 40, "a signed request: {count} allocations");
}
