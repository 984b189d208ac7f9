//! The servers, on cores of their own.

use super::Load;
use anyhow::{Result, ensure};
use gatecert_testkit::{Process, free_port, https_client};
use procfs::process::{Stat, all_processes};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub(super) const HOST: &str = "www.example.com";
pub(super) const PATH: &str = "/.well-known/acme-challenge/LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const BODY: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

/// How long a server may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Programs {
    pub(super) responder: PathBuf,
    pub(super) nginx: PathBuf,
    pub(super) wrk: PathBuf,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Gatecert,
    Nginx,
}

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::Gatecert, Self::Nginx];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gatecert => "gatecert",
            Self::Nginx => "nginx",
        }
    }
}

pub(super) struct Server {
    process: Process,
    pub(super) url: String,
}

impl Drop for Server {
    /// nginx's workers outlive a master that is killed; one that is asked to end ends them first.
    fn drop(&mut self) {
        let Ok(id) = self.process.id() else { return };
        // What does not end so is killed when `process` is dropped.
        if self.process.signal("TERM").is_ok() {
            let is_there = || procfs::process::Process::new(id).is_ok();
            for _ in (0..ENDS_WITHIN.as_millis()).step_by(10).take_while(|_| is_there()) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Server {
    /// What it has used so far, with the processes that it started.
    #[allow(clippy::cast_precision_loss, reason = "these counts are far below 2^52")]
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let id = self.process.id()?;
        let all = all_processes()?.filter_map(|process| process.ok()?.stat().ok());
        let ticks: u64 = all
            .filter(|stat: &Stat| stat.pid == id || stat.ppid == id)
            .map(|stat| stat.utime + stat.stime)
            .sum();
        Ok(ticks as f64 / procfs::ticks_per_second() as f64)
    }
}

/// Starts one, and checks that it gives the right answer.
pub(super) async fn start(kind: Kind, load: Load, programs: &Programs) -> Result<Server> {
    let port = free_port();
    let directory = TempDir::with_prefix("gatecert-bench-")?;
    let server = match kind {
        Kind::Gatecert => vec![
            programs.responder.display().to_string(),
            port.to_string(),
            HOST.to_owned(),
            TOKEN.to_owned(),
            BODY.to_owned(),
        ],
        Kind::Nginx => {
            let config = directory.path().join("nginx.conf");
            std::fs::write(&config, nginx_config(directory.path(), port, load.threads()))?;
            let [program, config] = [&programs.nginx, &config].map(|path| path.display().to_string());
            vec![program, "-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), config]
        }
    };
    let arguments: Vec<&str> =
        ["-c", load.server_cores()].into_iter().chain(server.iter().map(String::as_str)).collect();
    let mut process = Process::start(kind.name(), Path::new("taskset"), &arguments, &[], directory)?;
    let client = https_client("", &[])?;
    let url = format!("http://127.0.0.1:{port}{PATH}");
    let ask = || client.get(&url).header("host", HOST).send();
    process.wait_ready(|| async { ask().await.is_ok() }).await?;
    let answer = ask().await?;
    ensure!(answer.status() == 200 && answer.text().await? == BODY, "{} gives another answer", kind.name());
    Ok(Server { process, url })
}

/// As fast as it can: no log, no bound on the requests of a connection.
fn nginx_config(directory: &Path, port: u16, workers: u32) -> String {
    let directory = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {directory}/{kind};\n"))
        .concat();
    format!(
        "daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
{temporary}  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location /.well-known/acme-challenge/ {{ return 200 \"{BODY}\"; }}
  }}
}}
"
    )
}
