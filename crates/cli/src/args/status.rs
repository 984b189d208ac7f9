//! `gatecert status`

use super::ClusterArguments;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gatecert status -A
  gatecert status -n shop -o wide
  gatecert status -A --watch
  gatecert status -A --check --quiet -o json > status.json || echo look at it

READY is `yes`, `no`, or `late`: what is published holds, but its renewal fails or does not come. \
The bars reach from now to the end of each certificate, and change where its renewal is due. With \
-A the limits of the CAs are shown too, as the Certificates remember what was ordered. \
`-o wide` shows all names, Secrets and times in full; `-o json` gives programs all of it, with \
--watch in one line for each change.

A look ends with 0, whatever it shows; with --check with 1, unless every certificate is ready.")]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Looks into all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Goes on, and shows every change, until Ctrl-C.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Ends with 1 unless every certificate is ready and none is late.
    #[arg(long, conflicts_with = "watch")]
    pub(crate) check: bool,
}
