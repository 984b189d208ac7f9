//! The controller is killed at each point where something changes outside of it, and started again.

mod shape;
mod write;

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{World, condition};
use crate::proxy::PortProxy;
use crate::replica::{Replica, ReplicaOptions};
use gatecert_api::{Certificate, annotation};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use shape::{PROXY, Shape, install, install_at_the_edge};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;
use write::{around, kinds, last_kind};

/// More points than an issuance has: the end of the search if none is the last.
const MANY: usize = 200;

/// At every point of a first issue and of a renewal: the certificate comes with one order, what was published stays, and
/// nothing is left behind.
pub(crate) async fn at_every_point(world: &World) -> Outcome {
    install(world).await?;
    let folder = tempfile::TempDir::with_prefix("gatecert-crash-")?;
    let log = folder.path().join("points");
    for is_renewal in [false, true] {
        let (mut killed, mut was_killed) = (Vec::new(), true);
        for point in 1..MANY {
            let wanted = wanted(world, Shape::Plain, point, is_renewal).await?;
            let passed = killed_at(world, &wanted, &log, point).await?;
            // One issue has fewer points where Pebble takes an authorization that it has, as it does once in a hundred times;
            // two in a row are the end.
            if passed.is_none() && !was_killed {
                break;
            }
            was_killed = passed.is_some();
            killed.extend(passed.map(|passed| last(&passed)));
        }
        eprintln!("killed at {} points: {killed:#?}", killed.len());
        assert!(killed.len() >= 24 && killed.len() < MANY - 1, "too few points, or too many, to be all");
    }
    Ok(())
}

/// The same where names are served in other ways, at the points of the writes that those need and no other.
pub(crate) async fn at_what_other_gateways_need(world: &World) -> Outcome {
    install(world).await?;
    install_at_the_edge(world).await?;
    let _proxy = PortProxy::start(world, PROXY).await?;
    let folder = tempfile::TempDir::with_prefix("gatecert-crash-")?;
    let log = folder.path().join("points");
    let mut known = kinds(&undisturbed(world, Shape::Plain, 0, &log).await?);
    // The first issue of a controller registers its account too.
    undisturbed(world, Shape::Placeholder, MANY, &log).await?;
    for shape in [Shape::Bypass, Shape::Ingress, Shape::Placeholder, Shape::GatewayApi] {
        let points = undisturbed(world, shape, 0, &log).await?;
        let new: BTreeSet<_> = kinds(&points).difference(&known).cloned().collect();
        let (mut killed, mut met) = (Vec::new(), BTreeSet::new());
        for point in around(&points, &new) {
            let wanted = wanted(world, shape, point, false).await?;
            let passed = killed_at(world, &wanted, &log, point).await?;
            let passed = passed.ok_or_else(|| format!("{shape:?} has no point {point}: {points}"))?;
            met.extend(last_kind(&passed));
            killed.push(last(&passed));
        }
        eprintln!("{shape:?}: killed at {} points: {killed:#?}", killed.len());
        let missed: Vec<_> = new.difference(&met).collect();
        assert!(!new.is_empty() && missed.is_empty(), "{shape:?}: not killed at {missed:?} of {new:?}");
        known.extend(new);
    }
    Ok(())
}

/// The points of a first issue that nothing happens to.
async fn undisturbed(
    world: &World,
    shape: Shape,
    number: usize,
    log: &Path,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let wanted = wanted(world, shape, number, false).await?;
    fs::write(log, "")?;
    if until_killed(world, &wanted, log, MANY).await? {
        return Err(format!("{shape:?} is not issued by itself: {}", fs::read_to_string(log)?).into());
    }
    Ok(fs::read_to_string(log)?)
}

fn last(points: &str) -> String {
    points.lines().last().unwrap_or_default().to_owned()
}

/// A Certificate that is not issued yet, or has to be renewed.
struct Wanted {
    shape: Shape,
    name: String,
    /// What is published.
    before: Option<String>,
}

async fn wanted(
    world: &World,
    shape: Shape,
    number: usize,
    is_renewal: bool,
) -> Result<Wanted, Box<dyn Error + Send + Sync>> {
    let (name, namespace) = (shape.name(number), shape.namespace());
    let certificate = Alone::certificate(namespace, &name, &shape.host(&name));
    world.apply(&[shape.serving(world, &name).await?, certificate.clone()].concat()).await?;
    let before = published(world, shape, &name).await?;
    if is_renewal {
        if before.is_none() {
            // The first issues have ended one point earlier.
            let mut replica = world.replica(&shape.replica()).await?;
            world.ready(namespace, &name).await?;
            replica.terminate().await?;
        }
        let renew = "metadata: {annotations: {gatecert.dev/renew: now}, name:";
        world.apply(&certificate.replacen("metadata: {name:", renew, 1)).await?;
    }
    let before = published(world, shape, &name).await?;
    Ok(Wanted { shape, name, before })
}

/// Kills at a point, starts again, and looks at how it ends. The points up to that; none where there is none of this
/// number.
async fn killed_at(
    world: &World,
    wanted: &Wanted,
    log: &Path,
    point: usize,
) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let Wanted { shape, name, before } = wanted;
    fs::write(log, "")?;
    if !until_killed(world, wanted, log, point).await? {
        return Ok(None);
    }
    let published_by_then = published(world, *shape, name).await?;
    let passed = fs::read_to_string(log)?;
    let last = last(&passed);
    let mut second = start(world, *shape, log, None).await?;
    let failed = |error: Box<dyn Error + Send + Sync>| format!("killed {last}: {error}");
    let certificate = world
        .until(shape.namespace(), name, |certificate| is_done(certificate, before.as_deref()))
        .await
        .map_err(|error| format!("{}: {}", failed(error), second.process.log()))?;
    let status = certificate.status.unwrap_or_default();
    world.nothing_left_of(&certificate.metadata.uid.unwrap_or_default()).await.map_err(failed)?;
    assert_eq!(second.terminate().await?, 0);
    let after = published(world, *shape, name).await?;
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
    Ok(Some(passed))
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
    shape: Shape,
    log: &Path,
    end_at: Option<usize>,
) -> Result<Replica, Box<dyn Error + Send + Sync>> {
    let mut variables = vec![(gatecert_fault::LOG, log.display().to_string())];
    variables.extend(end_at.map(|point| (gatecert_fault::END_AT, point.to_string())));
    // The same identity is given its own Lease again at once.
    world.replica(&ReplicaOptions { variables: &variables, ..shape.replica() }).await
}

/// Whether it was killed; if not, it has done everything.
async fn until_killed(
    world: &World,
    wanted: &Wanted,
    log: &Path,
    point: usize,
) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut replica = start(world, wanted.shape, log, Some(point)).await?;
    let certificates = world.certificates(wanted.shape.namespace());
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

/// The serial of what is published, as a status has it. A placeholder is not.
async fn published(
    world: &World,
    shape: Shape,
    name: &str,
) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), shape.namespace());
    let is_published = |secret: &Secret| {
        secret.labels().get(annotation::PART).is_some_and(|part| part == annotation::PART_CERTIFICATE)
    };
    let secret = secrets.get_opt(name).await?.filter(is_published);
    let chain = secret.and_then(|secret| secret.data?.remove("tls.crt"));
    let Some(chain) = chain else { return Ok(None) };
    let first = x509_parser::pem::Pem::iter_from_buffer(&chain.0).next().ok_or("no certificate")??;
    let serial = first.parse_x509()?.raw_serial_as_string().replace(':', "");
    // DER begins a number with a zero byte where it would be a negative one.
    Ok(Some(serial.strip_prefix("00").unwrap_or(&serial).to_owned()))
}
