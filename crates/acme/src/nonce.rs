//! Anti-replay nonces (RFC 8555 §6.5).

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The most nonces kept: four times the requests that one order has in flight.
const MAX_NONCES: usize = 64;

/// The longest nonce that is taken, in characters. Boulder's have 43, Pebble's 22.
const MAX_NONCE: usize = 256;

/// How long a nonce is trusted. Boulder forgets them by count and on restart, so old ones are mostly refused, and a
/// refusal costs as much as asking for a new one.
const NONCE_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// The nonces of one directory: last in, first out, since the youngest is the least likely to be forgotten.
#[derive(Debug, Default)]
pub(crate) struct NoncePool(Mutex<VecDeque<(String, Timestamp)>>);

impl NoncePool {
    /// The youngest nonce that is still trusted.
    pub(crate) fn take(&self, now: Timestamp) -> Option<String> {
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (nonce, since) = nonces.pop_back()?;
        if now.duration_since(since).abs() < NONCE_LIFE {
            return Some(nonce);
        }
        // The youngest is too old, so all are.
        nonces.clear();
        None
    }

    /// Keeps a nonce; the oldest goes where there are too many.
    pub(crate) fn put(&self, nonce: String, now: Timestamp) {
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() == MAX_NONCES {
            nonces.pop_front();
        }
        nonces.push_back((nonce, now));
    }
}

/// The nonce of a response. One that is not base64url is ignored (RFC 8555 §6.5.1).
pub(crate) fn replay_nonce(headers: &HeaderMap) -> Option<String> {
    let nonce = headers.get("replay-nonce")?.to_str().ok()?;
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ((1..=MAX_NONCE).contains(&nonce.len()) && nonce.bytes().all(is_base64url)).then(|| nonce.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn last_in_first_out_while_fresh() {
        let pool = NoncePool::default();
        pool.put("a".into(), at(0));
        pool.put("b".into(), at(30));
        assert_eq!(pool.take(at(31)).as_deref(), Some("b"));
        assert_eq!(pool.take(at(61)), None);
        assert_eq!(pool.take(at(0)), None, "the stale one is gone");
    }

    #[test]
    fn bounded() {
        let pool = NoncePool::default();
        for i in 0..200 {
            pool.put(i.to_string(), at(0));
        }
        let taken: Vec<_> = std::iter::from_fn(|| pool.take(at(0))).collect();
        assert_eq!(taken.len(), MAX_NONCES);
        assert_eq!(taken[0], "199");
    }

    #[test]
    fn a_nonce_that_is_not_base64url_is_ignored() {
        let nonce = |text: &'static str| {
            replay_nonce(&HeaderMap::from_iter([(
                http::HeaderName::from_static("replay-nonce"),
                http::HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(nonce("oFvnlFP1wIhRlYS2jTaXbA").as_deref(), Some("oFvnlFP1wIhRlYS2jTaXbA"));
        assert_eq!(nonce("a b"), None);
        assert_eq!(nonce(""), None);
        assert_eq!(nonce("a="), None);
    }
}
