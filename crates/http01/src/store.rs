//! The answers that a responder may give.

use crate::answer::Answer;
use crate::host::Host;
use crate::token::{self, TokenError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The answers to HTTP-01 challenges, shared by all clones.
///
/// Hosts are given as names in ASCII or IP addresses; case, port, brackets and a trailing dot do not matter. A change is seen by
/// every request that is read after the call returned.
#[derive(Debug, Clone, Default)]
pub struct TokenStore {
    hosts: Arc<RwLock<Hosts>>,
}

/// Two levels, so that a look-up borrows both host and token from the request.
type Hosts = HashMap<Box<str>, HostAnswers>;

impl TokenStore {
    /// An empty store: every request is answered 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Exact mode: `token` of `host` is answered with `key_authorization`, and replaces what it was answered with. Its count starts
    /// anew unless the answer is the same.
    ///
    /// # Errors
    /// When `host` is no host, `token` is not 1 to 128 characters of base64url, or `key_authorization` is not
    /// `<token>.<thumbprint>` of fewer than 128 bytes (RFC 8555 section 8.1; Let's Encrypt reads no longer body).
    pub fn insert(&self, host: &str, token: &str, key_authorization: &str) -> Result<(), TokenError> {
        let host = parse(host)?;
        token::check_token(token)?;
        token::check_key_authorization(token, key_authorization)?;
        self.write().entry(host.as_str().into()).or_default().insert(token, key_authorization);
        Ok(())
    }

    /// Takes back an exact answer; false when there was none.
    pub fn remove(&self, host: &str, token: &str) -> bool {
        self.change(host, |answers| answers.exact.remove(token).is_some())
    }

    /// Stateless mode: every well-formed token of `host` without an exact answer is answered with `<token>.<thumbprint>`. The
    /// thumbprint is that of the account key (RFC 7638, SHA-256 in base64url) and replaces an earlier one.
    ///
    /// # Errors
    /// When `host` is no host or `thumbprint` is not 43 characters of base64url.
    pub fn set_thumbprint(&self, host: &str, thumbprint: &str) -> Result<(), TokenError> {
        let host = parse(host)?;
        token::check_thumbprint(thumbprint)?;
        self.write().entry(host.as_str().into()).or_default().set_thumbprint(thumbprint);
        Ok(())
    }

    /// Ends the stateless mode of `host`; false when it was not on.
    pub fn remove_thumbprint(&self, host: &str) -> bool {
        self.change(host, |answers| answers.stateless.take().is_some())
    }

    /// What a responder answers, without counting the question.
    pub fn answer(&self, host: &str, token: &str) -> Option<String> {
        let host = Host::parse(host)?;
        if !token::is_token(token) {
            return None;
        }
        self.read().get(host.as_str())?.find(token).map(|found| found.answer.text())
    }

    /// How many requests were given the exact answer of (`host`, `token`) since it was inserted; 0 when there is none.
    pub fn answered(&self, host: &str, token: &str) -> u64 {
        self.count(host, |answers| answers.exact.get(token).map(|exact| &exact.given))
    }

    /// How many requests to `host` were answered in stateless mode since its thumbprint was set; 0 when it is not on.
    pub fn answered_stateless(&self, host: &str) -> u64 {
        self.count(host, |answers| answers.stateless.as_ref().map(|stateless| &stateless.given))
    }

    /// How many exact answers are held.
    pub fn len(&self) -> usize {
        self.read().values().map(|answers| answers.exact.len()).sum()
    }

    /// Whether nothing is answered in either mode.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Answers a request and counts it.
    pub(crate) fn give(&self, host: &Host<'_>, token: &str) -> Given {
        let hosts = self.read();
        let Some(answers) = hosts.get(host.as_str()) else { return Given::UnknownHost };
        let Some(found) = answers.find(token) else { return Given::UnknownToken };
        found.given.fetch_add(1, Ordering::Relaxed);
        if found.exact { Given::Exact(found.answer) } else { Given::Stateless(found.answer) }
    }

    fn change(&self, host: &str, remove: impl FnOnce(&mut HostAnswers) -> bool) -> bool {
        let Some(host) = Host::parse(host) else { return false };
        let mut hosts = self.write();
        let Some(answers) = hosts.get_mut(host.as_str()) else { return false };
        let removed = remove(answers);
        if answers.is_empty() {
            hosts.remove(host.as_str());
        }
        removed
    }

    fn count(&self, host: &str, counter: impl FnOnce(&HostAnswers) -> Option<&AtomicU64>) -> u64 {
        let Some(host) = Host::parse(host) else { return 0 };
        let hosts = self.read();
        hosts.get(host.as_str()).and_then(counter).map_or(0, |given| given.load(Ordering::Relaxed))
    }

    /// No code panics under the lock in the middle of a change, so that a poisoned map is a whole one.
    fn read(&self) -> RwLockReadGuard<'_, Hosts> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Hosts> {
        self.hosts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request is given.
#[derive(Debug)]
pub(crate) enum Given {
    Exact(Answer),
    Stateless(Answer),
    UnknownToken,
    UnknownHost,
}

#[derive(Debug, Default)]
struct HostAnswers {
    exact: HashMap<Box<str>, Exact>,
    stateless: Option<Stateless>,
}

#[derive(Debug)]
struct Exact {
    answer: Answer,
    given: AtomicU64,
}

#[derive(Debug)]
struct Stateless {
    thumbprint: Box<str>,
    given: AtomicU64,
}

struct Found<'a> {
    answer: Answer,
    given: &'a AtomicU64,
    exact: bool,
}

impl HostAnswers {
    /// A watch repeats what it has said: the same answer keeps its count.
    fn insert(&mut self, token: &str, key_authorization: &str) {
        if self.exact.get(token).is_some_and(|exact| exact.answer.body == key_authorization) {
            return;
        }
        let answer = Answer::new(key_authorization.to_owned());
        self.exact.insert(token.into(), Exact { answer, given: AtomicU64::new(0) });
    }

    fn set_thumbprint(&mut self, thumbprint: &str) {
        if self.stateless.as_ref().is_some_and(|stateless| &*stateless.thumbprint == thumbprint) {
            return;
        }
        self.stateless = Some(Stateless { thumbprint: thumbprint.into(), given: AtomicU64::new(0) });
    }

    fn find(&self, token: &str) -> Option<Found<'_>> {
        if let Some(Exact { answer, given }) = self.exact.get(token) {
            return Some(Found { answer: answer.clone(), given, exact: true });
        }
        let Stateless { thumbprint, given } = self.stateless.as_ref()?;
        Some(Found { answer: Answer::stateless(token, thumbprint)?, given, exact: false })
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.stateless.is_none()
    }
}

fn parse(host: &str) -> Result<Host<'_>, TokenError> {
    Host::parse(host).ok_or_else(|| TokenError::Host { host: token::shown(host) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

    fn give(store: &TokenStore, host: &str, token: &str) -> Given {
        store.give(&Host::parse(host).unwrap(), token)
    }

    #[test]
    fn is_clone_send_sync() {
        fn check<T: Clone + Send + Sync + 'static>() {}
        check::<TokenStore>();
    }

    #[test]
    fn exact_answers_belong_to_their_host() {
        let store = TokenStore::new();
        store.insert("A.example.com.", "t", "t.a").unwrap();
        store.insert("b.example.com", "t", "t.b").unwrap();
        assert_eq!(store.answer("a.example.com:80", "t").as_deref(), Some("t.a"));
        assert_eq!(store.answer("b.example.com", "t").as_deref(), Some("t.b"));
        assert_eq!(store.answer("c.example.com", "t"), None);
        assert_eq!(store.answer("a.example.com", "u"), None);
        assert_eq!(store.len(), 2);
        assert!(store.remove("a.example.com", "t"));
        assert!(!store.remove("a.example.com", "t"));
        assert!(store.remove("b.example.com", "t"));
        assert!(store.is_empty());
    }

    #[test]
    fn an_exact_answer_goes_before_a_stateless_one() {
        let store = TokenStore::new();
        store.set_thumbprint("a.example.com", THUMBPRINT).unwrap();
        store.insert("a.example.com", "t", "t.exact").unwrap();
        assert_eq!(store.answer("a.example.com", "t").as_deref(), Some("t.exact"));
        assert_eq!(store.answer("a.example.com", "u"), Some(format!("u.{THUMBPRINT}")));
        assert_eq!(store.answer("a.example.com", "no token"), None);
        assert!(store.remove("a.example.com", "t"));
        assert_eq!(store.answer("a.example.com", "t"), Some(format!("t.{THUMBPRINT}")));
        assert!(store.remove_thumbprint("a.example.com"));
        assert!(!store.remove_thumbprint("a.example.com"));
        assert!(store.is_empty());
    }

    #[test]
    fn counts_what_is_given_until_the_answer_changes() {
        let store = TokenStore::new();
        store.insert("a.example.com", "t", "t.a").unwrap();
        assert!(matches!(give(&store, "a.example.com", "t"), Given::Exact(_)));
        assert!(matches!(give(&store, "a.example.com", "u"), Given::UnknownToken));
        assert!(matches!(give(&store, "b.example.com", "t"), Given::UnknownHost));
        store.answer("a.example.com", "t");
        store.insert("a.example.com", "t", "t.a").unwrap();
        assert_eq!(store.answered("a.example.com", "t"), 1);
        store.insert("a.example.com", "t", "t.b").unwrap();
        assert_eq!(store.answered("a.example.com", "t"), 0);
        assert_eq!(store.answered("b.example.com", "t"), 0);
        assert_eq!(store.answered("not a host", "t"), 0);
    }

    #[test]
    fn counts_stateless_answers_by_host() {
        let store = TokenStore::new();
        store.set_thumbprint("a.example.com", THUMBPRINT).unwrap();
        for token in ["t", "u"] {
            assert!(matches!(give(&store, "a.example.com", token), Given::Stateless(_)));
        }
        store.set_thumbprint("a.example.com", THUMBPRINT).unwrap();
        assert_eq!(store.answered_stateless("A.example.com"), 2);
        assert_eq!(store.answered("a.example.com", "t"), 0);
        assert_eq!(store.answered_stateless("b.example.com"), 0);
    }

    #[test]
    fn refuses_what_no_ca_accepts() {
        let store = TokenStore::new();
        assert_eq!(
            store.insert("*.example.com", "t", "t.a"),
            Err(TokenError::Host { host: "*.example.com".to_owned() })
        );
        assert_eq!(
            store.insert("a.example.com", "t.", "t..a"),
            Err(TokenError::Token { token: "t.".to_owned() })
        );
        assert!(store.insert("a.example.com", "t.a", "t").is_err());
        assert!(store.set_thumbprint("a.example.com", "short").is_err());
        assert!(store.set_thumbprint("", THUMBPRINT).is_err());
        assert!(store.is_empty());
    }
}
