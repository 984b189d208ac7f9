//! How often an order is looked at, and for how long.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The first wait where the server names none: about the time that a CA on this machine takes for a validation.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Each wait is this many times the one before: 10 ms, 20 ms, 40 ms, … 2.6 s, 5 s, 5 s, … A validation that takes two
/// seconds is seen at the eighth look, at most twice as late as it could be.
const FACTOR: u32 = 2;

/// The longest wait where the server names none.
const LONGEST_OWN_WAIT: Duration = Duration::from_secs(5);

/// The longest wait between two looks that a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long an order is waited for in all. Validation takes seconds; an order that is still not done after this is
/// left alone, and can be resumed by its URL.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The waits between looks at one resource.
#[derive(Debug)]
pub(crate) struct Polling {
    deadline: Timestamp,
    next: Duration,
}

impl Polling {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { deadline: now.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX), next: FIRST_WAIT }
    }

    /// The time until the next look, or `None` where patience is over. `Retry-After` of zero is no reason to hurry
    /// more than otherwise.
    pub(crate) fn wait(&mut self, now: Timestamp, retry_after: Option<Duration>) -> Option<Duration> {
        if now >= self.deadline {
            return None;
        }
        let own = self.next;
        self.next = (own * FACTOR).min(LONGEST_OWN_WAIT);
        Some(retry_after.filter(|wait| !wait.is_zero()).map_or(own, |wait| wait.min(LONGEST_WAIT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut now = Timestamp::UNIX_EPOCH;
        let mut polling = Polling::new(now);
        let mut waits = Vec::new();
        while let Some(wait) = polling.wait(now, None) {
            now += wait;
            waits.push(wait.as_millis());
        }
        assert_eq!(waits[..11], [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000]);
        assert!(waits.len() < 150, "{}", waits.len());
    }

    #[test]
    fn the_server_is_obeyed_within_bounds() {
        let now = Timestamp::UNIX_EPOCH;
        let mut polling = Polling::new(now);
        assert_eq!(polling.wait(now, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(polling.wait(now, Some(Duration::from_secs(9999))), Some(LONGEST_WAIT));
        assert_eq!(polling.wait(now, Some(Duration::ZERO)), Some(Duration::from_millis(40)));
    }
}
