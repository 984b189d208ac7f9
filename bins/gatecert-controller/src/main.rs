//! The controller of gatecert. All of it is in the library `gatecert-controller`.

use clap::Parser as _;
use gatecert_controller::Options;
use std::process::ExitCode;
use std::sync::Arc;

/// Gives back what a crowd of issuances took; the C library's keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // kube and the prober take the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    gatecert_controller::run_until_signal(Options::parse(), Arc::new(gatecert_acme::SystemClock)).await
}
