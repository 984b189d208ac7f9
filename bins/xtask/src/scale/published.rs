//! Certificates that are published and valid: what it costs to hold them, and to start with them.

use super::crowd::{certificate, is_ready};
use super::plane::{AT_ONCE, NAMESPACE, Plane};
use super::report::{self, rounded};
use super::requests::Requests;
use super::usage::Usage;
use crate::controller;
use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gatecert_api::{Certificate, annotation};
use gatecert_render::{ObjectName, Owner, Publication, published_secret};
use gatecert_testkit::Process;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::ListParams;
use kube::core::Request;
use kube::{Api, Client, ResourceExt as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long the first start may take to write a status for each.
const PATIENCE: Duration = Duration::from_secs(900);

/// How many objects are in a page of the controller's lists.
const PAGE: u32 = 500;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long a controller that has nothing to do is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(15);

/// How long it is watched while it has nothing to do.
const IDLE: Duration = Duration::from_secs(60);

pub(super) async fn run(plane: &Plane, program: &Path, count: usize) -> Result<Value> {
    publish(plane, count).await?;
    let (mut controller, first) = start(plane, program, count).await?;
    // It gives its Lease back, for which the next one would have to wait else.
    controller.signal("TERM")?;
    controller.ended().await?;
    drop(controller);
    let (controller, second) = start(plane, program, count).await?;
    let before = Requests::of(plane);
    tokio::time::sleep(IDLE).await;
    let after = Requests::of(plane).since(&before);
    drop(controller);
    let idle = after.api.into_iter().chain(after.ca).collect();
    Ok(report::published(count, &first, &second, &idle))
}

/// How many seconds a start's lists take by themselves: the Certificates, for the replica and for whoever leads, and gatecert's
/// Secrets, all at once, by a client that keeps nothing of them.
#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
async fn read_lists(plane: &Plane) -> Result<f64> {
    let ours = format!("{}={}", annotation::MANAGED_BY, annotation::MANAGER);
    let certificates = "/apis/gatecert.dev/v1/certificates";
    let mut lists = JoinSet::new();
    let begin = Instant::now();
    for (path, labels) in [(certificates, None), (certificates, None), ("/api/v1/secrets", Some(ours))] {
        lists.spawn(read_list(plane.client.clone(), path, labels));
    }
    while let Some(list) = lists.join_next().await {
        list??;
    }
    Ok(rounded(begin.elapsed().as_secs_f64()))
}

/// Reads a list to its end, in the controller's pages.
async fn read_list(client: Client, path: &str, label_selector: Option<String>) -> Result<()> {
    /// What is read of a page.
    #[derive(Deserialize)]
    struct Page {
        metadata: ListMeta,
    }
    let mut wanted = ListParams { limit: Some(PAGE), label_selector, ..ListParams::default() };
    loop {
        let page: Page = client.request(Request::new(path).list(&wanted)?).await?;
        wanted.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if wanted.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// Starts the controller, and gives what that took when nothing is left to do.
#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
async fn start(plane: &Plane, program: &Path, count: usize) -> Result<(Process, Value)> {
    let lists = read_lists(plane).await?;
    let before = Requests::of(plane);
    let (mut controller, begin) =
        plane.launch(program, "warn,gatecert_controller::certificate=debug").await?;
    controller::wait_ready(&mut controller).await?;
    let ready = Timestamp::now().duration_since(begin);
    let decided = tokio::time::timeout(PATIENCE, first_decision(&controller)).await?;
    wait_ready(plane, count).await.with_context(|| controller.log())?;
    let all = Timestamp::now().duration_since(begin);
    tokio::time::sleep(SETTLE).await;
    let used = Usage::of(&[("controller", controller.id()?)])?.process("controller");
    let requests = Requests::of(plane).since(&before);
    let seconds = |time: SignedDuration| rounded(time.as_secs_f64());
    let figures = json!({
        "listSecondsAlone": lists,
        "readySeconds": seconds(ready),
        "firstDecisionSeconds": seconds(decided.duration_since(begin)),
        "allKnownSeconds": seconds(all),
        "cpuSeconds": rounded(used.cpu),
        "peakMegabytes": rounded(used.peak),
        "heldMegabytes": rounded(used.memory),
        "apiWrites": requests.writes(),
        "apiRequests": requests.api.values().sum::<u64>(),
        "caRequests": requests.ca.values().sum::<u64>(),
    });
    Ok((controller, figures))
}

/// When the controller decided about a Certificate for the first time, by its own log.
async fn first_decision(controller: &Process) -> Timestamp {
    loop {
        let log = controller.log();
        let planned = log.lines().find(|line| line.contains("\"planned\""));
        let line: Option<Value> = planned.and_then(|line| serde_json::from_str(line).ok());
        let time = line.as_ref().and_then(|line| line.get("timestamp")?.as_str()?.parse().ok());
        if let Some(time) = time {
            return time;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn wait_ready(plane: &Plane, count: usize) -> Result<()> {
    let api: Api<Certificate> = Api::namespaced(plane.client.clone(), NAMESPACE);
    let mut ready = 0;
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let list = api.list(&ListParams::default()).await?;
            ready = list.iter().filter(|certificate| is_ready(certificate)).count();
            if ready == count {
                return Ok::<_, kube::Error>(());
            }
            tokio::time::sleep(INTERVAL).await;
        }
    });
    match waited.await {
        Ok(result) => Ok(result?),
        Err(_) => bail!("{ready} of {count} Certificates are ready"),
    }
}

/// Makes Certificates and the Secrets that they want, as if they had been issued.
async fn publish(plane: &Plane, count: usize) -> Result<()> {
    let authority = Authority::new()?;
    let certificates: Api<Certificate> = Api::namespaced(plane.client.clone(), NAMESPACE);
    let secrets: Api<Secret> = Api::namespaced(plane.client.clone(), NAMESPACE);
    let made = stream::iter(0..count).map(|number| {
        let (certificates, secrets, authority) = (&certificates, &secrets, &authority);
        async move {
            let certificate = certificates.create(&Default::default(), &certificate(number, 1)).await?;
            let secret = authority.secret(plane, &certificate)?;
            secrets.create(&Default::default(), &secret).await?;
            Ok::<_, anyhow::Error>(())
        }
    });
    made.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// A CA of the benchmark's own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued_at: Timestamp,
}

impl Authority {
    #[allow(clippy::disallowed_methods, reason = "certificates that are valid now")]
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.use_authority_key_identifier_extension = true;
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer, issued_at: Timestamp::now() })
    }

    fn secret(&self, plane: &Plane, certificate: &Certificate) -> Result<Secret> {
        let dns_names = certificate.spec.dns_names.clone().unwrap_or_default();
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(dns_names.clone())?;
        params.use_authority_key_identifier_extension = true;
        let day = |days: i64| -> Result<_> {
            let time = self.issued_at + SignedDuration::from_hours(24 * days);
            Ok(std::time::SystemTime::from(time).into())
        };
        (params.not_before, params.not_after) = (day(-1)?, day(89)?);
        let leaf = params.signed_by(&key, &self.issuer)?;
        let owner = Owner {
            namespace: NAMESPACE.to_owned(),
            name: certificate.name_any(),
            uid: certificate.uid().unwrap_or_default(),
        };
        Ok(published_secret(&Publication {
            owner: &owner,
            secret: &ObjectName::new(NAMESPACE, &certificate.spec.secret_name),
            chain_pem: &format!("{}{}", leaf.pem(), self.issuer.pem()),
            key_pem: &key.serialize_pem(),
            dns_names,
            ip_addresses: Vec::new(),
            common_name: None,
            issuer: &certificate.spec.issuer_ref,
            directory: plane.pebble.directory_url().as_str(),
            profile: None,
            issued_at: &self.issued_at.to_string(),
            template: None,
        }))
    }
}
