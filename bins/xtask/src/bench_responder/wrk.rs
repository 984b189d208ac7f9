//! The load generator.

use super::Load;
use super::server::{HOST, Programs, Server};
use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// What one run gave.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    /// Requests for each second of CPU that the server used.
    pub(super) per_cpu_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Loads a server for some seconds.
pub(super) async fn run(
    server: &Server,
    load: Load,
    programs: &Programs,
    connections: u32,
    seconds: u32,
) -> Result<Figures> {
    let mut wrk = Command::new("taskset");
    wrk.args(["-c", load.client_cores()]).arg(&programs.wrk).args(["--latency", "-t"]);
    wrk.arg(load.threads().to_string()).args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    wrk.args(["-H", &format!("Host: {HOST}")]);
    if !load.keeps_alive {
        wrk.args(["-H", "Connection: close"]);
    }
    let output = wrk.arg(&server.url).output().await.context("wrk can not be run")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    let failed = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"));
    ensure!(failed.is_none(), "requests failed: {}", failed.unwrap_or_default());
    parse(&text).with_context(|| format!("wrk says something else than expected:\n{text}"))
}

fn parse(text: &str) -> Option<Figures> {
    let after = |start: &str| text.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::trim);
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    Some(Figures {
        requests: requests.split_whitespace().next()?.parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        per_cpu_second: f64::NAN,
        p50_ms: milliseconds(after("50%")?)?,
        p99_ms: milliseconds(after("99%")?)?,
    })
}

/// A time as wrk prints it: `612.00us`, `1.02ms`, `1.10s`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let figures = parse(
            "Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  200.00us   9.00ms   90.00%
    Req/Sec    62.40k     1.00k   65.00k    70.00%
  Latency Distribution
     50%  612.00us
     75%    1.10ms
     90%    1.30ms
     99%    1.10s
  124800 requests in 2.00s, 30.00MB read
Requests/sec:  62400.12
Transfer/sec:     15.00MB
",
        )
        .unwrap_or_default();
        assert_eq!((figures.requests, figures.per_second), (124_800.0, 62_400.12));
        assert_eq!((figures.p50_ms, figures.p99_ms), (0.612, 1100.0));
        assert!(parse("").is_none());
    }
}
