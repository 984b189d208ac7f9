//! `cargo xtask bench micro`: pieces of the code, by Criterion.

use crate::cargo::cargo;
use anyhow::Result;

/// Signing, nonces, reading answers, planning, rendering, placing, verifying, responding. Criterion compares with the run
/// before and keeps its figures in `target/criterion`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench micro
  cargo xtask bench micro jws
  cargo xtask bench micro --list
  cargo xtask bench micro place --save-baseline main")]
pub(crate) struct Arguments {
    /// Only those with this in their name.
    filter: Option<String>,
    /// Prints the names alone.
    #[arg(long)]
    list: bool,
    /// Keeps the figures by this name.
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    save_baseline: Option<String>,
    /// Compares with the figures of this name.
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut line = vec!["bench", "--quiet", "-j2", "--package", "gatecert-benches", "--bench", "micro", "--"];
    line.extend(arguments.filter.as_deref());
    line.extend(arguments.list.then_some("--list"));
    for (name, value) in [("--save-baseline", &arguments.save_baseline), ("--baseline", &arguments.baseline)]
    {
        line.extend(value.iter().flat_map(|value| [name, value.as_str()]));
    }
    cargo(&line, &[])
}
