//! `cargo xtask test`

use crate::cargo::cargo;
use crate::{demo, example, tools};
use anyhow::Result;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test --quick    leaves the example and the demo out")]
pub(crate) struct Arguments {
    /// Leaves the example and the demo out.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    tools::for_tests()?;
    cargo(&["test", "-j2", "--workspace", "--all-features"], &[])?;
    if !arguments.quick {
        example::run()?;
        demo::run(&demo::Arguments::once())?;
    }
    println!("all tests passed");
    Ok(())
}
