//! What the CA does, and what may come of it.

use crate::server::{Answer, Script};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where the time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    BetweenRequests,
    OnTheWire,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) script: Script,
    /// A part of the error.
    pub(crate) says: &'static str,
    /// The most requests that it may cost.
    pub(crate) requests: usize,
    pub(crate) waits: Waits,
}

impl Case {
    /// The longest error: of a hundred subproblems each says 1,024 characters and its name.
    pub(crate) fn longest_text(&self) -> usize {
        100 * 2 * 1024
    }
}

/// The requests of a whole issuance for one name, with 3 repeats of each of the first 10, and 16 alternate chains.
const FEW: usize = 60;

/// The looks at an order in ten minutes, every 5 s at last, of the proofs and of the certificate.
const LOOKS: usize = 2 * 140;

/// The times that one request is signed again for its nonce, each with a request for a new one, and two such requests.
const NONCES: usize = 2 * 2 * 130 + FEW;

/// A hundred authorizations, each asked for once and looked at again, with the rest.
const AUTHORIZATIONS: usize = 3 * 100 + LOOKS + FEW;

/// More than anybody reads.
const MANY: usize = 170_000;

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    let page = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    let endless = page("200 OK", "Content-Type: application/json\r\nContent-Length: 999999999999\r\n");
    let chunked = page("200 OK", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
    let chunk = [b"2000\r\n".to_vec(), vec![b'x'; 0x2000], b"\r\n".to_vec()].concat();
    let (started, drip) = (b"HTTP/1.1 200 OK\r\n".to_vec(), endless.clone());
    let second = Duration::from_secs(1);
    let metadata =
        page("302 Found", "Location: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n");
    let problem = |body: String| whole(400, "Content-Type: application/problem+json\r\n", body.as_bytes());
    let subproblems = format!(r#"{{"type": "x", "subproblems": [{{}}{}]}}"#, ",{}".repeat(MANY - 1));
    let told: Vec<_> = (0..100).map(|_| json!({"type": "y", "detail": "\u{1b}[2J".repeat(400)})).collect();
    let told = json!({"type": "x".repeat(9000), "detail": "z".repeat(9000), "subproblems": told}).to_string();
    vec![
        at(
            "an endless body",
            "/directory",
            "larger than 512 KiB",
            FEW,
            Answer::Endless(endless.clone(), chunk.clone()),
        ),
        at(
            "an endless body in chunks",
            "/orders",
            "larger than 512 KiB",
            FEW,
            Answer::Endless(chunked, chunk.clone()),
        ),
        at(
            "endless headers",
            "/directory",
            "no answer",
            FEW,
            Answer::Endless(started.clone(), b"X: y\r\n".repeat(99)),
        ),
        at(
            "one endless header",
            "/orders",
            "no answer",
            FEW,
            Answer::Endless(started.clone(), vec![b'x'; 4096]),
        ),
        at("a redirect to metadata", "/directory", "302", 1, Answer::Whole(metadata.clone())),
        at("a redirect of a signed request", "/orders", "302", FEW, Answer::Whole(metadata)),
        elsewhere(),
        at(
            "a packed body",
            "/directory",
            "not what it should be",
            FEW,
            Answer::Whole(whole(200, "Content-Encoding: gzip\r\n", &[0x1f, 0x8b, 8, 0])),
        ),
        at("deep JSON", "/orders", "not what it should be", FEW, json_answer(&"[".repeat(400_000))),
        at("a hundred thousand subproblems", "/orders", "400", FEW, Answer::Whole(problem(subproblems))),
        at("long texts", "/orders", "400", FEW, Answer::Whole(problem(told))),
        at("more than a hundred authorizations", "/orders", "authorizations", FEW, order("pending", 101)),
        at(
            "authorizations by the hundred thousand",
            "/orders",
            "not what it should be",
            FEW,
            order("pending", MANY),
        ),
        at("the same authorization a hundred times", "/orders", "", AUTHORIZATIONS, order("pending", 100)),
        at("a nonce of a megabyte", "/nonce", "no answer", FEW, nonce(1 << 20)),
        at("a nonce that is too long", "/nonce", "Replay-Nonce", FEW, nonce(300)),
        at("no nonce is good", "/orders", "badNonce", NONCES, bad_nonce()),
        at(
            "challenges by the hundred thousand",
            "/authz",
            "not what it should be",
            AUTHORIZATIONS,
            json_answer(&format!(
                r#"{{"identifier": {{"type": "dns", "value": "www.example.test"}}, "status": "pending", "challenges": [{{}}{}]}}"#,
                ",{}".repeat(MANY - 1)
            )),
        ),
        at("an order that stays pending", "/order", "still pending", LOOKS + FEW, order("pending", 1)),
        at("Retry-After of years", "/order", "still pending", FEW, retry_after("99999999999999999999")),
        at(
            "Retry-After as a date of the year 9999",
            "/order",
            "still pending",
            FEW,
            retry_after("Fri, 31 Dec 9999 23:59:59 GMT"),
        ),
        at(
            "an answer that drips",
            "/directory",
            "no response in time",
            4,
            Answer::Drip(endless, drip.clone(), second),
        )
        .on_the_wire(),
        at("a head that drips", "/directory", "no response in time", 4, Answer::Drip(started, drip, second))
            .on_the_wire(),
        valid("ten thousand certificates", "larger than 512 KiB", &certificate().repeat(10_000)),
        valid("as many small ones as there is room for", "8000 certificates", &SMALL.repeat(8000)),
        many_large(),
        valid("a huge certificate", "larger than 512 KiB", &huge()),
        valid(
            "text that looks like PEM",
            "the CA sent as the certificate",
            "-----BEGIN ".repeat(47_000).as_str(),
        ),
        chains(),
    ]
}

impl Case {
    fn on_the_wire(self) -> Self {
        Self { waits: Waits::OnTheWire, ..self }
    }
}

/// An honest CA, but for what it answers where a path begins so.
fn at(name: &'static str, path: &'static str, says: &'static str, requests: usize, answer: Answer) -> Case {
    by(name, says, requests, move |asked, before, base| match asked.split('?').next() {
        // An order is made before it is looked at.
        Some(asked) if asked.trim_end_matches("/1") == path => told(answer.clone(), base),
        _ => honest(asked, before, base),
    })
}

fn by(
    name: &'static str,
    says: &'static str,
    requests: usize,
    script: impl Fn(&str, usize, &str) -> Answer + Send + Sync + 'static,
) -> Case {
    Case { name, says, requests, script: Arc::new(script), waits: Waits::BetweenRequests }
}

/// URLs of another host, over another scheme: what is read in clear may be sent where it says.
fn elsewhere() -> Case {
    by("a redirect to another host", "307", FEW, |asked, before, base| match asked {
        "/orders" => {
            let port = base.rsplit(':').next().unwrap_or_default();
            Answer::Whole(whole(307, &format!("Location: http://127.0.0.66:{port}/orders\r\n"), b""))
        }
        _ => honest(asked, before, base),
    })
}

/// The order is valid at once, and this is the certificate.
fn valid(name: &'static str, says: &'static str, certificate: &str) -> Case {
    let certificate =
        whole(200, "Content-Type: application/pem-certificate-chain\r\n", certificate.as_bytes());
    by(name, says, FEW, move |asked, before, base| match asked {
        "/cert/1" => Answer::Whole(certificate.clone()),
        "/finalize/1" | "/order/1" => told(order("valid", 1), base),
        "/orders" => told(order("ready", 1), base),
        _ => honest(asked, before, base),
    })
}

/// A block of PEM that holds next to nothing.
const SMALL: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/// A hundred authorizations, each as large as may be.
fn many_large() -> Case {
    let padding = "x".repeat(gatecert_acme::MAX_RESPONSE_BYTES - 1024);
    let large = json!({"identifier": {"type": "dns", "value": "www.example.test"}, "status": "pending", "x": padding});
    let large = json_answer(&large.to_string());
    by("a hundred large authorizations", "does not validate", AUTHORIZATIONS, move |asked, before, base| {
        match asked {
            "/orders" => told(order("pending", 100), base),
            "/authz/1" => large.clone(),
            _ => honest(asked, before, base),
        }
    })
}

/// Every chain names ten thousand others.
fn chains() -> Case {
    by("chains without end", "", FEW, |asked, before, base| match asked {
        "/finalize/1" | "/order/1" => told(order("valid", 1), base),
        "/orders" => told(order("ready", 1), base),
        asked if asked.starts_with("/cert") => {
            let links: String =
                (0..5000).map(|n| format!("<{base}/cert/{before}-{n}>;rel=\"alternate\",")).collect();
            let links: String = links
                .as_bytes()
                .chunks(4000)
                .map(|part| format!("Link: {}\r\n", String::from_utf8_lossy(part)))
                .collect();
            Answer::Whole(whole(200, &links, certificate().as_bytes()))
        }
        _ => honest(asked, before, base),
    })
}

/// What a CA would answer.
fn honest(path: &str, _: usize, base: &str) -> Answer {
    let answer = match path {
        // No nonce comes with the directory, so that one is asked for.
        "/nonce" => return nonce(5),
        "/directory" => json!({
            "newNonce": "BASE/nonce", "newAccount": "BASE/accounts", "newOrder": "BASE/orders",
        }),
        "/accounts" => json!({"status": "valid"}),
        "/orders" | "/order/1" => return told(order("pending", 1), base),
        path if path.starts_with("/authz") => json!({
            "identifier": {"type": "dns", "value": "www.example.test"}, "status": "pending",
            "challenges": [{"type": "http-01", "url": "BASE/challenge/1", "status": "pending", "token": "t0ken"}],
        }),
        _ => json!({}),
    };
    match path {
        "/directory" => {
            told(Answer::Whole(whole(200, "Replay-Nonce: \r\n", answer.to_string().as_bytes())), base)
        }
        _ => told(json_answer(&answer.to_string()), base),
    }
}

/// With the server's URL in it.
fn told(answer: Answer, base: &str) -> Answer {
    match answer {
        Answer::Whole(bytes) if bytes.windows(4).any(|part| part == b"BASE") => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let body = body.replace("BASE", base);
            let head: Vec<_> = head.lines().filter(|line| !line.starts_with("Content-Length")).collect();
            let head = head.join("\r\n").replace("BASE", base);
            Answer::Whole(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
        }
        other => other,
    }
}

fn json_answer(body: &str) -> Answer {
    Answer::Whole(whole(200, "Content-Type: application/json\r\nLocation: BASE/order/1\r\n", body.as_bytes()))
}

/// An order with so many authorizations.
fn order(status: &str, authorizations: usize) -> Answer {
    json_answer(&order_body(status, authorizations).to_string())
}

fn order_body(status: &str, authorizations: usize) -> Value {
    let url = if authorizations > 1000 { "" } else { "BASE/authz/1" };
    json!({
        "status": status, "identifiers": [{"type": "dns", "value": "www.example.test"}],
        "authorizations": vec![url; authorizations], "finalize": "BASE/finalize/1", "certificate": "BASE/cert/1",
    })
}

fn retry_after(wait: &str) -> Answer {
    let headers = format!("Content-Type: application/json\r\nRetry-After: {wait}\r\n");
    Answer::Whole(whole(200, &headers, order_body("pending", 1).to_string().as_bytes()))
}

fn nonce(length: usize) -> Answer {
    Answer::Whole(whole(200, &format!("Replay-Nonce: {}\r\n", "n".repeat(length)), b""))
}

fn bad_nonce() -> Answer {
    let body = json!({"type": "urn:ietf:params:acme:error:badNonce"}).to_string();
    Answer::Whole(whole(400, "Content-Type: application/problem+json\r\n", body.as_bytes()))
}

/// A whole answer. One that brings no nonce of its own brings a good one.
fn whole(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let nonce = if headers.contains("Replay-Nonce") { "" } else { "Replay-Nonce: n0nce\r\n" };
    let head = format!("HTTP/1.1 {status} X\r\n{nonce}{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.to_vec()].concat()
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["www.example.test".to_owned()]).unwrap().cert.pem()
}

/// A certificate with names for more than what is read.
fn huge() -> String {
    let names = (0..20_000).map(|number| format!("{number}.a-name-that-is-long-enough.example.test"));
    rcgen::generate_simple_self_signed(names.collect::<Vec<_>>()).unwrap().cert.pem()
}
