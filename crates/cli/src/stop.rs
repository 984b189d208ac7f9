//! Being told to stop: Ctrl-C and SIGTERM.

use crate::Exit;
use crate::error::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// What holds of an issuance that was stopped.
pub(crate) const GOES_ON: &str = "nothing is lost: the same command goes on with the order that was begun";

/// Runs to the end, or until a signal comes; then what it held is dropped, and so cleaned up, and `hint` is said.
pub(crate) async fn or_stopped<T>(
    work: impl Future<Output = Result<T, Failure>>,
    hint: Option<&str>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = work => outcome,
        () = told() => Err(Failure {
            exit: Exit::Stopped,
            kind: "stopped",
            message: "stopped by a signal".into(),
            hint: hint.map(str::to_owned),
            names: Vec::new(),
            retry: None,
        }),
    }
}

/// Completes at Ctrl-C or SIGTERM.
pub(crate) async fn told() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
