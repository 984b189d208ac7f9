//! `cargo xtask bench shards`: a hundred thousand certificates, in virtual time.

use crate::cargo::peer;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::process::{Command, Stdio};

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

#[derive(Deserialize)]
struct Report {
    shards: usize,
    certificates_of_largest: usize,
    days_until_all_are_issued: f64,
    questions_per_second: f64,
    questions_per_second_at_most: f64,
    questions_per_second_after_restart: f64,
    questions_per_second_of_largest: f64,
    renewals_per_day: f64,
    renewals_per_minute_at_most: f64,
    writes_per_second_for_questions: f64,
    microseconds_per_look: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { certificates, shards, days, output } = arguments;
    let program = peer("shards")?;
    let shards: Vec<_> = shards.iter().map(ToString::to_string).collect();
    let mut simulation = Command::new(program);
    simulation.args(["--certificates", &certificates.to_string(), "--shards", &shards.join(",")]);
    simulation.args(["--days", &days.to_string()]);
    eprintln!("{certificates} certificates for {days} days of virtual time: this takes minutes");
    let ended = simulation.stderr(Stdio::inherit()).output().context("the simulation can not be run")?;
    ensure!(ended.status.success(), "the simulation failed: {}", ended.status);
    if output == "json" {
        println!("{}", String::from_utf8_lossy(&ended.stdout).trim());
        return Ok(());
    }
    let reports: Vec<Report> =
        serde_json::from_slice(&ended.stdout).context("what the simulation printed")?;
    reports.iter().for_each(print);
    Ok(())
}

fn print(report: &Report) {
    println!("{} controllers, {} certificates in the largest", report.shards, report.certificates_of_largest);
    println!("  first issue of all           {:.1} days", report.days_until_all_are_issued);
    println!(
        "  questions about renewals     {:.2} a second, {:.2} in the busiest minute, {:.2} in that behind a restart",
        report.questions_per_second,
        report.questions_per_second_at_most,
        report.questions_per_second_after_restart
    );
    println!("  … of the largest             {:.2} a second", report.questions_per_second_of_largest);
    println!("  writes for their answers     {:.3} a second", report.writes_per_second_for_questions);
    println!(
        "  renewals                     {:.0} a day, {} in the busiest minute",
        report.renewals_per_day, report.renewals_per_minute_at_most
    );
    println!("  planning                     {:.2} µs a look", report.microseconds_per_look);
}
