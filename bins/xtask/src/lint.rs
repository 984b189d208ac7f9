//! `cargo xtask lint`

use crate::cargo::{cargo, workspace};
use crate::{codegen, packages, public_api};
use anyhow::{Result, ensure};
use gatecert_testkit::tools::{self, Tool};
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
    let arguments = ["--all-features", "check", "licenses", "bans", "sources"];
    eprintln!("$ cargo-deny {}", arguments.join(" "));
    let status = Command::new(deny).args(arguments).current_dir(workspace()).status()?;
    ensure!(status.success(), "cargo-deny failed");
    Ok(())
}
