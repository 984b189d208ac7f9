//! `cargo xtask codegen`: the files that are generated from the code.

use crate::cargo::{gatecert, workspace};
use crate::{chart, guides};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask codegen
  cargo xtask codegen --check    fails where a file would change, and changes none")]
pub(crate) struct Arguments {
    /// Changes nothing; fails where something would change.
    #[arg(long)]
    check: bool,
}

impl Arguments {
    pub(crate) fn check() -> Self {
        Self { check: true }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let program = gatecert(false)?;
    let render = |what: &str| print(Command::new(&program).args(["render", what]));
    for (name, text) in [
        ("docs/cli.md", cli_reference(&program)?),
        ("deploy/crds.yaml", render("crds")?),
        ("deploy/install.yaml", render("install")?),
    ] {
        compare(name, &text, arguments.check)?;
    }
    for name in guides::ALL {
        compare(name, &guides::renewed(name)?, arguments.check)?;
    }
    for (name, text) in chart::files()? {
        compare(&name, &text, arguments.check)?;
    }
    Ok(())
}

/// Writes a file that differs from what it should be, or fails because of it.
fn compare(name: &str, text: &str, is_check: bool) -> Result<()> {
    let path = workspace().join(name);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    match (old == text, is_check) {
        (true, _) => println!("{name} is up to date"),
        (false, true) => bail!("{name} is not up to date: run `cargo xtask codegen`"),
        (false, false) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, text).with_context(|| format!("{name} can not be written"))?;
            println!("wrote {name}");
        }
    }
    Ok(())
}

fn print(command: &mut Command) -> Result<String> {
    let output = command.output().context("gatecert can not be run")?;
    anyhow::ensure!(output.status.success(), "gatecert failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The help of every command, as the program prints it.
fn cli_reference(program: &Path) -> Result<String> {
    let mut text =
        String::from("# The commands of gatecert\n\nGenerated from the program by `cargo xtask codegen`.\n");
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let help = help(program, &command)?;
        let name = [&["gatecert".to_owned()], command.as_slice()].concat().join(" ");
        write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end())?;
        let below = subcommands(&help).into_iter().rev();
        commands.extend(below.map(|name| [command.as_slice(), &[name]].concat()));
    }
    Ok(text)
}

fn help(program: &Path, command: &[String]) -> Result<String> {
    let mut run = Command::new(program);
    // The width and the variables of the terminal must not matter.
    run.args(command).arg("--help").env_clear().env("COLUMNS", "100");
    let output = run.output().with_context(|| format!("`{}` can not be run", program.display()))?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

/// The names below `Commands:` in a help text.
fn subcommands(help: &str) -> Vec<String> {
    let section = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    section
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
