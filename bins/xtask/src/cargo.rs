//! Running cargo, always in the same way, so that one task finds built what another one built.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `cargo` with these arguments in the workspace; its output goes to the terminal.
pub(crate) fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    // What a task prints to standard output is its result.
    eprintln!("$ cargo {}", arguments.join(" "));
    let mut cargo = Command::new(env!("CARGO"));
    for name in of_this_program() {
        cargo.env_remove(name);
    }
    cargo.args(arguments).envs(variables.iter().copied()).current_dir(workspace());
    if has_openssl() {
        // A dependency of tests; without the system's it is compiled from source, which takes minutes.
        cargo.env("OPENSSL_NO_VENDOR", "1");
    }
    let status = cargo.status().context("cargo can not be run")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.first().copied().unwrap_or_default());
    }
    Ok(())
}

/// What `cargo xtask` sets for this program. ring's build script depends on variables of these names, so that ring and all
/// that needs it would be built anew whenever cargo ran from here after it ran from a shell, or the other way round.
fn of_this_program() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start))
    })
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Builds the command line and gives its path.
pub(crate) fn gatecert(release: bool) -> Result<PathBuf> {
    build("gatecert", "gatecert", release)
}

/// Builds the controller and gives its path.
pub(crate) fn controller(release: bool) -> Result<PathBuf> {
    build("gatecert-controller-bin", "gatecert-controller", release)
}

/// Builds a program that gatecert is measured beside, or is measured as, and gives its path.
pub(crate) fn peer(name: &str) -> Result<PathBuf> {
    build("gatecert-benches", name, true)
}

fn build(package: &str, program: &str, release: bool) -> Result<PathBuf> {
    let (flags, folder): (&[&str], _) = if release { (&["--release"], "release") } else { (&[], "debug") };
    cargo(&[&["build", "--quiet", "-j2", "--package", package, "--bin", program], flags].concat(), &[])?;
    Ok(target()?.join(folder).join(program))
}

/// The folder that cargo builds into.
pub(crate) fn target() -> Result<PathBuf> {
    // This program is in `<target>/debug/`.
    let own = std::env::current_exe().context("the path of this program")?;
    Ok(own.parent().and_then(Path::parent).context("the target folder")?.to_owned())
}

fn has_openssl() -> bool {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--atleast-version=3.0", "openssl"]).output().is_ok_and(|output| output.status.success())
}
