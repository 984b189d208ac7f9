//! A clock ahead of the machine's.

use async_trait::async_trait;
use gatecert_acme::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct MovedClock(Mutex<SignedDuration>);

impl MovedClock {
    pub fn advance(&self, by: SignedDuration) {
        let mut ahead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead += by;
    }

    pub fn advance_to(&self, time: Timestamp) {
        self.advance(time.duration_since(self.now()));
    }
}

#[async_trait]
impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        // Nobody waits for a repeated request here.
        SystemClock.sleep(duration.min(Duration::from_millis(20))).await;
    }
}
