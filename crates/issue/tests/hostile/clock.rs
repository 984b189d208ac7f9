//! Time that passes where it is slept.

use async_trait::async_trait;
use gatecert_acme::Clock;
use jiff::Timestamp;
use std::sync::Mutex;
use std::time::Duration;

/// Virtual time: a sleep passes at once, and is counted.
#[derive(Debug)]
pub(crate) struct VirtualClock(Mutex<Duration>);

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Duration::ZERO))
    }

    /// How long was slept in all.
    pub(crate) fn slept(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        start.saturating_add(self.slept()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
        tokio::task::yield_now().await;
    }
}
