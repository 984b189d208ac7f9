//! `cargo xtask lint`

use crate::cargo::{cargo, workspace};
use crate::{codegen, packages, public_api};
use anyhow::{Result, ensure};
use gatecert_testkit::tools::{self, Tool};
use std::path::Path;
use std::process::Command;

pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"], &[])?;
    let everything = ["-j2", "--workspace", "--all-targets", "--all-features"];
    cargo(&[&["clippy"], &everything[..], &["--", "-D", "warnings"]].concat(), &[])?;
    let doc = ["doc", "-j2", "--workspace", "--no-deps", "--all-features", "--document-private-items"];
    cargo(&doc, &[("RUSTDOCFLAGS", "-D warnings")])?;
    codegen::run(&codegen::Arguments::check())?;
    public_api::check()?;
    packages::check()?;
    let deny = tools::ensure(Tool::CargoDeny)?;
    check_dependencies(&deny, &["--all-features", "check", "licenses", "bans", "sources"])?;
    check_advisories(&deny)
}

/// What is known against the dependencies. The database of it has to be fetched each time: a machine that can not reach
/// it says so and goes on, since nothing that is checked in can mend that.
fn check_advisories(deny: &Path) -> Result<()> {
    eprintln!("$ cargo-deny fetch db");
    let fetched = Command::new(deny).args(["fetch", "db"]).current_dir(workspace()).output()?;
    if !fetched.status.success() {
        let why = String::from_utf8_lossy(&fetched.stderr);
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        eprintln!("advisories were not looked at, their database can not be fetched: {why}");
        return Ok(());
    }
    // What was fetched is not fetched again.
    check_dependencies(deny, &["--all-features", "--offline", "check", "advisories"])
}

fn check_dependencies(deny: &Path, arguments: &[&str]) -> Result<()> {
    eprintln!("$ cargo-deny {}", arguments.join(" "));
    let status = Command::new(deny).args(arguments).current_dir(workspace()).status()?;
    ensure!(status.success(), "cargo-deny failed");
    Ok(())
}
