//! The options of `gatecert serve`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert serve --config /etc/gatecert/gatecert.toml --check
  gatecert serve --config /etc/gatecert/gatecert.toml
  gatecert serve -o json 2>> gatecert.log

Logs to standard error, with -o json one JSON object a line. A configuration that changes is read \
again, at SIGHUP at once; a wrong one changes nothing. SIGHUP also tries again what has failed. \
SIGTERM ends it; what is under way is ended first, or gone on with at the next start.")]
pub(crate) struct Serve {
    /// The configuration.
    #[arg(long, value_name = "FILE", env = "GATECERT_CONFIG", default_value = "gatecert.toml")]
    pub(crate) config: PathBuf,
    /// Only says whether the configuration is right.
    #[arg(long)]
    pub(crate) check: bool,
}
