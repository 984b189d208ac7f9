//! An API server, Certificates in it, and the program run against them.

use gatecert_testkit::cluster::{ApiServer, Network, apply, apply_one, delete, namespace};
use gatecert_testkit::tools::{Tool, ensure};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Setting {
    runtime: Runtime,
    server: ApiServer,
    client: kube::Client,
    directory: TempDir,
    kubeconfig: PathBuf,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self { code: output.status.code(), out, err }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Setting {
    pub(crate) fn start(network: &Network) -> Result<Self, Box<dyn Error>> {
        let runtime = Runtime::new()?;
        let server = runtime.block_on(ApiServer::start(network))?;
        let client = runtime.block_on(server.client())?;
        let (kubeconfig, directory) = (server.kubeconfig_file()?, TempDir::new()?);
        // The name by which kubectl finds it.
        std::os::unix::fs::symlink(
            env!("CARGO_BIN_EXE_gatecert"),
            directory.path().join("kubectl-gatecert"),
        )?;
        Ok(Self { runtime, server, client, directory, kubeconfig })
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One of a ServiceAccount without rights.
    pub(crate) fn kubeconfig_of_nobody(&self) -> PathBuf {
        self.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody, namespace: shop}}");
        let token = self.runtime.block_on(self.server.service_account_token("shop", "nobody")).unwrap();
        let file = self.directory.path().join("nobody");
        std::fs::write(&file, self.server.kubeconfig_for(&token)).unwrap();
        file
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatecert"));
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(ensure(Tool::Kubectl).unwrap());
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        Run::of(command.env("HOME", self.directory.path()).env("PATH", self.directory.path()))
    }

    /// The definitions and namespaces.
    pub(crate) fn install(&self) {
        for object in gatecert_render::definitions() {
            let object = serde_json::from_value(object).unwrap();
            self.runtime.block_on(apply_one(&self.client, &object)).unwrap();
        }
        for name in ["shop", "other", "watched"] {
            self.apply(&namespace(name));
        }
    }

    /// An issuer, and three Certificates: ready, refused, and one whose renewal fails.
    pub(crate) fn fill(&self) {
        self.apply(
            // Of which nothing comes back while the test runs.
            "{apiVersion: gatecert.dev/v1, kind: ClusterIssuer, metadata: {name: le}, spec: {acme: {server: letsencrypt, \
             rateLimits: {newOrders: {count: 300, period: 3000h}}}}}",
        );
        let account =
            json!({"directory": "https://ca.test/dir", "uri": "https://ca.test/acct/1", "thumbprint": "t"});
        self.status("clusterissuers", None, "le", json!({"acme": account}));
        let mut status = issued(60, 30);
        let order = json!({"url": "https://ca.test/order/1", "time": time(-0.001), "type": "New"});
        status["recentOrders"] = json!([order]);
        self.certificate("shop", "www", &["www.shop.test", "shop.test"], status);
        let conditions = ["Ready", "Issuing"]
            .map(|type_| condition(type_, "False", "NoGateway", "no gateway serves api.shop.test"));
        self.certificate("shop", "api", &["api.shop.test"], json!({"conditions": conditions}));
        let mut status = issued(10, -1);
        status["conditions"][1] = condition("Issuing", "False", "OrderRefused", "the CA said no");
        status["lastError"] =
            json!({"kind": "OrderRefused", "message": "the CA said no", "hint": "ask another one"});
        status["failedIssuanceAttempts"] = json!(3);
        status["failedAttempts"] = json!({"nextAttemptTime": time(1.0), "permanent": false, "wanted": "w"});
        self.certificate("shop", "late", &["late.shop.test"], status);
    }

    /// Makes a Certificate with a status.
    pub(crate) fn certificate(&self, namespace: &str, name: &str, names: &[&str], status: Value) {
        let spec = json!({
            "secretName": format!("{name}-tls"), "dnsNames": names, "issuerRef": {"name": "le", "kind": "ClusterIssuer"},
        });
        let object = json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        });
        self.apply(&object.to_string());
        self.status("certificates", Some(namespace), name, status);
    }

    pub(crate) fn delete(&self, namespace: &str, name: &str) {
        let yaml = format!(
            "{{apiVersion: gatecert.dev/v1, kind: Certificate, metadata: {{name: {name}, namespace: {namespace}}}}}"
        );
        self.runtime.block_on(delete(&self.client, &yaml)).unwrap();
    }

    fn apply(&self, yaml: &str) {
        self.runtime.block_on(apply(&self.client, yaml)).unwrap();
    }

    fn status(&self, resource: &str, namespace: Option<&str>, name: &str, status: Value) {
        let file = self.directory.path().join("status.json");
        std::fs::write(&file, json!({"status": status}).to_string()).unwrap();
        let (resource, file) = (format!("{resource}.gatecert.dev"), file.display().to_string());
        let patch = ["patch", &resource, name, "--subresource=status", "--type=merge", "--patch-file", &file];
        let namespace = namespace.map(|namespace| ["--namespace", namespace]);
        self.kubectl(&[&patch[..], namespace.as_ref().map(<[_; 2]>::as_slice).unwrap_or_default()].concat())
            .expect(0);
    }
}

/// The status of a certificate that ends, and is renewed, in so many days.
pub(crate) fn issued(end: i64, renewal: i64) -> Value {
    json!({
        "conditions": [condition("Ready", "True", "Issued", ""), condition("Issuing", "False", "Idle", "")],
        "observedGeneration": 1,
        "notBefore": time(end as f64 - 90.0), "notAfter": time(end as f64), "renewalTime": time(renewal as f64),
    })
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
        "lastTransitionTime": time(-1.0),
    })
}

/// So many days from now.
#[allow(clippy::disallowed_methods, reason = "the program that is tested has the machine's clock")]
fn time(distance: f64) -> String {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let second = (now + distance * 86_400.0) as i64;
    jiff::Timestamp::from_second(second).unwrap().to_string()
}
