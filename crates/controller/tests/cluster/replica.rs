//! Replicas of the controller, each a process of its own: this program, which is the controller when it is told so.

use crate::Outcome;
use crate::interceptor::Interceptor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser as _;
use gatecert_acme::{Clock, SystemClock};
use gatecert_controller::{Options, run, signals};
use gatecert_testkit::cluster::{API_SERVER, ApiServer, Network};
use gatecert_testkit::{Process, StartError};
use jiff::{SignedDuration, Timestamp};
use std::env;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Says that this program is a replica, whose clock is so many hours ahead.
const AHEAD: &str = "GATECERT_TEST_HOURS_AHEAD";

/// How a replica is started.
pub(crate) struct ReplicaOptions<'a> {
    /// Its name in the Lease.
    pub(crate) identity: &'a str,
    /// Where its responder (8089) and its health (8081) are.
    pub(crate) address: Ipv4Addr,
    /// The namespace of its ServiceAccount `gatecert` and of its Lease.
    pub(crate) namespace: &'a str,
    /// More options.
    pub(crate) arguments: &'a [&'a str],
    /// How far its clock is ahead, in hours.
    pub(crate) hours_ahead: i64,
    /// More variables.
    pub(crate) variables: &'a [(&'a str, String)],
    /// The address of a relay to the API server, or to the interceptor if there is one too.
    pub(crate) relay: Option<Ipv4Addr>,
    /// What is before the API server, if it is not asked directly.
    pub(crate) interceptor: Option<&'a Interceptor>,
}

impl<'a> ReplicaOptions<'a> {
    /// A replica beside the installation of the whole cluster.
    pub(crate) fn new(identity: &'a str, address: Ipv4Addr) -> Self {
        let namespace = "gatecert-system";
        let (arguments, variables) = (&[], &[]);
        Self {
            identity,
            address,
            namespace,
            arguments,
            hours_ahead: 0,
            variables,
            relay: None,
            interceptor: None,
        }
    }
}

/// A running replica. Dropping it kills it.
pub(crate) struct Replica {
    pub(crate) process: Process,
    pub(crate) token: String,
    pub(crate) address: Ipv4Addr,
}

impl Replica {
    /// Starts one, with the rights of its ServiceAccount, and waits until it answers challenges.
    pub(crate) async fn start(
        network: &Network,
        server: &ApiServer,
        options: &ReplicaOptions<'_>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let ReplicaOptions { identity, address, namespace, .. } = *options;
        network.add_address(address)?;
        let token = server.service_account_token(namespace, "gatecert").await?;
        let directory = tempfile::TempDir::with_prefix("gatecert-replica-")?;
        let kubeconfig = directory.path().join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_of(server, &token, options))?;
        let (responder, health) = (format!("{address}:8089"), format!("{address}:8081"));
        let fixed = ["--namespace", namespace, "--identity", identity];
        let fixed = fixed.into_iter().chain(["--responder-listen", &responder, "--health-listen", &health]);
        let arguments: Vec<_> = fixed.chain(options.arguments.iter().copied()).collect();
        let fixed = [
            (AHEAD, options.hours_ahead.to_string()),
            ("KUBECONFIG", kubeconfig.display().to_string()),
            ("NO_COLOR", "1".to_owned()),
            ("RUST_LOG", "warn,gatecert_controller=debug".to_owned()),
        ];
        let variables: Vec<_> = fixed.into_iter().chain(options.variables.iter().cloned()).collect();
        let program = env::current_exe()?;
        let mut process = Process::start("controller", &program, &arguments, &variables, directory)?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{health}/readyz");
        process
            .wait_ready(|| {
                let asked = client.get(&url).send();
                async { asked.await.is_ok_and(|answer| answer.status().is_success()) }
            })
            .await?;
        Ok(Self { process, token, address })
    }

    /// What its responder answers.
    pub(crate) async fn answer(&self, host: &str, path: &str) -> Result<String, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        answer_of(&client, self.address, host, path).await
    }

    /// What it counts.
    pub(crate) async fn metrics(&self) -> Result<String, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{}:8081/metrics", self.address);
        client.get(url).send().await?.error_for_status()?.text().await
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until it has logged this.
    pub(crate) async fn logs(&self, text: &str) -> Outcome {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.process.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.map_err(|_| format!("{text:?} is not in the log: {}", self.process.log()).into())
    }

    /// Ends it as Kubernetes does, and waits for that.
    pub(crate) async fn terminate(&mut self) -> Result<i32, StartError> {
        self.process.signal("TERM")?;
        self.process.ended().await
    }
}

/// What the responder at an address answers.
pub(crate) async fn answer_of(
    client: &reqwest::Client,
    responder: Ipv4Addr,
    host: &str,
    path: &str,
) -> Result<String, reqwest::Error> {
    let url = format!("http://{responder}:8089{path}");
    client.get(url).header("host", host).send().await?.error_for_status()?.text().await
}

/// The kubeconfig of who has this token, which leads by the relay and the interceptor, in this order.
fn kubeconfig_of(server: &ApiServer, token: &str, options: &ReplicaOptions<'_>) -> String {
    let mut text = server.kubeconfig_for(token);
    let mut asked = SocketAddr::from((API_SERVER, 6443));
    if let Some(interceptor) = options.interceptor {
        let of_server = ["server: \"", "certificate-authority-data: "].map(|key| {
            let (_, value) = text.split_once(key).unwrap_or_default();
            value.split(['"', '}']).next().unwrap_or_default().to_owned()
        });
        let [url, root] = of_server;
        asked = interceptor.address;
        text = text
            .replace(&url, &format!("https://{asked}"))
            .replace(&root, &STANDARD.encode(&interceptor.root_pem));
    }
    if let Some(relay) = options.relay {
        let by_relay = format!("{relay}:6443\", tls-server-name: \"{}\"", asked.ip());
        text = text.replace(&format!("{asked}\""), &by_relay);
    }
    text
}

/// Runs the controller if that is what this process was started for.
pub(crate) fn be_one_if_told() -> Result<bool, Box<dyn Error>> {
    let Ok(hours) = env::var(AHEAD) else { return Ok(false) };
    let options = Options::parse();
    options.start_log();
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a provider is there already")?;
    let clock = MovedClock(SignedDuration::from_hours(hours.parse()?));
    tokio::runtime::Runtime::new()?.block_on(async {
        let config = kube::Config::infer().await?;
        run(options, config, Arc::new(clock), signals()).await?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(true)
}

/// The machine's clock, moved.
#[derive(Debug)]
struct MovedClock(SignedDuration);

#[async_trait::async_trait]
impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}
