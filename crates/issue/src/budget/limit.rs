//! Token buckets, as Let's Encrypt limits rates.

use jiff::{SignedDuration, Timestamp};
use std::num::NonZeroU32;
use url::Url;

/// The hosts of Let's Encrypt's directories.
const LETS_ENCRYPT: &str = "acme-v02.api.letsencrypt.org";
const LETS_ENCRYPT_STAGING: &str = "acme-staging-v02.api.letsencrypt.org";

/// The longest period of a limit. It keeps the arithmetic far from overflowing.
const LONGEST_PERIOD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A bucket that holds `count` tokens and is filled evenly, within `period` from empty to full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    count: NonZeroU32,
    period: SignedDuration,
}

/// The limits of a CA. What is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// New orders of one account. Renewals are exempt.
    pub new_orders: Option<Limit>,
    /// Certificates for the names of one registered domain. Renewals are exempt.
    pub certificates_per_domain: Option<Limit>,
    /// Certificates for exactly the same names. Renewals that are due are exempt.
    pub duplicate_certificates: Option<Limit>,
    /// Failed validations of one name.
    pub failed_validations: Option<Limit>,
}

/// What an order may take from leave to the CA's counting it. What is filled up after an order counts this much later, so
/// that the CA has it too.
pub(super) const ON_THE_WAY: SignedDuration = SignedDuration::from_secs(10);

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// When it is full, if nothing more is taken.
    full_at: Timestamp,
    /// When it was full the last time: what was in it then is there whenever the CA counts.
    was_full_at: Timestamp,
    /// Tokens that are kept for those who wait, and not taken yet.
    pub(super) kept: u32,
}

const fn limit(count: u32, hours: i64) -> Option<Limit> {
    match NonZeroU32::new(count) {
        Some(count) => Some(Limit { count, period: SignedDuration::from_hours(hours) }),
        None => None,
    }
}

impl Limit {
    /// `count` tokens, filled within `period`. `None` where either is zero or less, or the period longer than a year.
    pub fn new(count: u32, period: SignedDuration) -> Option<Self> {
        let is_sane = period.is_positive() && period <= LONGEST_PERIOD;
        NonZeroU32::new(count).filter(|_| is_sane).map(|count| Self { count, period })
    }

    /// How many tokens a full bucket holds.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// How long an empty bucket takes to be full.
    pub fn period(&self) -> SignedDuration {
        self.period
    }

    /// How long one token takes.
    pub(super) fn interval(&self) -> SignedDuration {
        let nanos = self.period.as_nanos() / i128::from(self.count.get());
        SignedDuration::from_nanos_i128(nanos.max(1))
    }
}

impl Limits {
    /// No limits but the one that keeps a Secret which is deleted again and again from being a certificate each time.
    pub const PRIVATE: Self = Self {
        new_orders: None,
        certificates_per_domain: None,
        duplicate_certificates: limit(5, 7 * 24),
        failed_validations: None,
    };

    /// Let's Encrypt's (letsencrypt.org/docs/rate-limits, read 2026-11).
    pub const LETS_ENCRYPT: Self = Self {
        new_orders: limit(300, 3),
        certificates_per_domain: limit(50, 7 * 24),
        duplicate_certificates: limit(5, 7 * 24),
        failed_validations: limit(5, 1),
    };

    /// Those of Let's Encrypt's staging environment (letsencrypt.org/docs/staging-environment, read 2026-11).
    pub const LETS_ENCRYPT_STAGING: Self = Self {
        new_orders: limit(1500, 3),
        certificates_per_domain: None,
        duplicate_certificates: limit(5, 7 * 24),
        failed_validations: limit(200, 1),
    };

    /// The limits of the CA with this directory: [`PRIVATE`](Self::PRIVATE) where it is not one of Let's Encrypt's.
    pub fn of(directory: &Url) -> Self {
        match directory.host_str() {
            Some(LETS_ENCRYPT) => Self::LETS_ENCRYPT,
            Some(LETS_ENCRYPT_STAGING) => Self::LETS_ENCRYPT_STAGING,
            _ => Self::PRIVATE,
        }
    }
}

impl Level {
    /// A bucket that is full.
    pub(super) fn full(now: Timestamp) -> Self {
        Self { full_at: now, was_full_at: now, kept: 0 }
    }

    /// Empties the bucket, so that its next token comes at `at`, unless it comes even later.
    pub(super) fn empty_until(&mut self, limit: &Limit, at: Timestamp) {
        let full_at = later(at, limit.period - limit.interval() - ON_THE_WAY);
        if full_at > self.full_at {
            (self.full_at, self.was_full_at) = (full_at, Timestamp::MIN);
        }
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        self.kept == 0 && later(self.full_at, ON_THE_WAY) <= now
    }

    /// When there is a token: now, or later. `behind` is how many are before, whose tokens are kept for them.
    pub(super) fn next(&self, limit: &Limit, behind: u32, now: Timestamp) -> Timestamp {
        // A bucket of one token loses what comes while that is on its way.
        let lost = if limit.count() == 1 { ON_THE_WAY } else { SignedDuration::ZERO };
        let before = (limit.interval() + lost).saturating_mul(as_factor(behind));
        let full_at = later(self.full_at.max(now), before);
        let from = if behind == 0 { self.full_at } else { full_at };
        let at = later(from, limit.interval() - limit.period);
        if at <= self.was_full_at.min(now) { now } else { later(at, ON_THE_WAY).max(now) }
    }

    /// How many tokens are there now.
    pub(super) fn tokens(&self, limit: &Limit, now: Timestamp) -> u32 {
        let missing = self.full_at.duration_since(now).max(SignedDuration::ZERO);
        // Rounded up: a token that is not whole yet is none.
        let taken = (missing.as_nanos() + limit.interval().as_nanos() - 1) / limit.interval().as_nanos();
        limit.count().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Takes a token, whether there is one or not.
    pub(super) fn take(&mut self, limit: &Limit, now: Timestamp) {
        if self.is_full(now) {
            self.was_full_at = now;
        }
        self.full_at = later(self.full_at.max(now), limit.interval());
    }

    /// Gives a token back that was not used.
    pub(super) fn give_back(&mut self, limit: &Limit) {
        self.full_at = later(self.full_at, -limit.interval());
    }

    /// Mends what a clock that was set back left behind: no more than all its tokens can be missing, and no wait that
    /// the CA asked for is longer than it takes to fill.
    pub(super) fn clamp(&mut self, limit: &Limit, now: Timestamp) {
        self.full_at = self.full_at.min(later(now, limit.period * 2));
        self.was_full_at = self.was_full_at.min(now);
    }
}

pub(super) fn as_factor(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let limit = Limit::new(3, SignedDuration::from_secs(30)).unwrap();
        let mut level = Level::full(at(0));
        assert_eq!(level.tokens(&limit, at(0)), 3);
        for left in [2, 1, 0] {
            assert_eq!(level.next(&limit, 0, at(0)), at(0));
            level.take(&limit, at(0));
            assert_eq!(level.tokens(&limit, at(0)), left);
        }
        assert_eq!(level.next(&limit, 0, at(0)), at(10) + ON_THE_WAY);
        assert_eq!(level.next(&limit, 2, at(0)), at(30) + ON_THE_WAY, "two are before");
        assert_eq!((level.tokens(&limit, at(9)), level.tokens(&limit, at(10))), (0, 1));
        assert_eq!((level.tokens(&limit, at(30)), level.tokens(&limit, at(300))), (3, 3));
        assert!(level.is_full(at(30) + ON_THE_WAY) && !level.is_full(at(30)));
    }

    #[test]
    fn a_bucket_that_the_ca_says_is_empty() {
        let limit = Limit::new(2, SignedDuration::from_secs(20)).unwrap();
        let mut level = Level::full(at(0));
        level.empty_until(&limit, at(100));
        assert_eq!(level.next(&limit, 0, at(0)), at(100));
        level.empty_until(&limit, at(50));
        assert_eq!(level.next(&limit, 0, at(0)), at(100));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_block_for_ever() {
        let limit = Limit::new(2, SignedDuration::from_secs(20)).unwrap();
        let mut level = Level::full(at(1_000_000));
        level.take(&limit, at(1_000_000));
        level.clamp(&limit, at(0));
        assert_eq!(level.next(&limit, 0, at(0)), at(30) + ON_THE_WAY);
    }

    #[test]
    fn odd_limits_are_refused() {
        assert_eq!(Limit::new(0, SignedDuration::from_secs(1)), None);
        assert_eq!(Limit::new(1, SignedDuration::ZERO), None);
        assert_eq!(Limit::new(1, SignedDuration::MAX), None);
        let many = Limit::new(u32::MAX, SignedDuration::from_nanos(1)).unwrap();
        assert_eq!(many.interval(), SignedDuration::from_nanos(1));
    }

    #[test]
    fn the_limits_of_a_directory() {
        let of = |url: &str| Limits::of(&url.parse().unwrap());
        assert_eq!(of("https://acme-v02.api.letsencrypt.org/directory"), Limits::LETS_ENCRYPT);
        assert_eq!(
            of("https://acme-staging-v02.api.letsencrypt.org/directory"),
            Limits::LETS_ENCRYPT_STAGING
        );
        assert_eq!(of("https://ca.example/acme-v02.api.letsencrypt.org"), Limits::PRIVATE);
    }
}
