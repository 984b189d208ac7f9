//! All faults together, for as long as one likes.

use crate::cargo::cargo;
use anyhow::Result;

/// Two replicas of the controller, of which one is killed at once or at a point where it changes something, frozen, or cut
/// off from the API server, or the API server is restarted, while requests to the CA and to the API server fail at random,
/// and Certificates come, change and go. After each round all has to be in order.
///
/// The command line has no part in it: `cargo xtask test` kills that at each of its points.
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
    let test = ["test", "-j2", "--package", "gatecert-controller", "--all-features", "--test", "cluster"];
    let mut variables = vec![("GATECERT_SOAK_MINUTES", arguments.minutes.to_string())];
    variables.extend(arguments.seed.map(|seed| ("GATECERT_SOAK_SEED", seed.to_string())));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    cargo(&test, &variables)
}
