//! Envoy.

use crate::process::{Process, on_free_ports};
use crate::tools::{self, Tool};
use crate::{StartError, free_port};
use std::fs;
use tempfile::TempDir;

/// A running Envoy. Dropping it ends it.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: String,
}

impl Envoy {
    /// Starts Envoy with this configuration (YAML without `admin`) and waits until it is live.
    ///
    /// # Errors
    /// Envoy can not be had, refuses the configuration, or does not become live.
    pub async fn start(config_yaml: &str) -> Result<Self, StartError> {
        on_free_ports(|| Self::start_once(config_yaml)).await
    }

    async fn start_once(config_yaml: &str) -> Result<Self, StartError> {
        let program = tools::ensure_async(Tool::Envoy).await?;
        let directory =
            TempDir::with_prefix("gatecert-envoy-").map_err(|source| StartError::set_up("envoy", source))?;
        let port = free_port();
        let admin =
            format!("admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}");
        fs::write(directory.path().join("envoy.yaml"), format!("{config_yaml}\n{admin}\n"))
            .map_err(|source| StartError::set_up("envoy", source))?;
        let arguments = ["-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart"];
        let mut process = Process::start("envoy", &program, &arguments, &[], directory)?;
        let admin = format!("http://127.0.0.1:{port}");
        let client = crate::https::https_client("", &[])?;
        let ready = format!("{admin}/ready");
        process
            .wait_ready(|| {
                let asked = client.get(&ready).send();
                async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
            })
            .await?;
        Ok(Self { process, admin })
    }

    /// The URL of its administration interface, without a final slash.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
