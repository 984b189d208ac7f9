//! Cutting a task off at a chosen point, as a kill does.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Lets so many points pass, and never comes back from the next one.
#[derive(Debug)]
pub struct Cut {
    left: AtomicUsize,
    reached: Notify,
}

impl Cut {
    pub fn after(points: usize) -> Self {
        Self { left: AtomicUsize::new(points), reached: Notify::new() }
    }

    pub async fn point(&self) {
        let is_passed =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !is_passed {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Runs the future until it is through or reaches the point; then it is dropped where it stands.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.reached.notified() => None,
            output = future => Some(output),
        }
    }
}
