//! What a responder has answered so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many requests a [`Responder`](crate::Responder) and its clones have answered, by kind. The numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Answered with an exact key authorization.
    pub exact: u64,
    /// Answered with a thumbprint, in stateless mode.
    pub stateless: u64,
    /// A challenge for a host that the store does not know, or for none: 404.
    pub unknown_host: u64,
    /// A challenge for a known host whose token has no answer: 404.
    pub unknown_token: u64,
    /// Not a challenge: another method, another path or a malformed token: 404.
    pub not_challenge: u64,
}

impl Counts {
    /// All requests.
    pub const fn total(&self) -> u64 {
        self.exact + self.stateless + self.unknown_host + self.unknown_token + self.not_challenge
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) exact: AtomicU64,
    pub(crate) stateless: AtomicU64,
    pub(crate) unknown_host: AtomicU64,
    pub(crate) unknown_token: AtomicU64,
    pub(crate) not_challenge: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        Counts {
            exact: self.exact.load(Ordering::Relaxed),
            stateless: self.stateless.load(Ordering::Relaxed),
            unknown_host: self.unknown_host.load(Ordering::Relaxed),
            unknown_token: self.unknown_token.load(Ordering::Relaxed),
            not_challenge: self.not_challenge.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
