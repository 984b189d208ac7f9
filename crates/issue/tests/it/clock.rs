//! A clock whose long waits are short.

use async_trait::async_trait;
use gatecert_acme::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use std::sync::Mutex;
use std::time::Duration;

/// Waits of a second and more take a two-hundredth of their time, and the clock shows that they passed.
#[derive(Debug, Default)]
pub struct FastClock(Mutex<SignedDuration>);

impl FastClock {
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        if duration < Duration::from_secs(1) {
            return tokio::time::sleep(duration).await;
        }
        tokio::time::sleep(duration / 200).await;
        *self.0.lock().unwrap() += SignedDuration::try_from(duration).unwrap();
    }
}
