//! Headless Chromium.

use gatecert_testkit::tools::{Tool, ensure_async};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// How long it may take to start and to draw a page, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nothing but the page is asked for, and nothing is kept.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
];

/// What a browser made of a page.
pub(crate) struct Shown {
    /// The document, after the browser has read it.
    pub(crate) dom: String,
    /// What was written to its console, such as what a policy has refused.
    pub(crate) console: Vec<String>,
}

/// Reads a page.
pub(crate) async fn read(url: &str) -> Result<Shown, Box<dyn Error + Send + Sync>> {
    let output = run(&["--enable-logging=stderr", "--dump-dom", url]).await?;
    let [dom, log] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    // The browser has pages of its own, which tell of a slow network.
    let is_of_page = |line: &&str| line.contains("CONSOLE") && !line.contains("source: chrome://");
    let console = log.lines().filter(is_of_page).map(str::to_owned).collect();
    Ok(Shown { dom, console })
}

/// Draws a page of this size into a PNG. `more` are further flags.
pub(crate) async fn draw(
    url: &str,
    (width, height): (u32, u32),
    more: &[&str],
    to: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (size, to_file) =
        (format!("--window-size={width},{height}"), format!("--screenshot={}", to.display()));
    run(&[&[size.as_str(), &to_file], more, &[url]].concat()).await?;
    Ok(())
}

async fn run(arguments: &[&str]) -> Result<std::process::Output, Box<dyn Error + Send + Sync>> {
    let program = ensure_async(Tool::Chromium).await?;
    let home = tempfile::TempDir::with_prefix("gatecert-chromium-")?;
    let profile = format!("--user-data-dir={}", home.path().display());
    let mut command = Command::new(program);
    command.args(FLAGS).arg(profile).args(arguments).env("HOME", home.path()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await??;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
