//! When a failed issuance is tried again.

use crate::plan::Wanted;
use gatecert_acme::Retry;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The waits after the first, second and third failure in a row; after more it is [`DAILY`]. This is what Let's
/// Encrypt recommends, and stays below its five failed validations of a name in an hour.
const STEPS: [SignedDuration; 3] =
    [SignedDuration::from_mins(1), SignedDuration::from_mins(10), SignedDuration::from_mins(100)];

/// The wait after many failures, or after one that waiting does not mend.
const DAILY: SignedDuration = SignedDuration::from_hours(24);

/// How far ahead a time of the past may lie. More means that the clock was set back since.
pub(crate) const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// The attempts that failed since the last success, to be kept between looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many, in a row, for what was wanted.
    pub count: u32,
    /// When the last one failed.
    pub last: Timestamp,
    /// The time that the CA asked to wait until, at most a day after the failure.
    pub retry_after_until: Option<Timestamp>,
    /// Whether waiting does not mend it: a refused name, a paused account.
    pub permanent: bool,
    /// What was wanted. When that changes, the failures say nothing about the next attempt.
    pub wanted: Wanted,
}

/// Why the next attempt has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// So many attempts failed in a row.
    Failed {
        /// How many.
        count: u32,
    },
    /// The CA asked to wait.
    RetryAfter,
    /// The CA refused in a way that waiting does not mend; it is asked once a day.
    Refused,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { count: 1 } => f.write_str("the last attempt failed"),
            Self::Failed { count } => write!(f, "the last {count} attempts failed"),
            Self::RetryAfter => f.write_str("the CA asked to wait"),
            Self::Refused => f.write_str("the CA refused for a reason that waiting does not mend"),
        }
    }
}

impl Failures {
    /// With one more failure, whose error answers `retry`.
    pub fn add(previous: Option<&Self>, wanted: &Wanted, retry: Retry, now: Timestamp) -> Self {
        let same = previous.filter(|previous| previous.wanted == *wanted);
        let retry_after_until = match retry {
            Retry::After(wait) => {
                let wait = SignedDuration::try_from(wait).unwrap_or(DAILY).min(DAILY);
                Some(now.saturating_add(wait).unwrap_or(Timestamp::MAX))
            }
            _ => None,
        };
        Self {
            count: same.map_or(0, |same| same.count).saturating_add(1),
            last: now,
            retry_after_until,
            permanent: retry == Retry::No,
            wanted: wanted.clone(),
        }
    }

    /// Until when the next attempt for `wanted` has to wait, and why; `None` when it may be made now.
    pub fn wait(&self, wanted: &Wanted, now: Timestamp) -> Option<(Timestamp, Why)> {
        let is_of_another_clock = self.last.duration_since(now) > MAX_AHEAD;
        if self.count == 0 || self.wanted != *wanted || is_of_another_clock {
            return None;
        }
        let (until, why) = self.until();
        (until > now).then_some((until, why))
    }

    fn until(&self) -> (Timestamp, Why) {
        let step = match self.count {
            _ if self.permanent => DAILY,
            count => STEPS.get(count.saturating_sub(1) as usize).copied().unwrap_or(DAILY),
        };
        let why = if self.permanent { Why::Refused } else { Why::Failed { count: self.count } };
        let after = |wait| self.last.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let until = after(step);
        match self.retry_after_until {
            // What is remembered may have been written by anybody.
            Some(asked) if asked > until => (asked.min(after(DAILY)), Why::RetryAfter),
            _ => (until, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wanted(name: &str) -> Wanted {
        Wanted {
            identifiers: [name.parse().unwrap()].into(),
            key_type: crate::key::KeyType::EcdsaP256,
            directory: "https://ca.test/directory".parse().unwrap(),
            profile: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    /// The waits of a row of failures with this answer, in minutes.
    fn waits(retry: Retry, rounds: usize) -> Vec<i64> {
        let (mut at, mut failures) = (now(), None);
        let mut waits = Vec::new();
        for _ in 0..rounds {
            let next = Failures::add(failures.as_ref(), &wanted("a.test"), retry, at);
            let (until, _) = next.wait(&wanted("a.test"), at).unwrap();
            waits.push(until.duration_since(at).as_mins());
            assert_eq!(next.wait(&wanted("a.test"), until), None);
            (at, failures) = (until, Some(next));
        }
        waits
    }

    #[test]
    fn steps() {
        assert_eq!(waits(Retry::Now, 6), [1, 10, 100, 1440, 1440, 1440]);
        assert_eq!(waits(Retry::No, 3), [1440, 1440, 1440]);
    }

    #[test]
    fn the_ca_is_obeyed_when_it_asks_for_more() {
        assert_eq!(waits(Retry::After(Duration::from_secs(3 * 3600)), 5), [180, 180, 180, 1440, 1440]);
        assert_eq!(waits(Retry::After(Duration::from_secs(1)), 3), [1, 10, 100]);
        assert_eq!(waits(Retry::After(Duration::MAX), 2), [1440, 1440]);
        let failures = Failures::add(None, &wanted("a.test"), Retry::After(Duration::from_secs(3600)), now());
        assert_eq!(failures.wait(&wanted("a.test"), now()).unwrap().1, Why::RetryAfter);
    }

    #[test]
    fn a_change_of_what_is_wanted_forgets() {
        let failures = Failures::add(None, &wanted("a.test"), Retry::No, now());
        assert_eq!(failures.wait(&wanted("a.test"), now()).unwrap().1, Why::Refused);
        assert_eq!(failures.wait(&wanted("b.test"), now()), None);
        assert_eq!(Failures::add(Some(&failures), &wanted("b.test"), Retry::No, now()).count, 1);
        assert_eq!(Failures::add(Some(&failures), &wanted("a.test"), Retry::No, now()).count, 2);
    }

    #[test]
    fn a_clock_that_was_set_back_allows_one_attempt() {
        let failures = Failures::add(None, &wanted("a.test"), Retry::No, now());
        let before = now() - SignedDuration::from_hours(24 * 365);
        assert_eq!(failures.wait(&wanted("a.test"), before), None);
        let again = Failures::add(Some(&failures), &wanted("a.test"), Retry::No, before);
        assert!(again.wait(&wanted("a.test"), before).is_some());
    }

    #[test]
    fn survives_a_round_trip() {
        let failures = Failures::add(None, &wanted("a.test"), Retry::After(Duration::from_secs(9)), now());
        let text = serde_json::to_string(&failures).unwrap();
        assert_eq!(serde_json::from_str::<Failures>(&text).unwrap(), failures);
    }
}
