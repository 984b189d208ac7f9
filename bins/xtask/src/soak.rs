//! All faults together, for as long as one likes.

use crate::cargo::cargo;
use crate::tools;
use anyhow::Result;

/// Kills, freezes and cuts off the controller while the CA and the API server fail at random, and Certificates come, change
/// and go; and looks after each round whether all is in order.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask soak --minutes 60
  cargo xtask soak --minutes 60 --seed 7")]
pub(crate) struct Arguments {
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,

    /// Repeats the choices of an earlier soak, which prints its seed. When things happen is up to the machine.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    tools::for_tests()?;
    let test = ["test", "-j2", "--package", "gatecert-controller", "--all-features", "--test", "cluster"];
    let mut variables = vec![("GATECERT_SOAK_MINUTES", arguments.minutes.to_string())];
    variables.extend(arguments.seed.map(|seed| ("GATECERT_SOAK_SEED", seed.to_string())));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    cargo(&test, &variables)
}
