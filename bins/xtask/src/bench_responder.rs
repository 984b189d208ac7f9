//! `cargo xtask bench responder`: the responder beside nginx.

mod server;
mod wrk;

use crate::cargo::peer;
use crate::percentiles::median;
use anyhow::{Context as _, Result, bail, ensure};
use gatecert_testkit::tools::{self, Tool};
use serde_json::{Value, json};
use server::{Kind, Programs};
use std::process::Command;
use wrk::Figures;

/// gatecert's responder, and nginx with `return 200` and the same body on the same path, by turns, under the same load of
/// wrk: on one core each, and on both cores together; with connections that are kept, and with one for each request.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench responder
  cargo xtask bench responder --runs 11 --seconds 10
  cargo xtask bench responder -o json

nginx and wrk are Debian's packages. Where they are not on PATH they are downloaded and unpacked into the cache of tools.")]
pub(crate) struct Arguments {
    /// How often each server runs for each kind of load.
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// How long each run is.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u32,
    /// How many connections there are at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: u32,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

/// A kind of load.
#[derive(Clone, Copy)]
struct Load {
    /// The server has core 1 and wrk core 0; else both have both.
    has_own_core: bool,
    /// Connections are kept; else each request has its own.
    keeps_alive: bool,
}

const LOADS: [Load; 4] = [
    Load { has_own_core: true, keeps_alive: true },
    Load { has_own_core: true, keeps_alive: false },
    Load { has_own_core: false, keeps_alive: true },
    Load { has_own_core: false, keeps_alive: false },
];

impl Load {
    fn server_cores(self) -> &'static str {
        if self.has_own_core { "1" } else { "0,1" }
    }

    fn client_cores(self) -> &'static str {
        if self.has_own_core { "0" } else { "0,1" }
    }

    /// Workers of nginx, and threads of wrk.
    fn threads(self) -> u32 {
        if self.has_own_core { 1 } else { 2 }
    }

    fn name(self) -> String {
        let cores =
            if self.has_own_core { "server on core 1, wrk on core 0" } else { "both on cores 0 and 1" };
        let connections =
            if self.keeps_alive { "connections are kept" } else { "a connection for each request" };
        format!("{cores}, {connections}")
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0 && arguments.seconds > 0 && arguments.connections > 1, "too few to measure");
    let programs = Programs {
        responder: peer("responder-peer")?,
        nginx: tools::ensure(Tool::Nginx).context(INSTALL)?,
        wrk: tools::ensure(Tool::Wrk).context(INSTALL)?,
    };
    let taskset = Command::new("taskset").args(["-c", "0,1", "true"]).status();
    let taskset = taskset.context("`taskset` can not be run: install util-linux")?;
    ensure!(taskset.success(), "cores 0 and 1 are needed");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Vec::new();
    for load in LOADS {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..arguments.runs {
            for (kind, figures) in Kind::BOTH.into_iter().zip(&mut figures) {
                figures.push(runtime.block_on(async {
                    // A server is ended in order, whoever interrupts.
                    tokio::select! {
                        figures = measure(kind, load, &programs, arguments) => figures,
                        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                    }
                })?);
            }
        }
        let medians = figures.map(|runs| medians(&runs));
        if arguments.output == "text" {
            print_table(load, &medians);
        }
        report.push(as_json(load, &medians));
    }
    if arguments.output == "json" {
        println!("{:#}", Value::from(report));
    }
    Ok(())
}

const INSTALL: &str = "install nginx and wrk yourself (Debian: apt-get install nginx-light wrk), or run `apt-get update` and try again";

/// One run of a server that is new.
async fn measure(kind: Kind, load: Load, programs: &Programs, arguments: &Arguments) -> Result<Figures> {
    let server = server::start(kind, load, programs).await?;
    // What is only done once is done before.
    wrk::run(&server, load, programs, arguments.connections, 1).await?;
    let before = server.cpu_seconds()?;
    let mut figures = wrk::run(&server, load, programs, arguments.connections, arguments.seconds).await?;
    figures.per_cpu_second = figures.requests / (server.cpu_seconds()? - before);
    Ok(figures)
}

fn medians(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure));
    Figures {
        requests: of(|run| run.requests),
        per_second: of(|run| run.per_second),
        per_cpu_second: of(|run| run.per_cpu_second),
        p50_ms: of(|run| run.p50_ms),
        p99_ms: of(|run| run.p99_ms),
    }
}

fn print_table(load: Load, medians: &[Figures; 2]) {
    println!("\n{}", load.name());
    println!("{:10} requests/s   per CPU s   p50 ms   p99 ms", "");
    for (kind, figures) in Kind::BOTH.into_iter().zip(medians) {
        let Figures { per_second, per_cpu_second, p50_ms, p99_ms, .. } = figures;
        println!("{:10} {per_second:10.0} {per_cpu_second:11.0} {p50_ms:8.3} {p99_ms:8.3}", kind.name());
    }
    let [ours, theirs] = medians;
    println!(
        "gatecert, times nginx: {:.2} requests/s, {:.2} per CPU s",
        ours.per_second / theirs.per_second,
        ours.per_cpu_second / theirs.per_cpu_second
    );
}

fn as_json(load: Load, medians: &[Figures; 2]) -> Value {
    let servers: Vec<Value> = Kind::BOTH
        .into_iter()
        .zip(medians)
        .map(|(kind, figures)| {
            json!({"server": kind.name(), "requestsPerSecond": figures.per_second,
                "requestsPerCpuSecond": figures.per_cpu_second, "p50Ms": figures.p50_ms, "p99Ms": figures.p99_ms})
        })
        .collect();
    let [ours, theirs] = medians;
    json!({"load": load.name(), "medians": servers, "rateRatio": ours.per_second / theirs.per_second,
        "rateRatioPerCpuSecond": ours.per_cpu_second / theirs.per_cpu_second})
}
