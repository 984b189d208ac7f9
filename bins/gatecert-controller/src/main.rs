//! The controller of gatecert. All of it is in the library `gatecert-controller`.

use clap::Parser as _;
use gatecert_controller::{Options, run, signals};

/// Gives back what a crowd of issuances took; the C library's keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    options.start_log();
    // kube and the prober take the process's provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::infer().await?;
    Ok(run(options, config, std::sync::Arc::new(gatecert_acme::SystemClock), signals()).await?)
}
