//! The cluster, the controller in it, and what tests ask of both.

use crate::Outcome;
use crate::replica::{Replica, ReplicaOptions};
use gatecert_api::Certificate;
use gatecert_render::istio::VirtualService;
use gatecert_render::{InstallOptions, gateway_api, istio};
use gatecert_testkit::cluster::{Application, Cluster, Network, apply, apply_one, namespace};
use gatecert_testkit::served_chain;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Where the controller's responder is.
pub(crate) const RESPONDER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// The controller that all tests share.
const FIRST: ReplicaOptions<'_> = ReplicaOptions {
    identity: "first",
    address: RESPONDER,
    namespace: "gatecert-system",
    arguments: &[],
    hours_ahead: 0,
    variables: &[],
    relay: None,
    interceptor: None,
};

/// Where the application is.
pub(crate) const APPLICATION: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 4);

/// The user that the controller is to the API server.
pub(crate) const USER: &str = "system:serviceaccount:gatecert-system:gatecert";

/// The cluster with the controller in it.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) roots: String,
    _application: Application,
    controller: Mutex<Option<Replica>>,
}

impl World {
    pub(crate) async fn start(network: Network) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let cluster = Cluster::start(network).await?;
        network.add_address(RESPONDER)?;
        apply(&cluster.client, &namespace("app")).await?;
        for object in gatecert_render::install(&InstallOptions::default()) {
            // No kubelet runs: the controller is a process, with the rights of its ServiceAccount.
            apply_one(&cluster.client, &serde_json::from_value(object)?).await?;
        }
        let responder =
            gatecert_testkit::cluster::service("gatecert-system", "gatecert-responder", RESPONDER, 8089);
        apply(&cluster.client, &responder).await?;
        let application = Application::start(&network, &cluster.client, "app", "web", APPLICATION).await?;
        let roots = cluster.pebble.root_pem(0).await?;

        let controller = Replica::start(&network, &cluster.server, &FIRST).await?;
        let controller = Mutex::new(Some(controller));
        let world = Self { cluster, roots, _application: application, controller };
        world.apply(&world.issuer("pebble")).await?;
        Ok(world)
    }

    pub(crate) async fn print_log(&self) {
        eprintln!("{}", self.log().await);
    }

    /// What the controller that all tests share has logged so far.
    pub(crate) async fn log(&self) -> String {
        self.controller.lock().await.as_ref().map(|controller| controller.process.log()).unwrap_or_default()
    }

    /// Ends the controller that all tests share.
    pub(crate) async fn end_controller(&self) -> Outcome {
        if let Some(mut controller) = self.controller.lock().await.take() {
            match controller.terminate().await? {
                0 => {}
                code => return Err(format!("the controller ended with {code}").into()),
            }
        }
        Ok(())
    }

    /// Starts a replica.
    pub(crate) async fn replica(
        &self,
        options: &ReplicaOptions<'_>,
    ) -> Result<Replica, Box<dyn Error + Send + Sync>> {
        Replica::start(&self.cluster.network, &self.cluster.server, options).await
    }

    /// Pebble's own root, as an issuer has it.
    pub(crate) fn bundle(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(self.cluster.pebble.ca_pem())
    }

    /// A ClusterIssuer for Pebble.
    pub(crate) fn issuer(&self, name: &str) -> String {
        let bundle = self.bundle();
        format!(
            "apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {{name: {name}}}
spec: {{acme: {{server: \"{}\", email: ops@example.com, caBundle: {bundle}}}}}
",
            self.cluster.pebble.directory_url()
        )
    }

    pub(crate) async fn apply(&self, yaml: &str) -> Outcome {
        apply(&self.cluster.client, yaml).await?;
        Ok(())
    }

    /// Makes namespaces.
    pub(crate) async fn namespaces(&self, names: &[&str]) -> Outcome {
        for name in names {
            self.apply(&namespace(name)).await?;
        }
        Ok(())
    }

    pub(crate) fn certificates(&self, namespace: &str) -> Api<Certificate> {
        Api::namespaced(self.cluster.client.clone(), namespace)
    }

    /// Waits until a Certificate is as it should be.
    pub(crate) async fn until(
        &self,
        namespace: &str,
        name: &str,
        is_done: impl Fn(&Certificate) -> bool,
    ) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
        self.until_for(namespace, name, PATIENCE, is_done).await
    }

    /// All events of a namespace, as soon as one has this text. They are written beside statuses.
    pub(crate) async fn told_of(
        &self,
        namespace: &str,
        text: &str,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let events: Api<Event> = Api::namespaced(self.cluster.client.clone(), namespace);
        let told = tokio::time::timeout(PATIENCE, async {
            loop {
                let told = serde_json::to_string(&events.list(&Default::default()).await?.items)?;
                if told.contains(text) {
                    return Ok(told);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        told.await.map_err(|_| format!("no event has `{text}`"))?
    }

    /// The same, with more or less patience.
    pub(crate) async fn until_for(
        &self,
        namespace: &str,
        name: &str,
        patience: Duration,
        is_done: impl Fn(&Certificate) -> bool,
    ) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
        let certificates = self.certificates(namespace);
        let mut last = None;
        let waited = tokio::time::timeout(patience, async {
            loop {
                if let Some(certificate) = certificates.get_opt(name).await? {
                    if is_done(&certificate) {
                        return Ok::<_, kube::Error>(certificate);
                    }
                    last = Some(certificate);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        match waited.await {
            Ok(certificate) => Ok(certificate?),
            Err(_) => Err(format!(
                "{namespace}/{name} has not become as it should: {:#?}",
                last.map(|last| last.status)
            )
            .into()),
        }
    }

    /// Waits until a Certificate is ready for its present spec.
    pub(crate) async fn ready(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
        self.ready_within(namespace, name, PATIENCE).await
    }

    /// The same, with more or less patience.
    pub(crate) async fn ready_within(
        &self,
        namespace: &str,
        name: &str,
        patience: Duration,
    ) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
        self.until_for(namespace, name, patience, |certificate| {
            condition(certificate, "Ready").is_some_and(|ready| {
                ready.status == "True" && ready.observed_generation == certificate.metadata.generation
            }) && certificate.status.as_ref().is_some_and(|status| status.issuance.is_none())
        })
        .await
    }

    /// Waits until a Certificate is in the midst of being issued.
    pub(crate) async fn begun(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
        self.until(namespace, name, |certificate| {
            certificate.status.as_ref().is_some_and(|status| status.issuance.is_some())
        })
        .await
    }

    /// Waits until a Certificate says why it is not issued.
    pub(crate) async fn refused(
        &self,
        namespace: &str,
        name: &str,
        reason: &str,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let found = self
            .until(namespace, name, |certificate| {
                condition(certificate, "Issuing").is_some_and(|issuing| issuing.reason == reason)
            })
            .await?;
        Ok(condition(&found, "Issuing").map(|issuing| issuing.message.clone()).unwrap_or_default())
    }

    /// Asks the gateway by plain HTTP.
    pub(crate) async fn get(&self, host: &str, path: &str) -> Result<(u16, String), reqwest::Error> {
        let url = format!("http://{}{path}", self.cluster.gateway_address());
        let answer = plain().get(url).header("host", host).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until the gateway answers a path with this status.
    pub(crate) async fn answers(&self, host: &str, path: &str, status: u16) -> Outcome {
        self.answers_within(PATIENCE, host, path, status).await
    }

    /// The same, with more or less patience.
    pub(crate) async fn answers_within(
        &self,
        patience: Duration,
        host: &str,
        path: &str,
        status: u16,
    ) -> Outcome {
        let waited = tokio::time::timeout(patience, async {
            while self.get(host, path).await.map(|(status, _)| status).ok() != Some(status) {
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("{host}{path} does not answer {status}").into())
    }

    /// The certificate that the gateway serves for a host, verified to Pebble's root.
    pub(crate) async fn served(&self, host: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        let address = SocketAddr::from((self.cluster.gateway_address(), 443));
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Ok(chain) = served_chain(address, host, &self.roots).await
                    && let Some(leaf) = chain.first()
                {
                    return leaf.to_vec();
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("no certificate that verifies is served for {host}").into())
    }

    /// Waits until a Secret is there that is not the one with this uid.
    pub(crate) async fn secret_anew(&self, namespace: &str, name: &str, before: Option<String>) -> Outcome {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client.clone(), namespace);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if secrets.get_opt(name).await?.is_some_and(|secret| secret.uid() != before) {
                    return Ok(());
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("there is no new Secret {namespace}/{name}"))?
    }

    /// Waits until no challenge route, no Gateway made for one, no placeholder and no pending key is left of a
    /// Certificate.
    pub(crate) async fn nothing_left_of(&self, uid: &str) -> Outcome {
        let mut left = Vec::new();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                left = self.left_of(uid).await?;
                if left.is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        waited.await.map_err(|_| format!("of Certificate {uid} there is left: {left:?}"))?
    }

    /// What there is of a Certificate besides what it publishes. A ReferenceGrant is nobody's: it lets the routes of a
    /// namespace reach the responder, and stays.
    async fn left_of(&self, uid: &str) -> Result<Vec<String>, kube::Error> {
        let client = &self.cluster.client;
        let ours = ListParams::default()
            .labels(&format!("gatecert.dev/certificate-uid={uid},gatecert.dev/part!=certificate"));
        let of_each_kind = [
            listed::<VirtualService>(client, &ours).await?,
            listed::<istio::Gateway>(client, &ours).await?,
            listed::<gateway_api::HttpRoute>(client, &ours).await?,
            listed::<Ingress>(client, &ours).await?,
            listed::<Secret>(client, &ours).await?,
        ];
        Ok(of_each_kind.concat())
    }

    /// Waits until another certificate than before is served for a host.
    pub(crate) async fn served_anew(&self, host: &str, before: &[u8]) -> Outcome {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.served(host).await? == before {
                tokio::time::sleep(INTERVAL).await;
            }
            Ok(())
        });
        waited.await.map_err(|_| format!("the certificate of {host} stays as it was"))?
    }
}

/// The objects of a kind, in all namespaces.
async fn listed<K>(client: &Client, parameters: &ListParams) -> Result<Vec<String>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    let title = |object: &K| {
        format!("{} {}/{}", K::kind(&()), object.namespace().unwrap_or_default(), object.name_any())
    };
    Ok(api.list(parameters).await?.items.iter().map(title).collect())
}

pub(crate) fn condition<'a>(certificate: &'a Certificate, type_: &str) -> Option<&'a Condition> {
    certificate.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// An error with the causes behind it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn plain() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// Requests every 20 ms, and how many of them were not answered as they should.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    failures: Arc<std::sync::Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    /// Begins to ask the gateway for all of these: scheme, host, path, and the status that is right.
    pub(crate) fn start(world: &World, asked: &[(&str, &str, &str, u16)]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let failures = Arc::new(std::sync::Mutex::new(Vec::new()));
        let count = Arc::new(AtomicUsize::new(0));
        let address = world.cluster.gateway_address();
        let hosts: Vec<_> = asked.iter().map(|(_, host, _, _)| (*host).to_owned()).collect();
        let client = load_client(&world.roots, &hosts, address);
        let asked: Vec<_> = asked
            .iter()
            .map(|(scheme, host, path, status)| (format!("{scheme}://{host}{path}"), *status))
            .collect();
        let (stopped, failed, counted) = (Arc::clone(&stop), Arc::clone(&failures), Arc::clone(&count));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                for (url, status) in &asked {
                    let answer = client.get(url).send().await;
                    counted.fetch_add(1, Ordering::Relaxed);
                    match answer {
                        Ok(answer) if answer.status().as_u16() == *status => {}
                        Ok(answer) => failed.lock().unwrap().push(format!("{url}: {}", answer.status())),
                        Err(error) => failed.lock().unwrap().push(format!("{url}: {error:?}")),
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { stop, failures, count, task }
    }

    /// Ends it: an error where a request failed, or none was made.
    pub(crate) async fn end(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?;
        let failures = self.failures.lock().unwrap().clone();
        let count = self.count.load(Ordering::Relaxed);
        match (failures.is_empty(), count) {
            (_, 0) => Err("no request was made".into()),
            (true, _) => Ok(()),
            (false, _) => Err(format!(
                "{} of {count} requests failed: {:?}",
                failures.len(),
                &failures[..failures.len().min(5)]
            )
            .into()),
        }
    }
}

/// A client for which every host is at the gateway; each request has a connection of its own, so that none is spared a
/// change.
fn load_client(roots: &str, hosts: &[String], address: Ipv4Addr) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(roots.as_bytes()).unwrap();
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([certificate])
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(5));
    for host in hosts {
        builder = builder.resolve(host, SocketAddr::from((address, 0)));
    }
    builder.build().unwrap()
}
