//! Time, as the rest of the workspace sees it.

use async_trait::async_trait;
use jiff::Timestamp;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// Where the time comes from, and how one waits.
///
/// Everything that reads a time or waits takes a `Clock`, so that tests run years in a moment.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// Time since some moment of this process, on a clock that is never set and never goes back; unless an
    /// implementation says otherwise, the one that tokio's timer waits on.
    fn monotonic(&self) -> Duration {
        monotonic()
    }

    /// Waits for `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The clock of the operating system; waits on tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
