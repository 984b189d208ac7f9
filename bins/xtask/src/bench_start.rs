//! `cargo xtask bench start`: how long the programs take until they are of use.

use crate::{cargo, controller, percentiles};
use anyhow::{Result, bail, ensure};
use gatecert_testkit::cluster::{ApiServer, Network, apply, install_definitions, namespace};
use gatecert_testkit::{Process, https_client};
use jiff::Timestamp;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often the controller is asked whether it is ready.
const INTERVAL: Duration = Duration::from_micros(500);

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench start
  cargo xtask bench start --runs 100 -o json")]
pub(crate) struct Arguments {
    /// How often each program is started.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0, "runs begin at 1");
    let (gatecert, controller) = (cargo::gatecert(true)?, cargo::controller(true)?);
    let network = Network::enter()?;
    let help: Vec<_> = (0..arguments.runs).map(|_| help(&gatecert)).collect::<Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ready = runtime.block_on(ready(network, &controller, arguments.runs))?;
    let [help, ready] = [help, ready].map(|times| percentiles::milliseconds(&times));
    if arguments.output == "json" {
        println!("{:#}", json!({"gatecertHelpMs": help, "controllerReadyMs": ready}));
    } else {
        println!("gatecert --help            {}", percentiles::text(&help));
        println!("gatecert-controller, ready {}", percentiles::text(&ready));
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// How long the command line takes to print its help.
fn help(program: &Path) -> Result<Duration> {
    let begun = now();
    let status = Command::new(program).arg("--help").stdout(Stdio::null()).status()?;
    let took = now().duration_since(begun).unsigned_abs();
    ensure!(status.success(), "gatecert --help failed");
    Ok(took)
}

/// How long a controller takes, in a cluster without Certificates, until it says that it is ready.
async fn ready(network: Network, program: &Path, runs: usize) -> Result<Vec<Duration>> {
    network.add_address(controller::RESPONDER)?;
    let server = ApiServer::start(&network).await?;
    let client = server.client().await?;
    install_definitions(&client).await?;
    controller::install(&client).await?;
    apply(&client, &namespace("istio-system")).await?;
    let (asking, mut times) = (https_client("", &[])?, Vec::new());
    for _ in 0..runs {
        let (mut controller, begun) = controller::launch(&server, program, "warn").await?;
        wait_ready(&controller, &asking).await?;
        times.push(now().duration_since(begun).unsigned_abs());
        controller.signal("TERM")?;
        controller.ended().await?;
    }
    Ok(times)
}

async fn wait_ready(controller: &Process, asking: &reqwest::Client) -> Result<()> {
    let ready = controller::ready_url();
    let asked = tokio::time::timeout(PATIENCE, async {
        while !asking.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(INTERVAL).await;
        }
    });
    match asked.await {
        Ok(()) => Ok(()),
        Err(_) => bail!("the controller is not ready after {PATIENCE:?}:\n{}", controller.log()),
    }
}
