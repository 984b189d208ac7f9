//! The cluster, and the program in it.

use crate::Outcome;
use crate::manifest;
use gatecert_acme::{Clock as _, SystemClock};
use gatecert_render::{Answer, Challenge, ObjectName, Owner, VirtualServiceRoute, virtual_service};
use gatecert_testkit::cluster::{Application, Cluster, Network, apply, apply_one, base64, namespace};
use gatecert_testkit::served_chain;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How long a change may take to reach Envoy.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Where the application is.
const APPLICATION: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 4);

/// The path of a challenge.
pub const PATH: &str = "/.well-known/acme-challenge/token";

pub struct World {
    pub cluster: Cluster,
    pub kubeconfig: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
    _application: Application,
}

/// What the program said.
#[derive(Debug)]
pub struct Report {
    pub code: i32,
    pub checks: Vec<Value>,
}

impl Report {
    /// The check with this kind.
    pub fn check(&self, kind: &str) -> &Value {
        let found = self.checks.iter().find(|check| check["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {self:#?}"))
    }

    /// Whether what failed or warned is exactly this.
    pub fn expect(&self, wanted: &[&str]) {
        let is_bad = |check: &&Value| check["level"] == "fail" || check["level"] == "warn";
        let bad: Vec<_> =
            self.checks.iter().filter(is_bad).map(|check| check["kind"].as_str().unwrap()).collect();
        assert_eq!(bad, wanted, "{self:#?}");
        let has_failed = self.checks.iter().any(|check| check["level"] == "fail");
        assert_eq!(self.code, i32::from(has_failed), "{self:#?}");
    }
}

impl World {
    pub async fn start(network: Network) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let cluster = Cluster::start(network).await?;
        let kubeconfig = cluster.server.kubeconfig_file()?;
        apply(&cluster.client, &namespace("app")).await?;
        let application = Application::start(&network, &cluster.client, "app", "web", APPLICATION).await?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let world = Self { cluster, kubeconfig, ca, _application: application };
        let missing = world.doctor("www.nothing.test", &[]).await?;
        assert_eq!(missing.check("cluster-not-installed")["level"], "fail");

        for object in gatecert_render::install(&gatecert_render::InstallOptions::default()) {
            apply_one(&world.cluster.client, &serde_json::from_value(object)?).await?;
        }
        world.lease(-3600).await?;
        // Envoy listens on both ports, whichever test runs.
        let servers = [manifest::http("base", "base.test", ""), manifest::https("base", "base.test", "base")];
        world.apply(&manifest::gateway("base", &servers)).await?;
        world.secret("base", "base.test", -1, 60).await?;
        world
            .apply("apiVersion: gatecert.dev/v1\nkind: ClusterIssuer\nmetadata: {name: letsencrypt}\nspec: {acme: {server: letsencrypt}}\n")
            .await?;
        world.status("ClusterIssuer", None, "letsencrypt", &ready_issuer()).await?;
        Ok(world)
    }

    pub async fn apply(&self, yaml: &str) -> Outcome {
        apply(&self.cluster.client, yaml).await?;
        Ok(())
    }

    pub async fn delete(&self, yaml: &str) -> Outcome {
        gatecert_testkit::cluster::delete(&self.cluster.client, yaml).await?;
        Ok(())
    }

    /// The Lease of the controller, as if it had been renewed so many seconds ago.
    pub async fn lease(&self, seconds: i64) -> Outcome {
        let time = SystemClock.now() - jiff::SignedDuration::from_secs(seconds);
        let spec = format!(
            "{{holderIdentity: first, leaseDurationSeconds: 15, renewTime: '{}'}}",
            time.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        );
        let lease = manifest::object(
            "coordination.k8s.io/v1",
            "Lease",
            "gatecert-system",
            "gatecert-controller",
            &spec,
        );
        self.apply(&lease).await
    }

    /// Writes the status of one of gatecert's own objects.
    pub async fn status(&self, kind: &str, namespace: Option<&str>, name: &str, status: &Value) -> Outcome {
        let status = Patch::Merge(json!({ "status": status }));
        self.own(kind, namespace).patch_status(name, &PatchParams::default(), &status).await?;
        Ok(())
    }

    /// One of gatecert's own objects.
    pub async fn object(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<DynamicObject, Box<dyn Error + Send + Sync>> {
        Ok(self.own(kind, namespace).get(name).await?)
    }

    fn own(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("gatecert.dev", "v1", kind));
        let client = self.cluster.client.clone();
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }

    /// A Certificate that is ready.
    pub async fn ready_certificate(&self, name: &str, host: &str) -> Outcome {
        self.apply(&manifest::certificate("istio-system", name, host)).await?;
        self.status("Certificate", Some("istio-system"), name, &ready()).await
    }

    /// A certificate with its key in a Secret beside the Envoys, which hold from and for so many days from now.
    pub async fn secret(&self, name: &str, host: &str, from: i64, days: i64) -> Outcome {
        let (chain, key) = self.pair(host, from, days);
        self.secret_of(name, &chain, &key).await
    }

    pub async fn secret_of(&self, name: &str, chain: &str, key: &str) -> Outcome {
        let (chain, key) = (base64(chain), base64(key));
        self.apply(&format!(
            "---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: {name}, namespace: istio-system, labels: {{app.kubernetes.io/managed-by: gatecert}}}}
data: {{tls.crt: {chain}, tls.key: {key}}}
"
        ))
        .await
    }

    pub fn pair(&self, host: &str, from: i64, days: i64) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([host.to_owned()]).unwrap();
        let start = std::time::SystemTime::from(SystemClock.now()) + Duration::from_secs(1);
        let day = |days: i64| {
            let seconds = Duration::from_secs(days.unsigned_abs() * 86_400);
            if days < 0 { start - seconds } else { start + seconds }
        };
        parameters.not_before = day(from).into();
        parameters.not_after = day(from + days).into();
        let leaf = parameters.signed_by(&key, &self.ca).unwrap();
        (format!("{}{}", leaf.pem(), self.ca.pem()), key.serialize_pem())
    }

    /// The route of a challenge, as the controller puts it.
    pub async fn challenge(&self, namespace: &str, name: &str, host: &str, answer: &Answer) -> Outcome {
        let owner = Owner { namespace: namespace.into(), name: name.into(), uid: "0e4b".into() };
        let route = virtual_service(&VirtualServiceRoute {
            owner: &owner,
            name: format!("{name}-challenge"),
            gateways: &[ObjectName::new("istio-system", name)].into(),
            export_to: &["istio-system".to_owned()].into(),
            hosts: &[host.to_owned()].into(),
            challenges: &[Challenge {
                host: host.into(),
                token: "token".into(),
                key_authorization: "token.x".into(),
            }],
            answer,
        });
        let mut route = serde_json::to_value(route)?;
        route["apiVersion"] = json!("networking.istio.io/v1");
        route["kind"] = json!("VirtualService");
        apply_one(&self.cluster.client, &serde_json::from_value(route)?).await?;
        Ok(())
    }

    /// Waits until the gateway answers a path with this status.
    pub async fn answers(&self, host: &str, path: &str, status: u16) -> Outcome {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()?;
        let url = format!("http://{}{path}", self.cluster.gateway_address());
        let mut last = None;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last =
                    client.get(&url).header("host", host).send().await.ok().map(|one| one.status().as_u16());
                if last == Some(status) {
                    return;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("{host}{path} answers {last:?}, not {status}").into())
    }

    /// Waits until the gateway serves a certificate for a host that clients take, or none.
    pub async fn is_taken(&self, host: &str, is_taken: bool) -> Outcome {
        let address = SocketAddr::from((self.cluster.gateway_address(), 443));
        let roots = self.ca.pem();
        let waited = tokio::time::timeout(PATIENCE, async {
            while served_chain(address, host, &roots).await.is_ok() != is_taken {
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("{host} is not as it should be to clients: {is_taken}").into())
    }

    /// Runs the commands of a fix as they are printed, behind the words for people.
    pub async fn mend(&self, fix: &str) -> Outcome {
        let begin = fix.find("kubectl ").ok_or_else(|| format!("no command: {fix}"))?;
        self.cluster.server.as_printed(&fix[begin..]).await?;
        Ok(())
    }

    /// Whether the Deployment that a command names is there, in the namespace of the command.
    pub async fn has_deployment(&self, command: &str) -> Outcome {
        let mut words = command.split_whitespace();
        let namespace = words.find(|word| *word == "-n").and_then(|_| words.next());
        let name = words.find_map(|word| word.strip_prefix("deployment/"));
        let (Some(namespace), Some(name)) = (namespace, name) else {
            return Err(format!("no Deployment is named: {command}").into());
        };
        let deployments: Api<Deployment> = Api::namespaced(self.cluster.client.clone(), namespace);
        deployments.get(name).await?;
        Ok(())
    }

    /// Runs the doctor in this network.
    pub async fn doctor(&self, host: &str, more: &[&str]) -> Result<Report, Box<dyn Error + Send + Sync>> {
        let mut arguments = vec!["--allow-private"];
        arguments.extend(more);
        self.doctor_outside(host, &arguments).await
    }

    /// The same for a CA that is on the Internet, where the network of the tests is not.
    pub async fn doctor_outside(
        &self,
        host: &str,
        more: &[&str],
    ) -> Result<Report, Box<dyn Error + Send + Sync>> {
        let kubeconfig = self.kubeconfig.display().to_string();
        let resolver = self.cluster.pebble.challtestsrv().dns_address();
        let fixed = ["doctor", host, "--resolver", resolver, "-o", "json", "--kubeconfig"];
        let mut arguments = fixed.to_vec();
        arguments.push(&kubeconfig);
        arguments.extend(more);
        run(&arguments).await
    }
}

/// Runs the program.
pub async fn run(arguments: &[&str]) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let program = env!("CARGO_BIN_EXE_gatecert");
    let output = tokio::process::Command::new(program).args(arguments).output().await?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let report: Value = serde_json::from_str(&out).map_err(|error| format!("{error}: {out} {err}"))?;
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    Ok(Report { code: output.status.code().unwrap_or(-1), checks })
}

/// A condition of generation 1.
pub fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// The status of a Certificate that is ready.
pub fn ready() -> Value {
    json!({"conditions": [condition("Ready", "True", "Issued", "")]})
}

/// The status of a Certificate that is refused.
pub fn refused(reason: &str, message: &str) -> Value {
    json!({"conditions": [condition("Ready", "False", "DoesNotExist", ""), condition("Issuing", "False", reason, message)]})
}

/// The status of an issuer with an account.
pub fn ready_issuer() -> Value {
    json!({
        "conditions": [condition("Ready", "True", "Registered", "")],
        "acme": {"directory": "https://acme-v02.api.letsencrypt.org/directory", "uri": "https://ca.test/acct/1", "thumbprint": "t"},
    })
}
