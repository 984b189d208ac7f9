//! istiod.

use super::api_server::ApiServer;
use super::authority::TestAuthority;
use crate::process::Process;
use crate::tools::{self, Tool};
use crate::{StartError, https_client};
use std::fs;
use tempfile::TempDir;

/// The mesh: Envoy gateways without workload certificates, and an Ingress class.
const MESH: &str = "accessLogFile: \"\"
enableAutoMtls: false
ingressControllerMode: STRICT
ingressClass: istio
ingressService: istio-ingressgateway
ingressSelector: ingressgateway
defaultConfig:
  discoveryAddress: 127.0.0.1:15010
";

const ARGUMENTS: [&str; 15] = [
    "discovery",
    "--meshConfig",
    "mesh.yaml",
    "--kubeconfig",
    "kubeconfig",
    "--httpAddr",
    "127.0.0.1:18080",
    "--httpsAddr",
    "",
    "--grpcAddr",
    "127.0.0.1:15010",
    "--secureGRPCAddr",
    "127.0.0.1:15012",
    "--monitoringAddr",
    "127.0.0.1:15014",
];

/// A running istiod. Dropping it ends it.
pub struct Istiod {
    process: Process,
    authority: TestAuthority,
}

impl Istiod {
    /// Starts it, and waits until it is ready. The definitions of its resources have to be there.
    ///
    /// # Errors
    /// It can not be had, or does not become ready.
    pub async fn start(server: &ApiServer) -> Result<Self, StartError> {
        let program = tools::ensure_async(Tool::Istiod).await?;
        let failed = |source: std::io::Error| StartError::set_up("istiod", source);
        let directory = TempDir::with_prefix("gatecert-istiod-").map_err(failed)?;
        let authority = TestAuthority::new("Istio")?;
        fs::create_dir(directory.path().join("cacerts")).map_err(failed)?;
        for (name, text) in [
            ("mesh.yaml", MESH.to_owned()),
            ("kubeconfig", server.kubeconfig()),
            ("cacerts/ca-cert.pem", authority.pem()),
            ("cacerts/ca-key.pem", authority.key_pem()),
            ("cacerts/cert-chain.pem", authority.pem()),
            ("cacerts/root-cert.pem", authority.pem()),
        ] {
            fs::write(directory.path().join(name), text).map_err(failed)?;
        }
        let variables = [
            ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
            ("PILOT_ENABLE_ALPN_FILTER", "false"),
            ("POD_NAMESPACE", "istio-system"),
            ("POD_NAME", "istiod-0"),
            ("CLUSTER_ID", "Kubernetes"),
            ("PILOT_CERT_PROVIDER", "istiod"),
            ("ENABLE_CA_SERVER", "true"),
            ("ROOT_CA_DIR", "./cacerts"),
            ("PILOT_ENABLE_XDS_IDENTITY_CHECK", "true"),
            ("XDS_AUTH", "true"),
        ];
        let variables = variables.map(|(name, value)| (name, value.to_owned()));
        let arguments = [ARGUMENTS.as_slice(), &["--ctrlz_port", "0"]].concat();
        let mut process = Process::start("istiod", &program, &arguments, &variables, directory)?;
        let client = https_client("", &[])?;
        process
            .wait_ready(|| {
                let asked = client.get("http://127.0.0.1:18080/ready").send();
                async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
            })
            .await?;
        Ok(Self { process, authority })
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its metrics, as Prometheus reads them.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> Result<String, StartError> {
        let failed = |source| StartError::request("istiod", source);
        let asked = https_client("", &[])?.get("http://127.0.0.1:15014/metrics").send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        answer.text().await.map_err(failed)
    }

    pub(super) fn authority(&self) -> &TestAuthority {
        &self.authority
    }
}
