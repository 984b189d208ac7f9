//! The controller as a process of its own, with the rights that it is installed with.

use anyhow::Result;
use gatecert_render::InstallOptions;
use gatecert_testkit::cluster::{ApiServer, apply, apply_one, service};
use gatecert_testkit::{Process, https_client};
use jiff::Timestamp;
use kube::Client;
use std::net::Ipv4Addr;
use std::path::Path;
use tempfile::TempDir;

/// Where the controller's responder is.
pub(crate) const RESPONDER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// The port of it.
pub(crate) const RESPONDER_PORT: u16 = 8089;

/// The port of its health and its status page.
const HEALTH_PORT: u16 = 8081;

/// The user that the controller is to the API server.
pub(crate) const USER: &str = "system:serviceaccount:gatecert-system:gatecert";

/// Applies what `gatecert render install` prints, and the endpoint of the responder.
pub(crate) async fn install(client: &Client) -> Result<()> {
    for object in gatecert_render::install(&InstallOptions::default()) {
        apply_one(client, &serde_json::from_value(object)?).await?;
    }
    apply(client, &service("gatecert-system", "gatecert-responder", RESPONDER, RESPONDER_PORT)).await?;
    Ok(())
}

/// Starts the controller, which logs by `filter`, and waits until it is ready.
pub(crate) async fn start(server: &ApiServer, program: &Path, filter: &str) -> Result<Process> {
    let (mut process, _) = launch(server, program, filter).await?;
    wait_ready(&mut process).await?;
    Ok(process)
}

/// Waits until a controller says that it is ready.
pub(crate) async fn wait_ready(process: &mut Process) -> Result<()> {
    let client = https_client("", &[])?;
    process
        .wait_ready(|| {
            let asked = client.get(ready_url()).send();
            async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
        })
        .await?;
    Ok(())
}

/// Where a controller says whether it is ready.
pub(crate) fn ready_url() -> String {
    format!("http://{RESPONDER}:{HEALTH_PORT}/readyz")
}

/// Starts the controller, which logs by `filter`. Gives when that was, too: its token is asked for before.
#[allow(clippy::disallowed_methods, reason = "benchmarks need the time")]
pub(crate) async fn launch(server: &ApiServer, program: &Path, filter: &str) -> Result<(Process, Timestamp)> {
    let directory = TempDir::with_prefix("gatecert-controller-")?;
    // The rights that it is installed with, and no more.
    let token = server.service_account_token("gatecert-system", "gatecert").await?;
    let kubeconfig = directory.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig_for(&token))?;
    let kubeconfig = kubeconfig.display().to_string();
    let [responder, health] = [format!("{RESPONDER}:{RESPONDER_PORT}"), format!("{RESPONDER}:{HEALTH_PORT}")];
    let arguments = [
        "--namespace",
        "gatecert-system",
        "--responder-listen",
        &responder,
        "--health-listen",
        &health,
        "--log",
        filter,
        "--log-json",
    ];
    let kubeconfig = [("KUBECONFIG", kubeconfig)];
    let begun = Timestamp::now();
    Ok((Process::start("gatecert-controller", program, &arguments, &kubeconfig, directory)?, begun))
}
