//! `cargo xtask bench peers`: whole commands beside each other, each on a fresh Pebble, in turn.

use crate::cargo::{gatecert, peer};
use crate::percentiles;
use anyhow::{Context as _, Result, bail, ensure};
use gatecert_testkit::Pebble;
use gatecert_testkit::tools::{self, Tool};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whole commands, the account included; of instant-acme, which is a library, its example's flow in a small program, with
/// the clock from the order to the certificate: its account is made before.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench peers
  cargo xtask bench peers --names 1 --runs 11
  cargo xtask bench peers -o json")]
pub(crate) struct Arguments {
    /// How many names one certificate has.
    #[arg(long, value_delimiter = ',', default_value = "1,20,100")]
    names: Vec<usize>,
    /// How often each command runs.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// lego takes five seconds for each name: it is left out above this count.
    #[arg(long, default_value_t = 20)]
    lego_most: usize,
    /// How the figures are printed.
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

/// Runs a command to its end and prints what it took, as the kernel counts it.
const MEASURE: &str = "
import json, os, subprocess, sys, time
start = time.monotonic()
child = subprocess.Popen(sys.argv[2:], stdout=open(sys.argv[1], 'wb'), stderr=subprocess.STDOUT)
_, status, usage = os.wait4(child.pid, 0)
wall = time.monotonic() - start
print(json.dumps([status, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
";

#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Gatecert,
    Lego,
    Certbot,
    InstantAcme,
}

impl Peer {
    const ALL: [Self; 4] = [Self::Gatecert, Self::Lego, Self::Certbot, Self::InstantAcme];

    fn name(self) -> &'static str {
        match self {
            Self::Gatecert => "gatecert",
            Self::Lego => "lego",
            Self::Certbot => "certbot",
            Self::InstantAcme => "instant-acme",
        }
    }
}

/// What one run took: seconds, seconds, MiB.
#[derive(Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory: f64,
}

struct Programs {
    gatecert: PathBuf,
    lego: PathBuf,
    certbot: PathBuf,
    instant_acme: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.runs > 0 && !arguments.names.contains(&0), "runs and names begin at 1");
    let programs = Programs {
        gatecert: gatecert(true)?,
        lego: tools::ensure(Tool::Lego)?,
        certbot: tools::ensure(Tool::Certbot)?,
        instant_acme: peer("instant-acme-peer")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = Vec::new();
    for &names in &arguments.names {
        let peers: Vec<Peer> = Peer::ALL
            .into_iter()
            .filter(|peer| *peer != Peer::Lego || names <= arguments.lego_most)
            .collect();
        let mut figures = vec![Vec::new(); peers.len()];
        for round in 0..arguments.runs {
            for (peer, figures) in peers.iter().zip(&mut figures) {
                figures.push(runtime.block_on(measure(*peer, &programs, names, round))?);
            }
        }
        let medians: Vec<(Peer, Figures)> =
            peers.into_iter().zip(figures.iter().map(|runs| median(runs))).collect();
        if arguments.output == "text" {
            print_table(names, &medians);
        }
        report.push(as_json(names, &medians));
    }
    if arguments.output == "json" {
        println!("{:#}", Value::from(report));
    }
    Ok(())
}

/// One run with names that were never asked for, on a CA that knows no authorization yet.
async fn measure(peer: Peer, programs: &Programs, names: usize, round: usize) -> Result<Figures> {
    let pebble = Pebble::builder().start().await?;
    let folder = tempfile::TempDir::with_prefix("gatecert-bench-")?;
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pebble.ca_pem())?;
    let names: Vec<String> = (0..names).map(|n| format!("n{n}.r{round}.{}.test", peer.name())).collect();
    let log = folder.path().join("log");
    let mut command = Command::new("python3");
    command.args(["-c", MEASURE]).arg(&log);
    // Peers trust the CA by these.
    command.env("LEGO_CA_CERTIFICATES", &ca_file).env("REQUESTS_CA_BUNDLE", &ca_file);
    command.args(command_line(peer, programs, &pebble, folder.path(), &names));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await?
        .context("python3 is needed to measure")?;
    let figures: Vec<f64> = serde_json::from_slice(&output.stdout).context("no figures came")?;
    match figures[..] {
        [0.0, _, cpu, memory] if peer == Peer::InstantAcme => {
            let wall = std::fs::read_to_string(&log)?.trim().parse().context("no time was printed")?;
            Ok(Figures { wall, cpu, memory })
        }
        [0.0, wall, cpu, memory] => Ok(Figures { wall, cpu, memory }),
        _ => bail!("{} failed:\n{}", peer.name(), std::fs::read_to_string(&log).unwrap_or_default()),
    }
}

fn command_line(
    peer: Peer,
    programs: &Programs,
    pebble: &Pebble,
    folder: &Path,
    names: &[String],
) -> Vec<String> {
    let directory = pebble.directory_url().to_string();
    let port = pebble.http_port();
    let at = |name: &str| folder.join(name).display().to_string();
    let text = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let (program, mut line) = match peer {
        Peer::Gatecert => (
            &programs.gatecert,
            text(&[
                "issue",
                "--server",
                &directory,
                "--ca-file",
                &at("ca.pem"),
                "--out",
                &at("out"),
                "--http01-listen",
                &format!("127.0.0.1:{port}"),
            ]),
        ),
        Peer::Lego => (
            &programs.lego,
            text(&[
                "--server",
                &directory,
                "--email",
                "bench@example.test",
                "--accept-tos",
                "--path",
                &at("out"),
                "--key-type",
                "ec256",
                "--http",
                "--http.port",
                &format!("127.0.0.1:{port}"),
            ]),
        ),
        Peer::Certbot => (
            &programs.certbot,
            text(&[
                "certonly",
                "--non-interactive",
                "--agree-tos",
                "--register-unsafely-without-email",
                "--standalone",
                "--http-01-port",
                &port.to_string(),
                "--http-01-address",
                "127.0.0.1",
                "--server",
                &directory,
                "--key-type",
                "ecdsa",
                "--config-dir",
                &at("etc"),
                "--work-dir",
                &at("lib"),
                "--logs-dir",
                &at("log.d"),
            ]),
        ),
        Peer::InstantAcme => {
            (&programs.instant_acme, text(&[&directory, &at("ca.pem"), &format!("127.0.0.1:{port}")]))
        }
    };
    match peer {
        Peer::InstantAcme => line.extend_from_slice(names),
        _ => line.extend(names.iter().flat_map(|name| ["-d".to_owned(), name.clone()])),
    }
    if peer == Peer::Lego {
        line.push("run".into());
    }
    line.insert(0, program.display().to_string());
    line
}

fn median(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| percentiles::median(runs.iter().map(figure));
    Figures { wall: of(|run| run.wall), cpu: of(|run| run.cpu), memory: of(|run| run.memory) }
}

fn ratio(medians: &[(Peer, Figures)], peer: Figures) -> f64 {
    medians.first().map_or(f64::NAN, |(_, ours)| peer.wall / ours.wall)
}

fn print_table(names: usize, medians: &[(Peer, Figures)]) {
    println!("\n{names} name(s)     wall s    CPU s   peak MiB   times gatecert's wall");
    for (peer, figures) in medians {
        let Figures { wall, cpu, memory } = figures;
        println!("{:12} {wall:9.3} {cpu:8.3} {memory:10.1} {:12.1}", peer.name(), ratio(medians, *figures));
    }
}

fn as_json(names: usize, medians: &[(Peer, Figures)]) -> Value {
    let peers: Vec<Value> = medians
        .iter()
        .map(|(peer, figures)| {
            json!({"peer": peer.name(), "wallSeconds": figures.wall, "cpuSeconds": figures.cpu,
                "peakMemoryMiB": figures.memory, "wallRatio": ratio(medians, *figures)})
        })
        .collect();
    json!({"names": names, "medians": peers})
}
