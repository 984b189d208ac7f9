//! Feeding made-up input to whatever reads what others write, by libFuzzer.

use crate::cargo::workspace;
use anyhow::{Context as _, Result, ensure};
use gatecert_testkit::tools::{self, Tool};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// How many inputs a smoke run tries of each target beside its corpus, and for how many seconds at most.
const SMOKE_RUNS: u32 = 20_000;
const SMOKE_SECONDS: u64 = 15;

/// The longest input in bytes.
const MAX_INPUT: u32 = 16 * 1024;

/// The longest that one input may take, in seconds: a time-out for what never ends.
const HANGS: u32 = 30;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz                         a minute for each target
  cargo xtask fuzz order --seconds 3600
  cargo xtask fuzz --smoke                 what CI runs
  cargo xtask fuzz order --sanitizer address --toolchain nightly")]
pub(crate) struct Arguments {
    /// The targets; without any, all.
    targets: Vec<String>,
    /// How long each runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Tries the same few inputs each time.
    #[arg(long)]
    smoke: bool,
    /// What else is looked for; all but `none` need a nightly toolchain.
    #[arg(long, default_value = "none")]
    sanitizer: String,
    /// Another toolchain than the project's.
    #[arg(long)]
    toolchain: Option<String>,
}

/// The smoke run of all targets.
pub(crate) fn smoke() -> Result<()> {
    let sanitizer = "none".to_owned();
    run(&Arguments { targets: Vec::new(), seconds: SMOKE_SECONDS, smoke: true, sanitizer, toolchain: None })
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let cargo_fuzz = tools::ensure(Tool::CargoFuzz)?;
    // Beside the tools, so that another checkout finds built what does not change.
    let folder = tools::cache()?.parent().context("the folder of the cache")?.join("fuzz");
    for target in targets(&arguments.targets)? {
        // What is new is written into the first folder that is named: never into the checkout.
        let found = folder.join(if arguments.smoke { "smoke" } else { "corpus" }).join(&target);
        if arguments.smoke && found.exists() {
            // Each smoke run is the same.
            fs::remove_dir_all(&found)?;
        }
        fs::create_dir_all(&found)?;
        let mut command = Command::new(&cargo_fuzz);
        command.current_dir(workspace()).env("CARGO_TARGET_DIR", folder.join("target"));
        if let Some(toolchain) = &arguments.toolchain {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command.args(["fuzz", "run", "--sanitizer", &arguments.sanitizer, &target]);
        command.arg(&found).arg(format!("fuzz/corpus/{target}"));
        let mut limits = vec![format!("-max_total_time={}", arguments.seconds)];
        if arguments.smoke {
            limits.extend(["-seed=1".to_owned(), format!("-runs={SMOKE_RUNS}")]);
        }
        let input = [format!("-max_len={MAX_INPUT}"), format!("-timeout={HANGS}"), "-verbosity=0".to_owned()];
        command.arg("--").args(limits).args(input);
        eprintln!("$ {command:?}");
        ensure!(
            command.status()?.success(),
            "the target `{target}` failed: the input that does it is named above"
        );
        println!("{target}: nothing found");
    }
    Ok(())
}

/// The targets with these names, or all.
fn targets(names: &[String]) -> Result<Vec<String>> {
    let folder: PathBuf = workspace().join("fuzz/targets");
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).context("the fuzz targets")? {
        all.extend(entry?.path().file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        anyhow::bail!("there is no target `{unknown}`; there are {}", all.join(", "));
    }
    Ok(if names.is_empty() { all } else { names.to_vec() })
}
