//! `cargo xtask lint`

use crate::cargo::cargo;
use crate::codegen;
use anyhow::Result;
use std::process::Command;

pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    let everything = ["-j2", "--workspace", "--all-targets", "--all-features"];
    cargo(&[&["clippy"], &everything[..], &["--", "-D", "warnings"]].concat(), &[])?;
    let doc = ["doc", "-j2", "--workspace", "--no-deps", "--all-features", "--document-private-items"];
    cargo(&doc, &[("RUSTDOCFLAGS", "-D warnings")])?;
    codegen::run(&codegen::Arguments::check())?;
    if Command::new("cargo-deny").arg("--version").output().is_err() {
        println!(
            "cargo-deny is not installed, so licences and bans are not checked (cargo install cargo-deny --locked)"
        );
        return Ok(());
    }
    cargo(&["deny", "check", "licenses", "bans", "sources"], &[])
}
