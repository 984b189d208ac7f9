//! `cargo xtask bench scale`: many Certificates at once, on a real API server and Pebble.

mod crowd;
mod plane;
mod plot;
mod published;
mod report;
mod requests;
mod usage;

use crate::cargo;
use anyhow::{Result, bail, ensure};
use gatecert_testkit::cluster::Network;
use plane::Plane;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How often a run is begun anew where Pebble has locked itself up, which it does in about one of ten.
const ATTEMPTS: usize = 3;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench scale
  cargo xtask bench scale --certificates 200 --names 5 --plot target/plots
  cargo xtask bench scale --published --certificates 10000 --foreign-secrets 10000
  cargo xtask bench scale --certificates 200 -o json")]
pub(crate) struct Arguments {
    /// How many Certificates there are; each count is a run of its own.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,50,200,1000")]
    certificates: Vec<usize>,
    /// How many names each has.
    #[arg(long, value_name = "M", default_value_t = 1)]
    names: usize,
    /// The Certificates are published and valid already: what does it cost to hold them?
    #[arg(long)]
    published: bool,
    /// So many Secrets of others, of 100 kB each, are there too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    foreign_secrets: usize,
    /// Writes a plot of Certificates that are ready over time for each run into this folder, as SVG.
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Measures this controller, instead of one that is built from here for release.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!((1..=100).contains(&arguments.names), "a certificate has 1 to 100 names");
    ensure!(!arguments.certificates.contains(&0), "counts of Certificates begin at 1");
    let program = arguments.program.clone().map_or_else(|| cargo::controller(true), Ok)?;
    let network = Network::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all = Vec::new();
    for &count in &arguments.certificates {
        let figures = runtime.block_on(measure(network, &program, count, arguments))?;
        if arguments.output == "text" {
            println!("{}", report::text(&figures));
        }
        all.push(figures);
    }
    if arguments.output == "json" {
        println!("{:#}", Value::from(all));
    }
    Ok(())
}

/// One run, with everything anew: Pebble gets slower with what it has issued.
async fn measure(network: Network, program: &Path, count: usize, arguments: &Arguments) -> Result<Value> {
    for _ in 0..ATTEMPTS {
        let plane = Plane::start(network).await?;
        plane.foreign_secrets(arguments.foreign_secrets).await?;
        let measured = match arguments.published {
            true => published::run(&plane, program, count).await,
            false => crowd::run(&plane, program, count, arguments).await,
        };
        if measured.is_ok() || !plane.pebble_is_stuck() {
            return measured;
        }
        eprintln!(
            "Pebble has locked itself up, as it does where an order is read while it is completed: once more"
        );
    }
    bail!("Pebble has locked itself up {ATTEMPTS} times");
}
