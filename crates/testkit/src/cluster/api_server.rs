//! etcd and kube-apiserver.

use super::authority::TestAuthority;
use super::network::Network;
use crate::process::Process;
use crate::tools::{self, Tool};
use crate::{StartError, https_client};
use rcgen::KeyPair;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// Where the API server listens.
pub const API_SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);

const PORT: u16 = 6443;
const ADMIN_TOKEN: &str = "admintoken";

const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
";

/// A running API server with its etcd. Dropping it ends both.
#[derive(Debug)]
pub struct ApiServer {
    process: Mutex<Option<Process>>,
    etcd: Process,
    files: TempDir,
    ca_pem: String,
}

/// A request that the API server answered, as its audit log has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiRequest {
    /// `get`, `list`, `watch`, `create`, `patch`, …
    pub verb: String,
    /// The path and the query.
    #[serde(default, rename = "requestURI")]
    pub request_uri: String,
    /// Who asked.
    pub user: ApiUser,
    /// What for.
    #[serde(default)]
    pub object_ref: ApiObject,
    /// The answer.
    #[serde(default)]
    pub response_status: ApiStatus,
    /// When it came, as RFC 3339 has it.
    #[serde(default)]
    pub request_received_timestamp: String,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ApiUser {
    /// The name.
    pub username: String,
    /// What else is known of the user.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

impl ApiUser {
    /// Whether the request came with this token of a ServiceAccount. Each token has an id of its own, so that programs
    /// with one ServiceAccount are told apart.
    pub fn has_token(&self, token: &str) -> bool {
        let ids = self.extra.get("authentication.kubernetes.io/credential-id");
        token_id(token).is_some_and(|id| ids.is_some_and(|ids| ids.contains(&format!("JTI={id}"))))
    }
}

/// The claim `jti` of a token.
fn token_id(token: &str) -> Option<String> {
    use base64::Engine as _;
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("jti")?.as_str()?.to_owned())
}

/// What a request was for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiObject {
    /// The resource, in the plural.
    pub resource: String,
    /// The subresource, `status` for instance.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiStatus {
    /// The HTTP status.
    pub code: u16,
}

impl ApiServer {
    /// Starts etcd and the API server, and waits until it is ready.
    ///
    /// # Errors
    /// One of them can not be had, or does not become ready.
    pub async fn start(network: &Network) -> Result<Self, StartError> {
        network.add_address(API_SERVER)?;
        let failed = |source: std::io::Error| StartError::set_up("kube-apiserver", source);
        let files = TempDir::with_prefix("gatecert-api-").map_err(failed)?;
        let authority = TestAuthority::new("kubernetes")?;
        write_files(&files, &authority)?;
        let etcd = start_etcd().await?;
        let server = Self { process: Mutex::new(None), etcd, files, ca_pem: authority.pem() };
        server.resume().await?;
        Ok(server)
    }

    /// Ends the API server; etcd stays, with all objects.
    pub fn pause(&self) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts the API server after [`Self::pause`].
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn resume(&self) -> Result<(), StartError> {
        let program = tools::ensure_async(Tool::KubeApiserver).await?;
        let file = |name: &str| self.files.path().join(name).display().to_string();
        let arguments = [
            "--etcd-servers=http://127.0.0.1:2379".to_owned(),
            format!("--secure-port={PORT}"),
            format!("--bind-address={API_SERVER}"),
            format!("--advertise-address={API_SERVER}"),
            format!("--tls-cert-file={}", file("server.pem")),
            format!("--tls-private-key-file={}", file("server.key")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", file("audit.yaml")),
            format!("--audit-log-path={}", file("audit.log")),
            // Megabytes: a log that is cut off in the midst of a test has not all requests.
            "--audit-log-maxsize=10000".to_owned(),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let directory = TempDir::with_prefix("gatecert-api-")
            .map_err(|source| StartError::set_up("kube-apiserver", source))?;
        let mut process = Process::start("kube-apiserver", &program, &arguments, &[], directory)?;
        let client = https_client(&self.ca_pem, &[])?;
        let url = format!("{}/readyz", self.url());
        process
            .wait_ready(|| {
                let asked = client.get(&url).bearer_auth(ADMIN_TOKEN).send();
                async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
            })
            .await?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    /// The number of its process; none while it is paused.
    pub fn process_id(&self) -> Option<i32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().and_then(|process| process.id().ok())
    }

    /// The number of etcd's process.
    ///
    /// # Errors
    /// It has not begun.
    pub fn etcd_process_id(&self) -> Result<i32, StartError> {
        self.etcd.id()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{API_SERVER}:{PORT}")
    }

    /// A kubeconfig of the administrator.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_for(ADMIN_TOKEN)
    }

    /// A kubeconfig of whoever has this token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority-data: {ca}}}}}]
users: [{{name: user, user: {{token: \"{token}\"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: user}}}}]
current-context: test
",
            self.url()
        )
    }

    /// A file with [`Self::kubeconfig`], which lives as long as the server.
    ///
    /// # Errors
    /// It can not be written.
    pub fn kubeconfig_file(&self) -> Result<PathBuf, StartError> {
        let path = self.files.path().join("kubeconfig");
        fs::write(&path, self.kubeconfig()).map_err(|source| StartError::set_up("kube-apiserver", source))?;
        Ok(path)
    }

    /// A client of whoever has this token.
    ///
    /// # Errors
    /// The client can not be set up.
    pub async fn client_for(&self, token: &str) -> Result<kube::Client, StartError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            StartError::set_up("kubernetes client", source)
        };
        let config = kube::config::Kubeconfig::from_yaml(&self.kubeconfig_for(token));
        let config = config.map_err(|error| failed(error.into()))?;
        let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await;
        kube::Client::try_from(config.map_err(|error| failed(error.into()))?)
            .map_err(|error| failed(error.into()))
    }

    /// A token of a ServiceAccount, as its Pods have it.
    ///
    /// # Errors
    /// There is no such ServiceAccount.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String, StartError> {
        use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
        let accounts: kube::Api<k8s_openapi::api::core::v1::ServiceAccount> =
            kube::Api::namespaced(self.client().await?, namespace);
        let audiences = Some(vec!["https://kubernetes.default.svc".to_owned()]);
        let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &Default::default(), &request).await;
        let answer = answer.map_err(|source| StartError::request("kube-apiserver", source))?;
        Ok(answer.status.and_then(|status| status.token).unwrap_or_default())
    }

    /// A client of the administrator.
    ///
    /// # Errors
    /// The client can not be set up.
    pub async fn client(&self) -> Result<kube::Client, StartError> {
        self.client_for(ADMIN_TOKEN).await
    }

    /// The requests that were answered so far, except watches.
    pub fn requests(&self) -> Vec<ApiRequest> {
        let log = fs::read_to_string(self.files.path().join("audit.log")).unwrap_or_default();
        let parsed = log.lines().filter_map(|line| serde_json::from_str::<ApiRequest>(line).ok());
        parsed.filter(|request| request.verb != "watch").collect()
    }
}

fn write_files(files: &TempDir, authority: &TestAuthority) -> Result<(), StartError> {
    let (certificate, key) = authority.server(&[API_SERVER.to_string()])?;
    let accounts = KeyPair::generate().map_err(|source| StartError::set_up("kube-apiserver", source))?;
    let all = [
        ("server.pem", certificate),
        ("server.key", key),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
        ("tokens.csv", format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n")),
        ("audit.yaml", AUDIT_POLICY.to_owned()),
    ];
    for (name, text) in all {
        fs::write(files.path().join(name), text)
            .map_err(|source| StartError::set_up("kube-apiserver", source))?;
    }
    Ok(())
}

async fn start_etcd() -> Result<Process, StartError> {
    let program = tools::ensure_async(Tool::Etcd).await?;
    let directory =
        TempDir::with_prefix("gatecert-etcd-").map_err(|source| StartError::set_up("etcd", source))?;
    let [client, peer] = ["http://127.0.0.1:2379", "http://127.0.0.1:2380"];
    let initial = format!("default={peer}");
    let arguments = [
        ["--data-dir", "data"],
        ["--listen-client-urls", client],
        ["--advertise-client-urls", client],
        ["--listen-peer-urls", peer],
        ["--initial-advertise-peer-urls", peer],
        ["--initial-cluster", &initial],
    ];
    let mut arguments: Vec<_> = arguments.as_flattened().to_vec();
    arguments.push("--unsafe-no-fsync");
    let mut process = Process::start("etcd", &program, &arguments, &[], directory)?;
    let http = https_client("", &[])?;
    process
        .wait_ready(|| {
            let asked = http.get("http://127.0.0.1:2379/health").send();
            async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
        })
        .await?;
    Ok(process)
}
