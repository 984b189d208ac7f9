//! `cargo xtask test`

use crate::cargo::cargo;
use crate::{example, tools};
use anyhow::{Context as _, Result, ensure};
use std::process::Command;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test --quick    leaves the example and the demos out")]
pub(crate) struct Arguments {
    /// Leaves the example and the demos out.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    tools::for_tests()?;
    cargo(&["test", "-j2", "--workspace", "--all-features"], &[])?;
    if !arguments.quick {
        example::run()?;
        // Each in a process of its own: one of them goes into a network of its own.
        for demo in [&["demo", "--once"][..], &["demo", "--plain-envoy", "--once"]] {
            this_program(demo)?;
        }
    }
    println!("all tests passed");
    Ok(())
}

fn this_program(arguments: &[&str]) -> Result<()> {
    let program = std::env::current_exe().context("the path of this program")?;
    let status = Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "`cargo xtask {}` failed", arguments.join(" "));
    Ok(())
}
