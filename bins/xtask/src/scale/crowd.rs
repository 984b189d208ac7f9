//! Certificates that are all created at once, and issued.

use super::plane::{AT_ONCE, NAMESPACE, Plane};
use super::requests::Requests;
use super::usage::Usage;
use super::{Arguments, plot, report};
use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gatecert_api::{Certificate, CertificateSpec, IssuerKind, IssuerReference};
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a run may take without a Certificate that becomes ready.
const PATIENCE: Duration = Duration::from_secs(70);

/// How long a controller that has nothing to do is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);

/// When Certificates were asked for and became ready, from the first request on.
#[derive(Default)]
pub(super) struct Times {
    /// How long each took, in no order.
    pub(super) waits: Vec<Duration>,
    /// When each was ready, in order.
    pub(super) ready: Vec<Duration>,
}

#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
fn now() -> Instant {
    Instant::now()
}

pub(super) async fn run(plane: &Plane, program: &Path, count: usize, arguments: &Arguments) -> Result<Value> {
    let controller = plane.controller(program, "warn").await?;
    let pebble = plane.pebble.process_id()?;
    let processes = [
        ("controller", controller.id()?),
        ("kubeApiserver", plane.server.process_id().context("the API server does not run")?),
        ("etcd", plane.server.etcd_process_id()?),
        ("pebble", pebble),
    ];
    let requests_before = Requests::of(plane);
    let usage_before = Usage::of(&processes)?;
    let times = create_and_wait(plane, count, arguments.names).await;
    let times = times.with_context(|| format!("the controller's log:\n{}", controller.log()))?;
    let usage = Usage::of(&processes)?;
    tokio::time::sleep(SETTLE).await;
    let held = Usage::of(&processes)?;
    let requests = Requests::of(plane).since(&requests_before);
    // Whatever is worth a warning is worth a look: the figures may be those of something else.
    eprint!("{}", controller.log());
    if let Some(folder) = &arguments.plot {
        plot::write(folder, count, arguments.names, &times.ready)?;
    }
    Ok(report::crowd(count, arguments.names, &times, &requests, &usage.since(&usage_before), &held))
}

async fn create_and_wait(plane: &Plane, count: usize, names: usize) -> Result<Times> {
    let api: Api<Certificate> = Api::namespaced(plane.client.clone(), NAMESPACE);
    // The API server makes what it needs for a kind when the first object of it comes, two seconds long: that is its own start.
    let only_checked = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&only_checked, &certificate(0, names)).await?;
    let (listening, heard) = oneshot::channel();
    let watching = tokio::spawn(all_ready(api.clone(), count, listening));
    heard.await.context("the watch did not begin")?;
    let start = now();
    let created = stream::iter(0..count).map(|number| {
        let (api, certificate) = (api.clone(), certificate(number, names));
        async move {
            let at = now();
            api.create(&Default::default(), &certificate).await.map(|created| (created.name_any(), at))
        }
    });
    let created: HashMap<String, Instant> = created.buffer_unordered(AT_ONCE).try_collect().await?;
    let ready = watching.await??;
    let mut times = Times::default();
    for (name, at) in ready {
        times.ready.push(at.duration_since(start));
        times.waits.extend(created.get(&name).map(|created| at.duration_since(*created)));
    }
    Ok(times)
}

/// When each Certificate was seen to be ready, in that order.
async fn all_ready(
    api: Api<Certificate>,
    count: usize,
    listening: oneshot::Sender<()>,
) -> Result<Vec<(String, Instant)>> {
    let mut events = pin!(watcher(api, watcher::Config::default()));
    let mut listening = Some(listening);
    let (mut seen, mut ready) = (std::collections::HashSet::new(), Vec::new());
    while ready.len() < count {
        let Ok(event) = tokio::time::timeout(PATIENCE, events.next()).await else {
            bail!("{} of {count} Certificates are ready, and no other became it", ready.len());
        };
        match event.context("the watch has ended")?? {
            Event::Apply(certificate) if is_ready(&certificate) && seen.insert(certificate.name_any()) => {
                ready.push((certificate.name_any(), now()));
            }
            Event::InitDone => drop(listening.take().map(|listening| listening.send(()))),
            _ => {}
        }
    }
    Ok(ready)
}

pub(super) fn is_ready(certificate: &Certificate) -> bool {
    let conditions = certificate.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The Certificate of this number.
pub(super) fn certificate(number: usize, names: usize) -> Certificate {
    let dns_names = match names {
        1 => vec![format!("c{number}.bench.test")],
        _ => (0..names).map(|name| format!("n{name}.c{number}.bench.test")).collect(),
    };
    let issuer_ref = IssuerReference {
        name: "pebble".to_owned(),
        kind: Some(IssuerKind::ClusterIssuer),
        ..IssuerReference::default()
    };
    let spec = CertificateSpec {
        secret_name: format!("c{number}-tls"),
        dns_names: Some(dns_names),
        issuer_ref,
        ..CertificateSpec::default()
    };
    Certificate::new(&format!("c{number}"), spec)
}
