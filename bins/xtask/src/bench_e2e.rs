//! `cargo xtask bench e2e`: from applying a Gateway to the certificate that Envoy serves.

use crate::rig::{Rig, gateway, timed};
use crate::{cargo, tools};
use anyhow::Result;
use gatecert_testkit::cluster::{Network, apply};
use serde_json::json;
use std::time::Duration;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench e2e
  cargo xtask bench e2e --runs 5 -o json")]
pub(crate) struct Arguments {
    /// How many Gateways are applied, one after the other.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    tools::for_tests()?;
    let program = cargo::controller(true)?;
    let network = Network::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = runtime.block_on(async {
        let rig = Rig::start(network, &program).await?;
        let mut times = Vec::new();
        for run in 0..arguments.runs {
            times.push(one(&rig, run).await?);
            eprintln!("run {}: {:.0?}", run + 1, times[run]);
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    times.sort_unstable();
    print(arguments, &times);
    Ok(())
}

async fn one(rig: &Rig, run: usize) -> Result<Duration> {
    let (name, host) = (format!("bench-{run}"), format!("www.bench-{run}.test"));
    let manifest = gateway(&name, &[&host]);
    let (time, _) = timed(async {
        apply(&rig.cluster.client, &manifest).await?;
        rig.served(&host, &[]).await
    })
    .await?;
    Ok(time)
}

fn print(arguments: &Arguments, times: &[Duration]) {
    let millis = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    let (least, median, most) = (times.first(), times.get(times.len() / 2), times.last());
    if arguments.output == "json" {
        let figures = json!({"runs": times.len(), "min_ms": millis(least), "median_ms": millis(median), "max_ms": millis(most)});
        println!("{figures}");
        return;
    }
    println!(
        "from `apply` to served by Envoy, {} runs: median {} ms ({} to {})",
        times.len(),
        millis(median),
        millis(least),
        millis(most)
    );
}
