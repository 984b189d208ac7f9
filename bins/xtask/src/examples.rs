//! The examples that the guides are made of, against Pebble: what stands in the documentation works.

use crate::cargo::{cargo, target, workspace};
use crate::guides;
use anyhow::{Context as _, Result, ensure};
use gatecert_testkit::{Pebble, Process, free_port, https_client};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The names that the examples get certificates for; Pebble finds every name on this machine.
const NAMES: [&str; 2] = ["www.example.test", "example.test"];

/// An example, and the package that it is of.
#[derive(Clone, Copy)]
struct Example {
    package: &'static str,
    name: &'static str,
}

const ISSUE: Example = Example { package: "gatecert-acme", name: "issue" };
const AXUM_PROGRAM: Example = Example { package: "gatecert-issue", name: "axum_program" };
const AXUM: Example = Example { package: "gatecert-http01", name: "axum" };
const GITOPS: Example = Example { package: "gatecert-render", name: "gitops" };

/// Those that run here.
const ALL: [Example; 4] = [ISSUE, AXUM_PROGRAM, AXUM, GITOPS];

pub(crate) fn run() -> Result<()> {
    guides_run_no_others()?;
    // With the features of all, which `cargo test` has built them with.
    cargo(&["build", "--quiet", "-j2", "--workspace", "--all-features", "--examples"], &[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pebble = runtime.block_on(Pebble::builder().strict(true).start())?;
    acme(&pebble)?;
    runtime.block_on(axum_program(&pebble))?;
    runtime.block_on(axum(&pebble))?;
    gitops()
}

/// What the guides tell the reader to run is what runs here.
fn guides_run_no_others() -> Result<()> {
    for guide in guides::ALL {
        let told = guides::programs(guide)?;
        ensure!(!told.is_empty(), "{guide} does not tell how its example is run");
        for (package, name) in told {
            ensure!(is_run(&package, &name), "{guide}: the example `{name}` of {package} is not run");
        }
    }
    Ok(())
}

/// Whether a command is one that runs an example, among those that run here.
pub(crate) fn are_run_by(command: &str) -> bool {
    guides::program(command).is_some_and(|(package, name)| is_run(&package, &name))
}

fn is_run(package: &str, name: &str) -> bool {
    ALL.iter().any(|example| example.package == package && example.name == name)
}

/// Twice: the second run finds the account that the first has made.
fn acme(pebble: &Pebble) -> Result<()> {
    let folder = folder(pebble)?;
    let [ca_file, account_file] = ["ca.pem", "account.json"].map(|name| folder.path().join(name));
    let mut issue = Command::new(program(ISSUE)?);
    issue.arg(pebble.directory_url().as_str()).args([&ca_file, &account_file]);
    issue.arg(format!("127.0.0.1:{}", pebble.http_port())).args(NAMES);
    for has_account in [false, true] {
        let (out, err) = texts(&issue.output()?)?;
        ensure!(out.matches("BEGIN CERTIFICATE").count() >= 2 && out.contains("PRIVATE KEY"), "{out}");
        ensure!(err.contains("renew it between") && err.contains("agreeing to") != has_account, "{err}");
    }
    ensure!(is_private(&account_file)?, "others may read the account's key");
    println!("the example of gatecert-acme got two certificates by one account");
    Ok(())
}

/// It goes on serving its own page beside the challenges.
async fn axum_program(pebble: &Pebble) -> Result<()> {
    let folder = folder(pebble)?;
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    let address = format!("127.0.0.1:{}", pebble.http_port());
    let directory = pebble.directory_url();
    let arguments = [&[directory.as_str(), "ca.pem", &address, "."], &NAMES[..]].concat();
    let mut process = Process::start("example", &program(AXUM_PROGRAM)?, &arguments, &[], folder)?;
    process
        .wait_ready(|| std::future::ready(fs::read(&certificate).is_ok_and(|pem| !pem.is_empty())))
        .await?;
    let chain = fs::read_to_string(&certificate)?;
    ensure!(chain.matches("BEGIN CERTIFICATE").count() >= 2 && is_private(&key)?, "{chain}");
    let client = https_client(pebble.ca_pem(), &[])?;
    let page = client.get(format!("http://{address}/")).send().await?.text().await?;
    ensure!(page == "a page of the program\n", "{page}");
    let unknown = client.get(format!("http://{address}/.well-known/acme-challenge/unknown")).send().await?;
    ensure!(unknown.status() == 404, "{}", unknown.status());
    println!("the example of gatecert-issue got a certificate beside its page");
    Ok(())
}

/// It answers the token that it was given, for its host alone, beside its own page.
async fn axum(pebble: &Pebble) -> Result<()> {
    let folder = TempDir::with_prefix("gatecert-example-")?;
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [&address, NAMES[0], "token", "token.thumbprint"];
    let mut process = Process::start("example", &program(AXUM)?, &arguments, &[], folder)?;
    let client = https_client(pebble.ca_pem(), &[])?;
    let asked = |host: &'static str, path: &'static str| {
        client.get(format!("http://{address}{path}")).header("host", host).send()
    };
    process.wait_ready(async || asked(NAMES[0], "/").await.is_ok_and(|page| page.status() == 200)).await?;
    let path = "/.well-known/acme-challenge/token";
    let answer = asked(NAMES[0], path).await?.text().await?;
    ensure!(answer == "token.thumbprint", "{answer}");
    let other = asked(NAMES[1], path).await?.status();
    ensure!(other == 404, "{other}");
    println!("the example of gatecert-http01 answers a challenge beside its page");
    Ok(())
}

/// Its files are those that the command prints and the guide shows.
fn gitops() -> Result<()> {
    let folder = TempDir::with_prefix("gatecert-example-")?;
    texts(&Command::new(program(GITOPS)?).arg(folder.path()).output()?)?;
    let written = |name: &str| fs::read_to_string(folder.path().join(name));
    let install = fs::read_to_string(workspace().join("deploy/install.yaml"))?;
    ensure!(written("install.yaml")? == install, "the example of gatecert-render installs something else");
    let guide = "docs/guides/render-gitops.md";
    let shown = guides::blocks(guide, "yaml")?;
    let files = [written("certificates.yaml")?, written("grants.yaml")?];
    ensure!(shown == files, "write this into {guide}:\n{}", files.join("\n"));
    println!("the example of gatecert-render writes what {guide} shows");
    Ok(())
}

/// A folder with the roots of the CA's own HTTPS.
fn folder(pebble: &Pebble) -> Result<TempDir> {
    let folder = TempDir::with_prefix("gatecert-example-")?;
    fs::write(folder.path().join("ca.pem"), pebble.ca_pem())?;
    Ok(folder)
}

fn program(example: Example) -> Result<PathBuf> {
    Ok(target()?.join("debug/examples").join(example.name))
}

fn texts(output: &Output) -> Result<(String, String)> {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    ensure!(output.status.success(), "an example failed: {out}{err}");
    Ok((out, err))
}

fn is_private(file: &Path) -> Result<bool> {
    let metadata = fs::metadata(file).with_context(|| file.display().to_string())?;
    Ok(metadata.permissions().mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_examples_of_crates_are_run() {
        for folder in fs::read_dir(workspace().join("crates")).unwrap() {
            let folder = folder.unwrap().path();
            let package = format!("gatecert-{}", folder.file_name().unwrap().to_str().unwrap());
            for file in fs::read_dir(folder.join("examples")).into_iter().flatten() {
                let file = file.unwrap().path();
                let name = file.file_stem().unwrap().to_str().unwrap();
                assert!(is_run(&package, name), "{package}: {name}");
            }
        }
    }

    #[test]
    fn the_guides_run_examples_that_there_are() {
        guides_run_no_others().unwrap();
        for Example { package, name } in ALL {
            let folder = workspace().join("crates").join(package.trim_start_matches("gatecert-"));
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            assert!(manifest.contains(&format!("\nname = \"{package}\"\n")), "{package}");
            assert!(folder.join(format!("examples/{name}.rs")).is_file(), "{package}: {name}");
        }
    }
}
