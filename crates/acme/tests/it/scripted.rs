//! What CAs have been seen to do, and Pebble does not.

use crate::scripted_ca::{ScriptedCa, html, problem, protected};
use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{
    AccountError, AccountKey, AuthorizationError, CertificateId, ChallengeKind, Client, DirectoryError,
    Identifier, KeyAlgorithm, NewAccount, NewOrder, OrderError, OrderStatus, ProblemKind, RenewalInfoError,
    RequestError, Retry, Transport, TransportError,
};
use http::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use wiremock::ResponseTemplate;

fn www() -> NewOrder {
    NewOrder::new([Identifier::dns("www.example.test").unwrap()])
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A chain of one throw-away certificate.
fn chain_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(["www.example.test".into()]).unwrap().self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn a_challenge_of_an_unknown_kind_or_form_does_not_hide_the_others() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/authz/1", [ResponseTemplate::new(200).set_body_json(json!({
        "status": "pending", "identifier": {"type": "dns", "value": "WWW.example.test"}, "expires": "soon",
        "challenges": [
            {"type": "dns-persist-01", "url": ca.url("/c/1"), "status": "pending", "issuer-domain-names": ["x"]},
            {"type": "http-01", "url": ca.url("/c/0"), "status": "pending", "token": "../../etc/passwd"},
            {"type": "quantum-01"}, 7, null,
            {"type": "tls-alpn-01", "url": ca.url("/c/3"), "status": "dreaming", "token": "abc"},
            {"type": "http-01", "url": "/c/2", "status": "pending", "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"},
        ],
    }))]).await;
    let authorization = account.authorization(&ca.url("/authz/1").parse().unwrap()).await.unwrap();
    assert_eq!(authorization.identifier.value(), "www.example.test");
    assert_eq!(authorization.challenges.len(), 4);
    assert_eq!(authorization.challenges[0].kind, ChallengeKind::Other("dns-persist-01".into()));
    assert_eq!(authorization.challenges[0].token(), None);
    let challenge = authorization.http01().unwrap();
    assert_eq!(challenge.url().as_str(), ca.url("/c/2"));
}

#[tokio::test]
async fn a_repeated_request_is_signed_again_with_a_fresh_nonce() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let unavailable = html(503).append_header("retry-after", "2");
    ca.on("POST", "/order/1", [unavailable, problem(400, "badNonce", "no"), ca.seen("ready")]).await;
    account.order(ca.url("/order/1").parse().unwrap()).await.unwrap();

    let requests = ca.requests("/order/1").await;
    assert_eq!(requests.len(), 3);
    let nonces: std::collections::BTreeSet<_> =
        requests.iter().map(|request| protected(request)["nonce"].as_str().unwrap().to_owned()).collect();
    assert_eq!(nonces.len(), 3, "each attempt has a nonce of its own: {nonces:?}");
    assert_eq!(ca.clock.sleeps(), [seconds(2)], "Retry-After is obeyed, badNonce waits for nothing");
}

#[tokio::test]
async fn a_storm_of_bad_nonces_ends() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/order/1", [problem(400, "badNonce", "no")]).await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert!(matches!(&error, OrderError::Fetch(source) if source.is(&ProblemKind::BadNonce)), "{error:?}");
    assert_eq!(ca.requests("/order/1").await.len(), 129);
    assert_eq!(ca.clock.sleeps().len(), 112, "after sixteen at once they come slowly");
}

/// A CA whose answers bring no nonces, so that each request needs one of its own. It notes how many are asked for at once.
#[derive(Debug, Default)]
struct NoncesApart {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

#[async_trait]
impl Transport for NoncesApart {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        if *request.method() == Method::HEAD {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            let number = self.all.fetch_add(1, Ordering::SeqCst);
            return Ok(http::Response::builder()
                .header("replay-nonce", format!("n{number}"))
                .body(Bytes::new())
                .unwrap());
        }
        let urls = ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"];
        let directory: serde_json::Map<_, _> = urls
            .map(|name| (name.to_owned(), json!(format!("https://ca.test/{name}"))))
            .into_iter()
            .collect();
        let body =
            if *request.method() == Method::GET { json!(directory) } else { json!({"status": "valid"}) };
        let answer = http::Response::builder().header("location", "https://ca.test/account/1");
        Ok(answer.body(body.to_string().into()).unwrap())
    }
}

#[tokio::test]
async fn a_crowd_asks_for_few_nonces_at_once() {
    let ca = Arc::new(NoncesApart::default());
    let client = Client::builder("https://ca.test/directory".parse().unwrap());
    let client = client.transport(ca.clone()).build().await.unwrap();
    let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let account = client.create_account(&new_account, key).await.unwrap();
    let asked = (0..100).map(|_| account.details());
    for details in futures::future::join_all(asked).await {
        details.unwrap();
    }
    assert_eq!(ca.all.load(Ordering::SeqCst), 101);
    assert_eq!(ca.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_bad_nonce_is_known_by_its_type_alone() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let odd = ResponseTemplate::new(400).set_body_raw(
        r#"{"type":"urn:ietf:params:acme:error:badNonce","status":"four hundred","extra":[1]}"#,
        "application/json; charset=utf-8",
    );
    ca.on("POST", "/order/1", [odd, ca.seen("ready")]).await;
    account.order(ca.url("/order/1").parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_error_page_is_its_status() {
    for (status, retry) in
        [(500, Retry::After(seconds(60))), (502, Retry::After(seconds(60))), (404, Retry::No)]
    {
        let ca = ScriptedCa::start().await;
        let account = ca.account().await;
        ca.on("POST", "/order/1", [html(status)]).await;
        let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
        let source = error.request().unwrap();
        assert_eq!(source.status().unwrap().as_u16(), status);
        assert!(source.to_string().contains("(text/html)"), "{source}");
        assert!(!format!("{error:?}{source}").contains("<h1>"), "no byte of the body is shown");
        assert_eq!(error.retry(), retry);
    }
}

#[tokio::test]
async fn a_problem_without_type_keeps_its_detail() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let body = r#"{"detail":"a certificate\u0000 is missing","status":403}"#;
    ca.on("POST", "/orders", [ResponseTemplate::new(403).set_body_raw(body, "application/problem+json")])
        .await;
    let error = account.new_order(&www()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::Other("about:blank".into()));
    assert!(error.request().unwrap().to_string().ends_with("a certificate  is missing"), "{error:?}");
}

#[tokio::test]
async fn a_problem_as_html_is_not_believed() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let body = r#"{"type":"urn:ietf:params:acme:error:badNonce"}"#;
    ca.on("POST", "/order/1", [ResponseTemplate::new(400).set_body_raw(body, "text/html")]).await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert!(error.problem().is_none());
    assert_eq!(ca.requests("/order/1").await.len(), 1);
}

#[tokio::test]
async fn subproblems_name_their_identifiers() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let body = json!({"type": "urn:ietf:params:acme:error:compound", "detail": "two", "subproblems": [
        {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids", "identifier": {"type": "dns", "value": "www.example.test"}},
        {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "policy"}]});
    ca.on(
        "POST",
        "/orders",
        [ResponseTemplate::new(403).set_body_raw(body.to_string(), "application/problem+json")],
    )
    .await;
    let error = account.new_order(&www()).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(problem.subproblems[0].kind, ProblemKind::Caa);
    assert_eq!(problem.subproblems[0].identifier.as_ref().unwrap().value(), "www.example.test");
    assert_eq!(error.retry(), Retry::No);
}

#[tokio::test]
async fn a_rate_limit_is_not_asked_twice() {
    let now = "Mon, 23 Nov 2026 14:00:00 GMT";
    for (header, retry) in [
        (None, Retry::After(seconds(3600))),
        (Some("7200"), Retry::After(seconds(7200))),
        (Some(now), Retry::After(seconds(7200))),
        (Some("999999999999999"), Retry::After(seconds(86400))),
    ] {
        let ca = ScriptedCa::start().await;
        let account = ca.account().await;
        let limited = problem(429, "rateLimited", "too many certificates already issued");
        let limited =
            header.into_iter().fold(limited, |limited, value| limited.append_header("retry-after", value));
        ca.on("POST", "/orders", [limited]).await;
        let error = account.new_order(&www()).await.unwrap_err();
        assert_eq!(error.retry(), retry, "{header:?}");
        assert_eq!(ca.requests("/orders").await.len(), 1, "{header:?}");
    }
}

#[tokio::test]
async fn a_paused_account_is_no_matter_of_time() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let detail = "Your account is temporarily prevented from requesting certificates for www.example.test. \
                  Please visit https://portal.test/sfe/v1/unpause?jwt=x.y.z";
    ca.on("POST", "/orders", [problem(429, "rateLimited", detail).append_header("retry-after", "60")]).await;
    let error = account.new_order(&www()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::No);
    assert_eq!(error.problem().unwrap().unpause_url(), Some("https://portal.test/sfe/v1/unpause?jwt=x.y.z"));
}

#[tokio::test]
async fn a_retry_after_in_the_past_is_now_but_not_at_once() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let unavailable = html(503).append_header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
    ca.on("POST", "/order/1", [unavailable.clone(), unavailable.clone(), unavailable.clone(), unavailable])
        .await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::ZERO));
    assert_eq!(ca.clock.sleeps(), [Duration::from_millis(500), seconds(1), seconds(2)]);
}

#[tokio::test]
async fn a_new_order_is_not_sent_again_when_its_fate_is_unclear() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/orders", [html(500)]).await;
    account.new_order(&www()).await.unwrap_err();
    assert_eq!(ca.requests("/orders").await.len(), 1);
    // The edge's 503 was not acted on.
    ca.on("POST", "/orders", [html(503), ca.created("pending")]).await;
    account.new_order(&www()).await.unwrap();
}

#[tokio::test]
async fn the_order_is_waited_for_however_its_authorizations_stand() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/orders", [ca.created("pending")]).await;
    let slow = ca.seen("pending").append_header("retry-after", "3");
    let date = ca.seen("pending").append_header("retry-after", "Mon, 23 Nov 2026 12:00:10 GMT");
    ca.on("POST", "/order/1", [ca.seen("pending"), slow, date, ca.seen("ready")]).await;
    let mut order = account.new_order(&www()).await.unwrap();
    order.wait_ready().await.unwrap();
    assert_eq!(order.status(), OrderStatus::Ready);
    let sleeps = ca.clock.sleeps();
    assert_eq!(sleeps[..3], [Duration::from_millis(10), Duration::from_millis(20), seconds(3)]);
    assert_eq!(sleeps[3], seconds(10) - seconds(3) - Duration::from_millis(30));
}

#[tokio::test]
async fn ready_may_be_seen_after_finalize_and_a_location_is_not_needed() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/orders", [ca.created("ready")]).await;
    ca.on("POST", "/finalize/1", [ca.seen("processing")]).await;
    let mut valid = ca.order("valid");
    valid.as_object_mut().unwrap().remove("finalize");
    valid["certificate"] = json!("/cert/1");
    ca.on(
        "POST",
        "/order/1",
        [ca.seen("ready"), ca.seen("processing"), ResponseTemplate::new(200).set_body_json(valid)],
    )
    .await;
    let pem = chain_pem();
    let cert = ResponseTemplate::new(200)
        .set_body_raw(pem.clone(), "application/pem-certificate-chain")
        .append_header("link", "</cert/1/1>;rel=\"alternate\"");
    ca.on("POST", "/cert/1", [cert]).await;

    let mut order = account.new_order(&www()).await.unwrap();
    order.finalize(b"csr").await.unwrap();
    order.wait_valid().await.unwrap();
    let issued = order.certificate().await.unwrap();
    assert_eq!(issued.chain.pem().replace('\r', ""), pem.replace('\r', ""));
    assert_eq!(issued.alternates, [ca.url("/cert/1/1").parse().unwrap()]);
    assert_eq!(ca.requests("/finalize/1").await.len(), 1);
}

#[tokio::test]
async fn an_order_that_never_ends_is_left() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/order/1", [ca.seen("processing")]).await;
    let mut order = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap();
    let error = order.wait_valid().await.unwrap_err();
    assert!(matches!(error, OrderError::TimedOut { status: OrderStatus::Processing, .. }), "{error:?}");
    assert!(ca.requests("/order/1").await.len() < 150);
}

#[tokio::test]
async fn an_unclear_finalize_is_looked_up() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/orders", [ca.created("ready")]).await;
    ca.on("POST", "/finalize/1", [html(500)]).await;
    ca.on("POST", "/order/1", [ca.seen("processing")]).await;
    let mut order = account.new_order(&www()).await.unwrap();
    order.finalize(b"csr").await.unwrap();
    assert_eq!(order.status(), OrderStatus::Processing);
    assert_eq!(ca.requests("/finalize/1").await.len(), 1);

    ca.on("POST", "/order/1", [ca.seen("ready")]).await;
    order.refresh().await.unwrap();
    let error = order.finalize(b"csr").await.unwrap_err();
    assert!(matches!(error, OrderError::Finalize(_)));
    assert_eq!(error.retry(), Retry::After(seconds(60)));
}

#[tokio::test]
async fn a_valid_order_without_urls_says_so() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let mut bare = ca.order("valid");
    bare.as_object_mut().unwrap().remove("finalize");
    ca.on("POST", "/order/1", [ResponseTemplate::new(200).set_body_json(bare)]).await;
    let mut order = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap();
    for error in [order.finalize(b"csr").await.unwrap_err(), order.certificate().await.unwrap_err()] {
        assert!(matches!(error, OrderError::NoUrl { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_invalid_order_carries_its_problem() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let mut invalid = ca.order("invalid");
    invalid["error"] = json!({"type": "urn:ietf:params:acme:error:invalidProfile", "detail": "gone"});
    ca.on("POST", "/order/1", [ca.seen("processing"), ResponseTemplate::new(200).set_body_json(invalid)])
        .await;
    let mut order = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap();
    let error = order.wait_valid().await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::InvalidProfile);
    assert!(error.to_string().ends_with("is invalid: invalidProfile: gone"), "{error}");
}

#[tokio::test]
async fn identifiers_are_compared_as_sets() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let names = ["b.example.test", "bücher.example.test", "A.example.test", "a.example.test"];
    let wanted = NewOrder::new(names.map(|name| Identifier::dns(name).unwrap()));
    let mut order = ca.order("pending");
    order["identifiers"] = json!([{"type": "dns", "value": "xn--BCHER-kva.example.test"},
        {"type": "dns", "value": "A.Example.Test"}, {"type": "dns", "value": "b.example.test"}]);
    let answer = ResponseTemplate::new(201).append_header("location", "/order/1").set_body_json(order);
    ca.on("POST", "/orders", [answer, ca.created("pending")]).await;
    let order = account.new_order(&wanted).await.unwrap();
    assert_eq!(order.url().as_str(), ca.url("/order/1"), "a relative Location is resolved");
    let error = account.new_order(&wanted).await.unwrap_err();
    assert!(matches!(error, OrderError::OtherIdentifiers { .. }), "{error:?}");
}

#[tokio::test]
async fn a_huge_answer_is_not_read() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let huge = format!("{{\"status\":\"{}\"}}", "x".repeat(2 * gatecert_acme::MAX_RESPONSE_BYTES));
    ca.on("POST", "/order/1", [ResponseTemplate::new(200).set_body_raw(huge, "application/json")]).await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::No);
    assert!(matches!(error.request().unwrap(), RequestError::Transport { source, .. }
        if source.kind() == gatecert_acme::TransportErrorKind::TooLarge));
}

#[tokio::test]
async fn thousands_of_authorizations_are_not_followed() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let mut order = ca.order("pending");
    order["authorizations"] = json!((0..3000).map(|n| ca.url(&format!("/authz/{n}"))).collect::<Vec<_>>());
    ca.on("POST", "/order/1", [ResponseTemplate::new(200).set_body_json(order)]).await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OrderError::TooManyAuthorizations { count: 3000, .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/order/1", [ResponseTemplate::new(307).append_header("location", ca.url("/elsewhere"))])
        .await;
    let error = account.order(ca.url("/order/1").parse().unwrap()).await.unwrap_err();
    assert_eq!(error.request().unwrap().status().unwrap().as_u16(), 307);
    assert!(ca.requests("/elsewhere").await.is_empty());
}

#[tokio::test]
async fn another_scheme_is_refused() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let error = account.authorization(&"https://127.0.0.1:1/authz/1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, AuthorizationError::Fetch(RequestError::Scheme { .. })), "{error:?}");
}

#[tokio::test]
async fn what_is_no_directory() {
    let ca = ScriptedCa::start().await;
    let build = |path: &str| Client::builder(ca.url(path).parse().unwrap()).clock(ca.clock.clone()).build();
    ca.on("GET", "/html", [html(200)]).await;
    let error = build("/html").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("text/html"), "{source}");
    ca.on("GET", "/empty", [ResponseTemplate::new(200).set_body_json(json!({"newNonce": "/n"}))]).await;
    let error = build("/empty").await.unwrap_err();
    assert!(matches!(error, DirectoryError::NotADirectory { field: "newAccount", .. }), "{error:?}");
    let odd = json!({"newNonce": "/n", "newAccount": "a", "newOrder": "/o", "x9q": "https://community.test",
        "meta": {"profiles": {"classic": "c"}, "caaIdentities": null, "website": 3, "externalAccountRequired": null}});
    ca.on("GET", "/odd", [ResponseTemplate::new(200).set_body_json(odd)]).await;
    let client = build("/odd").await.unwrap();
    assert_eq!(client.directory().meta.profiles.len(), 1);
    assert_eq!(client.directory().new_account.as_str(), ca.url("/a"));
    let error =
        Client::builder("http://ca.example.test/directory".parse().unwrap()).build().await.unwrap_err();
    assert!(matches!(error, DirectoryError::Insecure { .. }));
}

#[tokio::test]
async fn renewal_information() {
    let ca = ScriptedCa::start().await;
    let client = ca.client().await;
    let id: CertificateId = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".parse().unwrap();
    let at = "/ari/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
    let window = |start: &str, end: &str| json!({"suggestedWindow": {"start": start, "end": end}});
    let good = window("2027-01-02T04:00:00Z", "2027-01-03T04:00:00.5+01:00");
    for (header, wait) in [(None, 21600), (Some("1"), 60), (Some("7200"), 7200), (Some("9999999"), 86400)] {
        let answer = ResponseTemplate::new(200).set_body_json(&good);
        ca.on(
            "GET",
            at,
            [header.into_iter().fold(answer, |answer, value| answer.append_header("retry-after", value))],
        )
        .await;
        let info = client.renewal_info(&id).await.unwrap();
        assert_eq!(info.retry_after, seconds(wait), "{header:?}");
        assert_eq!(info.window.end.to_string(), "2027-01-03T03:00:00.5Z");
    }
    ca.on(
        "GET",
        at,
        [ResponseTemplate::new(200).set_body_json(window("2027-01-03T04:00:00Z", "2027-01-02T04:00:00Z"))],
    )
    .await;
    let error = client.renewal_info(&id).await.unwrap_err();
    assert!(matches!(error, RenewalInfoError::Window { .. }));
    assert_eq!(error.retry(), Retry::After(seconds(21600)));
    ca.on("GET", at, [problem(404, "malformed", "unknown certificate")]).await;
    assert_eq!(client.renewal_info(&id).await.unwrap_err().retry(), Retry::After(seconds(21600)));
}

#[tokio::test]
async fn changed_terms_name_where_to_agree() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let body = json!({"type": "urn:ietf:params:acme:error:userActionRequired", "detail": "Terms of service have changed",
        "instance": "https://ca.test/tos/2"});
    ca.on(
        "POST",
        "/orders",
        [ResponseTemplate::new(403).set_body_raw(body.to_string(), "application/problem+json")],
    )
    .await;
    let error = account.new_order(&www()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().kind, ProblemKind::UserActionRequired);
    assert_eq!(error.problem().unwrap().instance.as_deref(), Some("https://ca.test/tos/2"));
    assert_eq!(error.retry(), Retry::No);
}

#[tokio::test]
async fn a_key_of_another_account_is_refused_and_a_lost_answer_is_looked_up() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    let key = || AccountKey::generate(KeyAlgorithm::Es256).unwrap();
    // Pebble 2.10 means to answer 409 here and answers 200.
    let conflict =
        problem(409, "conflict", "New key is already in use").append_header("location", ca.url("/account/2"));
    ca.on("POST", "/key-change", [conflict]).await;
    let error = account.roll_over(key()).await.unwrap_err();
    assert!(matches!(error, AccountError::KeyInUse), "{error:?}");

    // The account answers to the new key already: the change went through, its answer was lost.
    ca.on("POST", "/key-change", [html(500)]).await;
    assert_eq!(account.roll_over(key()).await.unwrap().url(), account.url());
    let absent = problem(400, "accountDoesNotExist", "no");
    ca.on("POST", "/accounts", [absent]).await;
    let error = account.roll_over(key()).await.unwrap_err();
    assert!(matches!(error, AccountError::RollOver(_)), "{error:?}");
}

#[tokio::test]
async fn a_refused_replacement_is_told_from_other_refusals() {
    let ca = ScriptedCa::start().await;
    let account = ca.account().await;
    ca.on("POST", "/orders", [problem(409, "alreadyReplaced", "x"), problem(409, "conflict", "y")]).await;
    let order = www().replaces(Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".parse().unwrap()));
    for kind in [ProblemKind::AlreadyReplaced, ProblemKind::Conflict] {
        assert_eq!(account.new_order(&order).await.unwrap_err().problem().unwrap().kind, kind);
    }
}
