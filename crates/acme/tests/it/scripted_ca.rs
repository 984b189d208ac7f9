//! A CA that does what a test tells it to, for what Pebble can not be made to do.

use crate::clock::VirtualClock;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gatecert_acme::{Account, AccountKey, Client, HttpTransport, KeyAlgorithm, NewAccount};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub struct ScriptedCa {
    pub server: MockServer,
    pub clock: Arc<VirtualClock>,
}

/// Gives its answers one after the other, and the last for ever; each with a fresh nonce.
struct Sequence {
    answers: Vec<ResponseTemplate>,
    next: AtomicUsize,
}

impl Respond for Sequence {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[n.min(self.answers.len() - 1)].clone();
        answer.append_header("replay-nonce", format!("nonce{:p}-{n}", self).replace("0x", ""))
    }
}

impl ScriptedCa {
    /// A CA with a directory, nonces and accounts.
    pub async fn start() -> Self {
        let ca = Self { server: MockServer::start().await, clock: Arc::new(VirtualClock::new()) };
        ca.on("GET", "/directory", [ResponseTemplate::new(200).set_body_json(ca.directory())]).await;
        ca.on("HEAD", "/nonce", [ResponseTemplate::new(200)]).await;
        let account = ResponseTemplate::new(201).append_header("location", ca.url("/account/1"));
        ca.on("POST", "/accounts", [account.set_body_json(json!({"status": "valid"}))]).await;
        ca
    }

    pub fn directory(&self) -> Value {
        json!({
            "newNonce": self.url("/nonce"), "newAccount": self.url("/accounts"), "newOrder": self.url("/orders"),
            "revokeCert": self.url("/revoke"), "keyChange": self.url("/key-change"),
            "renewalInfo": self.url("/ari"), "meta": null,
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.uri())
    }

    /// Answers requests of this method and path with these, in turn.
    pub async fn on(&self, verb: &str, at: &str, answers: impl IntoIterator<Item = ResponseTemplate>) {
        let sequence = Sequence { answers: answers.into_iter().collect(), next: AtomicUsize::new(0) };
        // The latest script for a path counts.
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(sequence)
            .with_priority(self.priority())
            .mount(&self.server)
            .await;
    }

    fn priority(&self) -> u8 {
        static LATER_FIRST: AtomicUsize = AtomicUsize::new(0);
        250 - u8::try_from(LATER_FIRST.fetch_add(1, Ordering::SeqCst) % 240).unwrap()
    }

    pub async fn client(&self) -> Client {
        Client::builder(self.url("/directory").parse().unwrap())
            .transport(Arc::new(HttpTransport::builder().build().unwrap()))
            .clock(self.clock.clone())
            .build()
            .await
            .unwrap()
    }

    pub async fn account(&self) -> Account {
        let key = AccountKey::generate(KeyAlgorithm::Es256).unwrap();
        self.client().await.create_account(&NewAccount::default(), key).await.unwrap()
    }

    /// An order as JSON, for `www.example.test`, with one authorization.
    pub fn order(&self, status: &str) -> Value {
        json!({
            "status": status, "identifiers": [{"type": "dns", "value": "www.example.test"}],
            "authorizations": [self.url("/authz/1")], "finalize": self.url("/finalize/1"),
        })
    }

    /// A new order's answer.
    pub fn created(&self, status: &str) -> ResponseTemplate {
        ResponseTemplate::new(201)
            .append_header("location", self.url("/order/1"))
            .set_body_json(self.order(status))
    }

    /// An order's answer.
    pub fn seen(&self, status: &str) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(self.order(status))
    }

    /// The requests to a path, oldest first.
    pub async fn requests(&self, at: &str) -> Vec<Request> {
        let all = self.server.received_requests().await.unwrap();
        all.into_iter().filter(|request| request.url.path() == at).collect()
    }
}

/// A problem document.
pub fn problem(status: u16, kind: &str, detail: &str) -> ResponseTemplate {
    let body =
        json!({"type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status});
    ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/problem+json")
}

/// A proxy's error page.
pub fn html(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html><h1>Error</h1></html>", "text/html; charset=utf-8")
}

/// The protected header of a request.
pub fn protected(request: &Request) -> Value {
    let jws: Value = serde_json::from_slice(&request.body).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(jws["protected"].as_str().unwrap()).unwrap())
        .unwrap()
}
