//! `cargo xtask test`

use crate::cargo::{cargo, target};
use crate::{examples, fuzz, tools};
use anyhow::Result;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test --quick    leaves fuzzing, the examples and the demos out")]
pub(crate) struct Arguments {
    /// Leaves fuzzing, the examples (those of the documents too) and the demos out.
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    tools::for_tests()?;
    // The figures too, which the documents quote.
    cargo(&["test", "-j2", "--workspace", "--all-features", "--", "--show-output"], &[])?;
    if !arguments.quick {
        fuzz::smoke()?;
        examples::run()?;
        // Each by a cargo of its own, as a user has it: some go into a network of their own, and the tests'
        // build has put another program where this one was.
        let drawn = target()?.join("demo.svg").display().to_string();
        let tasks = [
            // Once, and drawn: what the README shows comes from such a run.
            &["xtask", "demo", "--picture", &drawn][..],
            &["xtask", "demo", "--plain-envoy", "--once"],
            &["xtask", "readme"],
        ];
        for task in tasks {
            cargo(task, &[])?;
        }
    }
    println!("all tests passed");
    Ok(())
}
