//! Let's Encrypt certificates for Istio and Envoy gateways, on the command line. All of it is in `gatecert-cli`.

use gatecert_acme::SystemClock;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // kube takes the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    gatecert_cli::run(std::env::args_os(), Arc::new(SystemClock)).await.into()
}
