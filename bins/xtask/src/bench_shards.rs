//! `cargo xtask bench shards`: a hundred thousand certificates, in virtual time.

use crate::cargo::peer;
use anyhow::{Context as _, Result, ensure};
use std::process::Command;

/// Many certificates at Let's Encrypt's limits, split over controllers that share nothing, each with an account of its own:
/// the planner and the budget decide, in virtual time. Half way all controllers are restarted.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench shards
  cargo xtask bench shards --certificates 10000 --shards 1,2,5 --days 180
  cargo xtask bench shards -o json")]
pub(crate) struct Arguments {
    /// How many certificates there are.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    certificates: usize,
    /// Over how many controllers they are split; each count is a run of its own.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,10")]
    shards: Vec<usize>,
    /// How long it goes on once all are issued.
    #[arg(long, value_name = "N", default_value_t = 90)]
    days: u32,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { certificates, shards, days, output } = arguments;
    let program = peer("shards")?;
    let shards: Vec<_> = shards.iter().map(ToString::to_string).collect();
    let mut simulation = Command::new(program);
    simulation.args(["--certificates", &certificates.to_string(), "--shards", &shards.join(",")]);
    simulation.args(["--days", &days.to_string(), "--output", output]);
    eprintln!("{certificates} certificates for {days} days of virtual time: this takes minutes");
    let ended = simulation.status().context("the simulation can not be run")?;
    ensure!(ended.success(), "the simulation failed: {ended}");
    Ok(())
}
