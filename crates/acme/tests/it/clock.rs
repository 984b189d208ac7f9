//! Clocks for tests.

use async_trait::async_trait;
use gatecert_acme::Clock;
use jiff::Timestamp;
use std::sync::Mutex;
use std::time::Duration;

/// Virtual time: a sleep passes at once, and is remembered.
#[derive(Debug)]
pub struct VirtualClock(Mutex<(Timestamp, Vec<Duration>)>);

impl VirtualClock {
    pub fn new() -> Self {
        Self(Mutex::new(("2026-11-23T12:00:00Z".parse().unwrap(), Vec::new())))
    }

    pub fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().1.clone()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    async fn sleep(&self, duration: Duration) {
        {
            let mut state = self.0.lock().unwrap();
            state.0 = state.0.saturating_add(duration).unwrap_or(Timestamp::MAX);
            state.1.push(duration);
        }
        tokio::task::yield_now().await;
    }
}

/// Real time whose sleeps are long enough for a CA on this machine to be through, so that the count of looks is sure.
#[derive(Debug)]
pub struct PatientClock;

#[async_trait]
impl Clock for PatientClock {
    fn now(&self) -> Timestamp {
        gatecert_acme::SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.max(Duration::from_secs(2))).await;
    }
}
