//! `cargo xtask bench e2e`: from a Gateway to the certificate that Envoy serves.

mod at_once;
mod by_hand;
mod one_by_one;
mod pushes;
mod report;

use crate::cargo;
use crate::rig::Rig;
use anyhow::{Context as _, Result, ensure};
use gatecert_testkit::cluster::Network;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench e2e
  cargo xtask bench e2e --runs 50 --renewals 50 --hosts 200
  cargo xtask bench e2e --runs 5 --renewals 0 --hosts 0 -o json")]
pub(crate) struct Arguments {
    /// How many Gateways are applied, one after the other.
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: usize,
    /// How many of their certificates are renewed, one after the other.
    #[arg(long, value_name = "N", default_value_t = 10)]
    renewals: usize,
    /// How many hosts are annotated at once, each on a Gateway of its own that is there already; each count is a run of its
    /// own, in a cluster of its own, and so is its control: as many VirtualServices, applied by hand when the controller
    /// wrote its routes. 0 leaves this out.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,50,200")]
    hosts: Vec<usize>,
    /// Measures this controller, instead of one that is built from here for release.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.renewals <= arguments.runs, "only what was applied by `--runs` can be renewed");
    let program = match &arguments.program {
        Some(program) => program.canonicalize().with_context(|| program.display().to_string())?,
        None => cargo::controller(true)?,
    };
    let network = Network::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut figures = serde_json::Map::new();
    if arguments.runs > 0 {
        let (applied, renewed) = runtime.block_on(async {
            let rig = Rig::start(network, &program).await?;
            one_by_one::run(&rig, arguments.runs, arguments.renewals).await
        })?;
        figures.insert("appliedToServedMs".to_owned(), applied);
        figures.insert("renewalAskedToServedMs".to_owned(), renewed);
    }
    let mut all_at_once = Vec::new();
    for &hosts in arguments.hosts.iter().filter(|hosts| **hosts > 0) {
        let (mut at_once, writes) = runtime.block_on(async {
            let rig = Rig::start(network, &program).await?;
            at_once::run(&rig, hosts).await
        })?;
        let by_hand = runtime.block_on(async {
            let rig = Rig::start(network, &program).await?;
            by_hand::run(&rig, hosts, &writes).await
        })?;
        at_once["istiodByHand"] = by_hand;
        at_once["pushTimeRatio"] = report::push_time_ratio(&at_once).into();
        all_at_once.push(at_once);
    }
    figures.insert("atOnce".to_owned(), all_at_once.into());
    match arguments.output.as_str() {
        "json" => println!("{:#}", json!(figures)),
        _ => print!("{}", report::text(&json!(figures))),
    }
    Ok(())
}
