//! `cargo xtask demo`

use crate::{cluster_demo, picture, plain_envoy};
use anyhow::Result;
use gatecert_testkit::cluster::Network;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask demo                  goes on until Ctrl-C
  cargo xtask demo --once           ends by itself, with exit code 0 if all went well
  cargo xtask demo --plain-envoy    without a cluster: the command line and one Envoy
  cargo xtask demo --picture docs/images/demo.svg")]
pub(crate) struct Arguments {
    /// Without a cluster: the command line gets a certificate, an Envoy that stands alone serves it.
    #[arg(long)]
    plain_envoy: bool,
    /// Ends by itself instead of waiting for Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Ends by itself, and draws what it has printed, as SVG.
    #[arg(long, value_name = "FILE", conflicts_with = "plain_envoy")]
    picture: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.plain_envoy {
        let program = crate::cargo::gatecert(false)?;
        return until_stopped(plain_envoy::run(&program, arguments.once));
    }
    if let Some(file) = &arguments.picture {
        return picture::draw(&["demo", "--once"], file);
    }
    let program = crate::cargo::controller(false)?;
    let network = Network::enter()?;
    until_stopped(cluster_demo::run(network, &program, arguments.once))
}

/// Runs a demo to its end, or to Ctrl-C. Dropping the servers ends them, and removes their files.
fn until_stopped(demo: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = demo => outcome,
            _ = tokio::signal::ctrl_c() => stopped(),
            _ = terminate.recv() => stopped(),
        }
    })
}

fn stopped() -> Result<()> {
    eprintln!("stopped");
    Ok(())
}
