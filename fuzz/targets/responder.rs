//! A request to the responder: the first line is its method, the second its path, the third its Host.
#![no_main]

use futures::FutureExt as _;
use gatecert_http01::{Responder, TokenStore};
use http::Request;
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;

/// As long as the SHA-256 of a key (RFC 7638).
const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The longest answer that Let's Encrypt reads is shorter than this.
const LONGEST: usize = 128;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let (method, path, host) = (lines.next(), lines.next().unwrap_or("/"), lines.next().unwrap_or_default());
    let store = TokenStore::new();
    store.insert("www.example.com", "token-1", &format!("token-1.{THUMBPRINT}")).expect("a token");
    store.set_thumbprint("stateless.example.com", THUMBPRINT).expect("a thumbprint");
    let request = Request::builder().method(method.unwrap_or("GET")).uri(path).header("host", host).body(());
    let Ok(request) = request else { return };
    let is_head = *request.method() == http::Method::HEAD;
    let token = request.uri().path().strip_prefix("/.well-known/acme-challenge/").map(str::to_owned);
    let response = Responder::new(store).respond(request);
    let status = response.status();
    let body =
        response.into_body().collect().now_or_never().expect("it is there").expect("it is whole").to_bytes();
    assert!(body.len() < LONGEST, "{} bytes", body.len());
    if status.is_success() {
        let token = token.expect("only challenges are answered");
        assert!((1..=128).contains(&token.len()));
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token:?}");
        assert!(is_head || format!("{token}.{THUMBPRINT}").as_bytes() == body, "{body:?}");
    } else {
        assert_eq!(status, 404);
    }
});
