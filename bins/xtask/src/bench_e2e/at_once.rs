//! Many hosts that are annotated at once.

use super::pushes::Metrics;
use crate::controller::USER;
use crate::percentiles;
use crate::rig::{Rig, gateway_with};
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gatecert_render::istio::Gateway;
use gatecert_testkit::cluster::apply;
use gatecert_testkit::{https_client, served_chain};
use jiff::Timestamp;
use kube::Api;
use kube::api::Patch;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many requests to the API server are under way at once.
const AT_ONCE: usize = 16;

/// How long all hosts together may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often Envoy is asked for the certificates that it has.
const INTERVAL: Duration = Duration::from_millis(20);

/// When the controller wrote and deleted its routes, from the first one on.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) written: Vec<Duration>,
    pub(super) deleted: Vec<Duration>,
}

/// Annotates as many Gateways at once, and waits until Envoy serves a certificate for each.
pub(super) async fn run(rig: &Rig, count: usize) -> Result<(Value, Writes)> {
    prepare(rig, count).await?;
    let before = Metrics::when_quiet(&rig.cluster.istiod).await?;
    let start = now();
    let (annotated, served) = tokio::try_join!(annotate(rig, count), all_served(rig, count))?;
    let waits: Vec<_> =
        served.iter().filter_map(|(host, at)| Some(at.duration_since(*annotated.get(host)?))).collect();
    let all = served.values().map(|at| at.duration_since(start)).max().unwrap_or_default();
    eprintln!("{count} hosts: all served after {all:.1?}");
    let istiod = Metrics::when_quiet(&rig.cluster.istiod).await?.since(&before).figures();
    let figures = json!({
        "hosts": count,
        "annotatedToServedMs": percentiles::milliseconds(&waits),
        "allServedMs": all.as_millis(),
        "istiod": istiod,
    });
    Ok((figures, writes(rig)))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
fn now() -> Instant {
    Instant::now()
}

/// Applies the Gateways without annotation, and waits until Envoy routes every host and has all its listeners. One with TLS
/// whose Secret is missing takes 15 s: so long Envoy waits for it.
pub(super) async fn prepare(rig: &Rig, count: usize) -> Result<()> {
    let applied = stream::iter(0..count).map(|number| async move {
        apply(&rig.cluster.client, &gateway_with(&name(number), &[&host(number)], "")).await.map(drop)
    });
    applied.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let client = https_client("", &[])?;
    let url = format!("http://{}/", rig.cluster.gateway_address());
    let routed = async {
        for number in 0..count {
            let answers = || async {
                let answer = client.get(&url).header("host", host(number)).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            };
            while !answers().await {
                tokio::time::sleep(INTERVAL).await;
            }
        }
        let stats = format!("{}/stats?filter=total_listeners_warming", rig.cluster.gateway.envoy().admin());
        while !client.get(&stats).send().await?.text().await?.contains("total_listeners_warming: 0") {
            tokio::time::sleep(INTERVAL).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(PATIENCE, routed).await.context("Envoy does not route every host")?
}

pub(super) fn name(number: usize) -> String {
    format!("crowd-{number}")
}

pub(super) fn host(number: usize) -> String {
    format!("www.crowd-{number}.test")
}

/// When the annotation of each host's Gateway was sent.
async fn annotate(rig: &Rig, count: usize) -> Result<HashMap<String, Instant>> {
    let gateways: Api<Gateway> = Api::namespaced(rig.cluster.client.clone(), "istio-system");
    let annotation = json!({"metadata": {"annotations": {"gatecert.dev/cluster-issuer": "pebble"}}});
    let patch = &Patch::Merge(annotation);
    let annotated = stream::iter(0..count).map(|number| {
        let gateways = gateways.clone();
        async move {
            let at = now();
            gateways.patch(&name(number), &Default::default(), patch).await?;
            Ok::<_, anyhow::Error>((host(number), at))
        }
    });
    annotated.buffer_unordered(AT_ONCE).try_collect().await
}

/// When each host was seen to be served, with a certificate of the CA's. Envoy tells which certificates it has, so that only
/// those hosts are asked that have one: asking all of them would take the CPU that the work needs.
async fn all_served(rig: &Rig, count: usize) -> Result<HashMap<String, Instant>> {
    let address = SocketAddr::from((rig.cluster.gateway_address(), 443));
    let mut waiting: Vec<String> = (0..count).map(host).collect();
    let mut served = HashMap::new();
    let looks = async {
        while !waiting.is_empty() {
            let loaded = loaded(rig).await?;
            for host in waiting.iter().filter(|host| loaded.contains(*host)) {
                if served_chain(address, host, &rig.roots).await.is_ok() {
                    served.insert(host.clone(), now());
                }
            }
            waiting.retain(|host| !served.contains_key(host));
            tokio::time::sleep(INTERVAL).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    let looked = tokio::time::timeout(PATIENCE, looks).await;
    looked.with_context(|| format!("Envoy does not serve every host\n{}", rig.log()))??;
    Ok(served)
}

/// What Envoy's administration interface tells of certificates.
#[derive(Deserialize)]
struct Certificates {
    certificates: Vec<Chain>,
}

#[derive(Deserialize)]
struct Chain {
    #[serde(default)]
    cert_chain: Vec<Leaf>,
}

#[derive(Deserialize)]
struct Leaf {
    #[serde(default)]
    subject_alt_names: Vec<AlternativeName>,
}

#[derive(Deserialize)]
struct AlternativeName {
    #[serde(default)]
    dns: String,
}

/// The names of the certificates that Envoy has.
async fn loaded(rig: &Rig) -> Result<HashSet<String>> {
    let url = format!("{}/certs", rig.cluster.gateway.envoy().admin());
    let text = https_client("", &[])?.get(url).send().await?.text().await?;
    let certificates: Certificates = serde_json::from_str(&text)?;
    let leaves = certificates.certificates.into_iter().flat_map(|chain| chain.cert_chain);
    Ok(leaves.flat_map(|leaf| leaf.subject_alt_names).map(|name| name.dns).collect())
}

/// By the audit log of the API server.
fn writes(rig: &Rig) -> Writes {
    let requests = rig.cluster.server.requests();
    let ours = requests
        .iter()
        .filter(|request| request.user.username == USER && request.object_ref.resource == "virtualservices");
    let mut times: Vec<(Timestamp, &str)> = ours
        .filter_map(|request| Some((request.request_received_timestamp.parse().ok()?, request.verb.as_str())))
        .filter(|(_, verb)| !matches!(*verb, "get" | "list"))
        .collect();
    times.sort_unstable();
    let mut writes = Writes::default();
    for (at, verb) in &times {
        let offset = times.first().map(|(first, _)| at.duration_since(*first).unsigned_abs());
        let kind = if *verb == "delete" { &mut writes.deleted } else { &mut writes.written };
        kind.extend(offset);
    }
    writes
}
