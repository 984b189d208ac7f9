//! The example of gatecert-acme against Pebble: what stands in its documentation works.

use crate::cargo::{cargo, target};
use anyhow::{Result, ensure};
use gatecert_testkit::Pebble;
use std::process::Command;

pub(crate) fn run() -> Result<()> {
    cargo(
        &["build", "--quiet", "-j2", "--package", "gatecert-acme", "--all-features", "--example", "issue"],
        &[],
    )?;
    let program = target()?.join("debug/examples/issue");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pebble = runtime.block_on(Pebble::builder().strict(true).start())?;
    let folder = tempfile::TempDir::with_prefix("gatecert-example-")?;
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pebble.ca_pem())?;
    let listen = format!("127.0.0.1:{}", pebble.http_port());
    let mut example = Command::new(&program);
    example
        .arg(pebble.directory_url().as_str())
        .arg(&ca_file)
        .arg(listen)
        .args(["www.example.test", "example.test"]);
    let output = example.output()?;
    let chain = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && chain.matches("BEGIN CERTIFICATE").count() >= 2,
        "the example of gatecert-acme failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!(
        "the example of gatecert-acme got a chain of {} certificates",
        chain.matches("BEGIN CERTIFICATE").count()
    );
    Ok(())
}
