//! A cluster with the controller in it, as a process of its own with the rights that it is installed with.

use crate::controller::{self, RESPONDER};
use anyhow::{Context as _, Result, bail};
use gatecert_testkit::cluster::{
    APPLICATION_PORT, Application, Cluster, GRPC_PATH, GRPC_PORT, GrpcClient, Network, apply, base64,
    namespace,
};
use gatecert_testkit::{Process, https_client, served_chain};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the application is.
const APPLICATION: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 4);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) roots: String,
    controller: Process,
    _application: Application,
}

impl Rig {
    /// Starts the cluster and the controller in it, with a ClusterIssuer `pebble` and an application `web.shop`.
    pub(crate) async fn start(network: Network, program: &Path) -> Result<Self> {
        let cluster = Cluster::start(network).await?;
        network.add_address(RESPONDER)?;
        apply(&cluster.client, &namespace("shop")).await?;
        controller::install(&cluster.client).await?;
        let application = Application::start(&network, &cluster.client, "shop", "web", APPLICATION).await?;
        let controller =
            controller::start(&cluster.server, program, "info,gatecert_controller=debug").await?;
        apply(&cluster.client, &issuer(&cluster)).await?;
        let roots = cluster.pebble.root_pem(0).await?;
        Ok(Self { cluster, roots, controller, _application: application })
    }

    /// What the controller logged so far, a JSON object a line.
    pub(crate) fn log(&self) -> String {
        self.controller.log()
    }

    /// The certificate that Envoy serves for a host, verified to the CA's root, as soon as there is one that is not
    /// `before`.
    pub(crate) async fn served(&self, host: &str, before: &[u8]) -> Result<Vec<u8>> {
        let address = SocketAddr::from((self.cluster.gateway_address(), 443));
        let looks = async {
            loop {
                if let Ok(chain) = served_chain(address, host, &self.roots).await
                    && let Some(leaf) = chain.first()
                    && leaf.as_ref() != before
                {
                    return leaf.to_vec();
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        let served = tokio::time::timeout(PATIENCE, looks).await;
        served.with_context(|| format!("Envoy serves no new certificate for {host}\n{}", self.log()))
    }

    /// A gRPC client that checks certificates, on one connection to the gateway.
    pub(crate) async fn grpc(&self, host: &str) -> Result<GrpcClient> {
        let address = SocketAddr::from((self.cluster.gateway_address(), 443));
        Ok(GrpcClient::connect(address, host, &self.roots).await?)
    }

    /// A client that checks certificates, for which these hosts are at the gateway.
    pub(crate) fn browser(&self, hosts: &[&str]) -> Result<reqwest::Client> {
        let address = SocketAddr::from((self.cluster.gateway_address(), 443));
        let hosts: Vec<_> = hosts.iter().map(|host| (*host, address)).collect();
        Ok(https_client(&self.roots, &hosts)?)
    }
}

fn issuer(cluster: &Cluster) -> String {
    let bundle = base64(cluster.pebble.ca_pem());
    format!(
        "apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {{name: pebble}}
spec: {{acme: {{server: \"{}\", email: ops@example.com, caBundle: {bundle}}}}}
",
        cluster.pebble.directory_url()
    )
}

/// An annotated Gateway with these hosts on ports 80 and 443, and the application behind it.
pub(crate) fn gateway(name: &str, hosts: &[&str]) -> String {
    gateway_with(name, hosts, "gatecert.dev/cluster-issuer: pebble")
}

/// The same with other annotations.
pub(crate) fn gateway_with(name: &str, hosts: &[&str], annotations: &str) -> String {
    let hosts = hosts.join(", ");
    format!(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: {name}
  namespace: istio-system
  annotations: {{{annotations}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 80, name: http-{name}, protocol: HTTP}}
    hosts: [{hosts}]
  - port: {{number: 443, name: https-{name}, protocol: HTTPS}}
    hosts: [{hosts}]
    tls: {{mode: SIMPLE, credentialName: {name}-tls}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{hosts}]
  gateways: [istio-system/{name}]
  http:
  - match: [{{uri: {{prefix: {GRPC_PATH}}}}}]
    route: [{{destination: {{host: web.shop.svc.cluster.local, port: {{number: {GRPC_PORT}}}}}}}]
  - route: [{{destination: {{host: web.shop.svc.cluster.local, port: {{number: {APPLICATION_PORT}}}}}}}]
"
    )
}

/// Waits for something to hold, and gives how long that took.
#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
pub(crate) async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let value = work.await?;
    Ok((start.elapsed(), value))
}

/// Requests one after the other for several URLs, each on a connection of its own, until it is stopped.
pub(crate) struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<(u64, u64)>,
}

impl Load {
    pub(crate) fn start(client: reqwest::Client, urls: Vec<String>) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(async move {
            let (mut requests, mut failures) = (0, 0);
            while !*stopped.borrow() {
                for url in &urls {
                    let answer = client.get(url).header("connection", "close").send().await;
                    requests += 1;
                    failures += u64::from(!answer.is_ok_and(|answer| answer.status().is_success()));
                }
                tokio::time::sleep(INTERVAL).await;
            }
            (requests, failures)
        });
        Self { stop, task }
    }

    /// How many requests there were. An error where one failed.
    pub(crate) async fn stop(self) -> Result<u64> {
        self.stop.send_replace(true);
        let (requests, failures) = self.task.await?;
        if failures > 0 || requests == 0 {
            bail!("{failures} of {requests} requests failed");
        }
        Ok(requests)
    }
}

/// gRPC on one connection until it is stopped: calls one after the other, beside one that has no end.
pub(crate) struct GrpcLoad {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<u64>>,
}

impl GrpcLoad {
    pub(crate) fn start(client: GrpcClient) -> Self {
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let (mut watching, mut calling) = (client.clone(), client);
        let task = tokio::spawn(async move {
            let mut stream = watching.watch().await?;
            stream.message().await?.context("the call without end has ended")?;
            let mut calls = 0;
            let calling = async {
                while !*stopped.borrow_and_update() {
                    calling.check().await?;
                    calls += 1;
                    tokio::time::sleep(INTERVAL).await;
                }
                Ok::<_, anyhow::Error>(())
            };
            tokio::select! {
                called = calling => called?,
                message = stream.message() => bail!("the call without end has ended: {message:?}"),
            }
            Ok(calls)
        });
        Self { stop, task }
    }

    /// How many calls there were. An error where one failed, or the one without end ended.
    pub(crate) async fn stop(self) -> Result<u64> {
        self.stop.send_replace(true);
        let calls = self.task.await??;
        if calls == 0 {
            bail!("no call was made");
        }
        Ok(calls)
    }
}
