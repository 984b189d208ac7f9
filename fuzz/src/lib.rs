//! A CA that answers with what the fuzzer makes up.

use async_trait::async_trait;
use bytes::Bytes;
use gatecert_acme::{
    Account, AccountCredentials, AccountKey, Client, Clock, KeyAlgorithm, Transport, TransportError,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A directory that can be used.
const DIRECTORY: &str = r#"{"newNonce": "https://ca.test/nonce", "newAccount": "https://ca.test/accounts",
    "newOrder": "https://ca.test/orders", "revokeCert": "https://ca.test/revoke",
    "keyChange": "https://ca.test/key-change", "renewalInfo": "https://ca.test/ari", "meta": {"profiles": {"x": "y"}}}"#;

/// The longest that anything here may be told to wait, by the documentation of the client.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that only goes on while somebody sleeps, which is over at once.
#[derive(Debug, Default)]
struct SleepingClock(Mutex<Duration>);

#[async_trait]
impl Clock for SleepingClock {
    fn now(&self) -> Timestamp {
        let slept = SignedDuration::try_from(self.monotonic()).unwrap_or(SignedDuration::MAX);
        Timestamp::UNIX_EPOCH.saturating_add(slept).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        assert!(duration <= LONGEST_WAIT, "told to sleep for {duration:?}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += duration;
    }
}

/// Answers each request but those for nonces with the next of the answers, and the last one for ever.
#[derive(Debug)]
struct MadeUp {
    answers: Vec<Answer>,
    next: Mutex<usize>,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers as they stand in the input: a line with the status, lines with headers, an empty line, the body; and `%%` on a
/// line between two of them.
fn answers(input: &[u8]) -> Vec<Answer> {
    let text = String::from_utf8_lossy(input);
    text.split("\n%%\n").map(answer).collect()
}

fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')).take(64) {
        let header = (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim()));
        if let (Ok(name), Ok(value)) = header {
            headers.append(name, value);
        }
    }
    Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

#[async_trait]
impl Transport for MadeUp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut response = Response::new(Bytes::new());
        if *request.method() != Method::HEAD {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = &self.answers[(*next).min(self.answers.len() - 1)];
            *next += 1;
            *response.status_mut() = answer.status.try_into().unwrap_or_default();
            *response.headers_mut() = answer.headers.clone();
            *response.body_mut() = answer.body.clone();
        }
        response.headers_mut().entry("replay-nonce").or_insert(HeaderValue::from_static("bm9uY2U"));
        Ok(response)
    }
}

/// Runs to the end what never really waits.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// A client whose CA answers all requests with the input, the first one for the directory too.
pub async fn client_of(input: &[u8]) -> Option<Client> {
    client(answers(input)).await
}

/// An account with a CA that has a good directory, and answers everything else with the input.
pub async fn account_of(input: &[u8]) -> Account {
    let mut answers = answers(input);
    answers.insert(0, answer(&format!("200\n\n{DIRECTORY}")));
    let client = client(answers).await.expect("the directory is good");
    static KEY: OnceLock<AccountCredentials> = OnceLock::new();
    let credentials = KEY.get_or_init(|| AccountCredentials {
        directory: "https://ca.test/directory".parse().expect("a URL"),
        account_url: "https://ca.test/account/1".parse().expect("a URL"),
        private_key: AccountKey::generate(KeyAlgorithm::Es256).expect("a key").to_pkcs8_pem(),
    });
    client.account(credentials).expect("the key is good")
}

async fn client(answers: Vec<Answer>) -> Option<Client> {
    Client::builder("https://ca.test/directory".parse().ok()?)
        .transport(Arc::new(MadeUp { answers, next: Mutex::new(0) }))
        .clock(Arc::new(SleepingClock::default()))
        .build()
        .await
        .ok()
}
