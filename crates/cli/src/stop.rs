//! Being told to stop: Ctrl-C and SIGTERM.

use crate::Exit;
use crate::error::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// Runs to the end, or until a signal comes; then what it held is dropped, and so cleaned up.
pub(crate) async fn or_stopped<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        outcome = work => outcome,
        () = told() => Err(Failure {
            exit: Exit::Stopped,
            kind: "stopped",
            message: "stopped by a signal".into(),
            hint: Some("nothing is lost: the same command goes on with the same order".into()),
            names: Vec::new(),
            retry: None,
        }),
    }
}

async fn told() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
