//! The controller is killed at each point where something changes outside of it, and started again.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{RESPONDER, World, condition};
use crate::manifest::{gateway, http};
use crate::replica::{Replica, ReplicaOptions};
use gatecert_api::Certificate;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A namespace in which nothing else goes on, so that each point is one of the Certificate's.
const CRASH: Alone = Alone("crash");

const ONLY: &[&str] = &["--only-namespace", "crash"];

/// More points than an issuance has: the end of the search if none is the last.
const MANY: usize = 200;

/// At every point of a first issue and of a renewal: the certificate comes with one order, what was published stays, and
/// nothing is left behind.
pub(crate) async fn at_every_point(world: &World) -> Outcome {
    CRASH.install(world).await?;
    let folder = tempfile::TempDir::with_prefix("gatecert-crash-")?;
    let log = folder.path().join("points");
    for is_renewal in [false, true] {
        let mut killed = Vec::new();
        for point in 1..MANY {
            let name = format!("crash-{point}");
            let wanted = wanted(world, &name, is_renewal).await?;
            match killed_at(world, &wanted, &log, point).await? {
                Some(last) => killed.push(last),
                None => break,
            }
        }
        eprintln!("killed at {} points: {killed:#?}", killed.len());
        assert!(killed.len() >= 24 && killed.len() < MANY - 1, "too few points, or too many, to be all");
    }
    Ok(())
}

/// A Certificate that is not issued yet, or has to be renewed.
struct Wanted {
    name: String,
    /// What is published.
    before: Option<String>,
}

async fn wanted(world: &World, name: &str, is_renewal: bool) -> Result<Wanted, Box<dyn Error + Send + Sync>> {
    let host = format!("www.{name}.test");
    let gateway = gateway(CRASH.0, name, &[http(name, &[&host], "")]);
    let certificate = Alone::certificate(CRASH.0, name, &host);
    world.apply(&[gateway, certificate.clone()].concat()).await?;
    let before = published(world, name).await?;
    if is_renewal {
        if before.is_none() {
            // The first issues have ended one point earlier.
            let mut replica = world.replica(&CRASH.replica(RESPONDER, ONLY)).await?;
            world.ready(CRASH.0, name).await?;
            replica.terminate().await?;
        }
        let renew = "metadata: {annotations: {gatecert.dev/renew: now}, name:";
        world.apply(&certificate.replacen("metadata: {name:", renew, 1)).await?;
    }
    Ok(Wanted { name: name.to_owned(), before: published(world, name).await? })
}

/// Kills at a point, starts again, and looks at how it ends. The point; none where there is none of this number.
async fn killed_at(
    world: &World,
    wanted: &Wanted,
    log: &Path,
    point: usize,
) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let Wanted { name, before } = wanted;
    fs::write(log, "")?;
    if !until_killed(world, wanted, log, point).await? {
        return Ok(None);
    }
    let published_by_then = published(world, name).await?;
    let last = fs::read_to_string(log)?.lines().last().unwrap_or_default().to_owned();
    let mut second = start(world, log, None).await?;
    let failed = |error: Box<dyn Error + Send + Sync>| format!("killed {last}: {error}");
    let certificate = world
        .until(CRASH.0, name, |certificate| is_done(certificate, before.as_deref()))
        .await
        .map_err(|error| format!("{}: {}", failed(error), second.process.log()))?;
    let status = certificate.status.unwrap_or_default();
    world.nothing_left_of(&certificate.metadata.uid.unwrap_or_default()).await.map_err(failed)?;
    assert_eq!(second.terminate().await?, 0);
    let after = published(world, name).await?;
    assert_eq!(after, status.serial_number, "killed {last}");
    if published_by_then != *before {
        assert_eq!(after, published_by_then, "published twice, killed {last}");
    }
    // A request for an order that is refused, for the certificate that it would replace, makes none; and one that was
    // made and is not written down can not be gone on with. No other is ever proved or finalized.
    let points = fs::read_to_string(log)?;
    let orders: BTreeSet<_> = points
        .lines()
        .filter_map(|line| line.split_once("/my-order/").or_else(|| line.split_once("/finalize-order/")))
        .map(|(_, order)| order)
        .collect();
    assert_eq!(orders.len(), 1, "killed {last}: {points}");
    Ok(Some(last))
}

/// Whether another certificate than before is published, and all is said.
fn is_done(certificate: &Certificate, before: Option<&str>) -> bool {
    let Some(status) = &certificate.status else { return false };
    let is_ready = condition(certificate, "Ready").is_some_and(|ready| ready.status == "True");
    let is_asked_for = certificate.annotations().contains_key("gatecert.dev/renew");
    is_ready && !is_asked_for && status.issuance.is_none() && status.serial_number.as_deref() != before
}

async fn start(
    world: &World,
    log: &Path,
    end_at: Option<usize>,
) -> Result<Replica, Box<dyn Error + Send + Sync>> {
    let mut variables = vec![(gatecert_fault::LOG, log.display().to_string())];
    variables.extend(end_at.map(|point| (gatecert_fault::END_AT, point.to_string())));
    // The same identity is given its own Lease again at once.
    world.replica(&ReplicaOptions { variables: &variables, ..CRASH.replica(RESPONDER, ONLY) }).await
}

/// Whether it was killed; if not, it has done everything.
async fn until_killed(
    world: &World,
    wanted: &Wanted,
    log: &Path,
    point: usize,
) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut replica = start(world, log, Some(point)).await?;
    let certificates = world.certificates(CRASH.0);
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if fs::read_to_string(log)?.lines().count() >= point {
                return Ok(true);
            }
            if is_done(&certificates.get(&wanted.name).await?, wanted.before.as_deref()) {
                return Ok::<_, Box<dyn Error + Send + Sync>>(false);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let is_killed =
        waited.await.map_err(|_| format!("neither killed nor done: {}", replica.process.log()))??;
    // The last points are passed when all can be seen to be done.
    if is_killed || replica.process.signal("TERM").is_err() {
        replica.process.ended().await?;
        return Ok(true);
    }
    Ok(replica.process.ended().await? != 0)
}

/// The serial of what is published, as a status has it.
async fn published(world: &World, name: &str) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), CRASH.0);
    let chain = secrets.get_opt(name).await?.and_then(|secret| secret.data?.remove("tls.crt"));
    let Some(chain) = chain else { return Ok(None) };
    let first = x509_parser::pem::Pem::iter_from_buffer(&chain.0).next().ok_or("no certificate")??;
    let serial = first.parse_x509()?.raw_serial_as_string().replace(':', "");
    // DER begins a number with a zero byte where it would be a negative one.
    Ok(Some(serial.strip_prefix("00").unwrap_or(&serial).to_owned()))
}
