//! The demo without a cluster: the command line gets a certificate, an Envoy that stands alone serves it.

use anyhow::{Context as _, Result, bail, ensure};
use gatecert_testkit::{Envoy, Pebble, free_port, https_client, served_chain};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const NAME: &str = "www.example.test";

/// How often Envoy is asked whether it serves the renewed certificate, ten milliseconds apart.
const LOOKS: usize = 1000;

pub(crate) async fn run(program: &Path, once: bool) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix("gatecert-demo-")?;
    let out = folder.path().join("certificates");

    step("starting Pebble, a test CA");
    let pebble = Pebble::builder().start().await?;
    let ca_file = folder.path().join("pebble-ca.pem");
    std::fs::write(&ca_file, pebble.ca_pem())?;
    println!("directory {}; it validates HTTP-01 on port {}", pebble.directory_url(), pebble.http_port());

    step("gatecert gets a certificate from it");
    issue(program, &pebble, &ca_file, &out, &[]).await?;

    step("Envoy serves it by file SDS");
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let _envoy = Envoy::start(&envoy_config(address.port(), &out.join(NAME).join("sds.yaml"))).await?;
    let roots = pebble.root_pem(0).await?;
    let first = serial(&served(address, &roots).await?)?;
    println!("https://{NAME} on {address} serves serial {first}; the chain verifies to Pebble's root");

    step("a forced renewal, while requests go on");
    let load = Load::start(address, &roots)?;
    issue(program, &pebble, &ca_file, &out, &["--force"]).await?;
    let second = renewed(address, &roots, &first).await?;
    println!("Envoy serves serial {second} now; it was not restarted");
    let (requests, failures) = load.stop().await?;
    println!("{requests} requests on connections of their own in the meantime, {failures} failed");
    ensure!(failures == 0 && requests > 0, "{failures} of {requests} requests failed");

    if !once {
        step("all of this keeps running; try");
        println!(
            "curl --resolve {NAME}:{}:127.0.0.1 --insecure https://{NAME}:{}/",
            address.port(),
            address.port()
        );
        eprintln!("Ctrl-C ends it");
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn step(what: &str) {
    eprintln!("\n== {what}");
}

async fn issue(program: &Path, pebble: &Pebble, ca_file: &Path, out: &Path, more: &[&str]) -> Result<()> {
    let listen = format!("127.0.0.1:{}", pebble.http_port());
    let mut command = Command::new(program);
    command.args([
        "issue",
        "-d",
        NAME,
        "--server",
        pebble.directory_url().as_str(),
        "--http01-listen",
        &listen,
    ]);
    command.arg("--ca-file").arg(ca_file).arg("--out").arg(out).args(more);
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    if !status.success() {
        bail!("gatecert issue ended with {status}");
    }
    Ok(())
}

async fn served(address: SocketAddr, roots: &str) -> Result<Vec<u8>> {
    // Envoy is live before its listener has its secret.
    let mut last = None;
    for _ in 0..LOOKS {
        match served_chain(address, NAME, roots).await {
            Ok(chain) => return Ok(chain.first().context("an empty chain")?.to_vec()),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(last.context("Envoy was not asked")?).context("Envoy serves no trusted certificate")
}

async fn renewed(address: SocketAddr, roots: &str, old: &str) -> Result<String> {
    for _ in 0..LOOKS {
        let serial = serial(&served(address, roots).await?)?;
        if serial != old {
            return Ok(serial);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("Envoy still serves the old certificate");
}

fn serial(der: &[u8]) -> Result<String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).context("the served certificate can not be read")?;
    Ok(certificate.raw_serial_as_string())
}

/// Requests one after the other, each on a connection of its own, until it is stopped.
struct Load {
    goes_on: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<u64>,
}

impl Load {
    fn start(address: SocketAddr, roots: &str) -> Result<Self> {
        let client = https_client(roots, &[(NAME, address)])?;
        let url = format!("https://{NAME}:{}/", address.port());
        let (goes_on, failures) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (again, failed) = (goes_on.clone(), failures.clone());
        let task = tokio::spawn(async move {
            let mut requests = 0;
            while again.load(Ordering::Relaxed) {
                let answer = client.get(&url).header("connection", "close").send().await;
                requests += 1;
                if !answer.is_ok_and(|answer| answer.status().is_success()) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            requests
        });
        Ok(Self { goes_on, failures, task })
    }

    /// How many requests there were, and how many of them failed.
    async fn stop(self) -> Result<(u64, u64)> {
        self.goes_on.store(false, Ordering::Relaxed);
        let requests = self.task.await?;
        Ok((requests, self.failures.load(Ordering::Relaxed)))
    }
}

fn envoy_config(port: u16, sds: &Path) -> String {
    let sds = sds.display();
    format!(
        r#"
node: {{id: demo, cluster: demo}}
static_resources:
  listeners:
  - name: https
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs:
            - name: {NAME}
              sds_config:
                path_config_source: {{path: "{sds}"}}
                resource_api_version: V3
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: demo
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, direct_response: {{status: 200, body: {{inline_string: "served by Envoy\n"}}}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"#
    )
}
