//! An API server that is slow, refuses, forgets, and breaks off.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{RESPONDER, World};
use crate::interceptor::{Interceptor, Judge, Seen, Verdict};
use crate::manifest::{gateway, http};
use crate::replica::ReplicaOptions;
use bytes::Bytes;
use gatecert_testkit::cluster::API_SERVER;
use http::{HeaderValue, Method, Response, StatusCode, header};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A namespace that only one controller looks at: all that it asks passes here.
const BAD: Alone = Alone("bad-api");

const ONLY: &[&str] = &["--only-namespace", "bad-api"];

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 32);

/// What failed in spite of all is tried again within a minute, and more than one thing may.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many certificates are issued, and renewed.
const CERTIFICATES: usize = 8;

/// What is done to requests. Each counts by itself, so that all kinds meet all requests in time.
#[derive(Default)]
struct BadServer {
    writes: AtomicUsize,
    by_path: Mutex<HashMap<String, usize>>,
    reads: AtomicUsize,
    watches: AtomicUsize,
    faults: AtomicUsize,
}

impl BadServer {
    fn fault(&self, verdict: Verdict) -> Verdict {
        self.faults.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}

impl Judge for BadServer {
    fn judge(&self, seen: &Seen<'_>) -> Verdict {
        let count = |of: &AtomicUsize| of.fetch_add(1, Ordering::Relaxed);
        if seen.uri.query().is_some_and(|query| query.contains("watch=true")) {
            return self.fault(match count(&self.watches) % 4 {
                // The history that it asks for is compacted.
                1 => Verdict::Answer(status(StatusCode::GONE, "Expired", None)),
                n => Verdict::Cut(Duration::from_secs(1 + n as u64)),
            });
        }
        if *seen.method == Method::GET {
            return match count(&self.reads) % 8 {
                1 => self.fault(Verdict::Delay(Duration::from_millis(200))),
                3 => self.fault(Verdict::Answer(status(
                    StatusCode::TOO_MANY_REQUESTS,
                    "TooManyRequests",
                    Some("1"),
                ))),
                _ => Verdict::Pass,
            };
        }
        let all = count(&self.writes);
        let mut by_path = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        let of_path = by_path.entry(seen.uri.path().to_owned()).or_default();
        *of_path += 1;
        match all % 5 {
            // Every second one.
            _ if *of_path % 2 == 1 => {
                self.fault(Verdict::Answer(status(StatusCode::CONFLICT, "Conflict", None)))
            }
            1 => self.fault(Verdict::Answer(status(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                Some("1"),
            ))),
            3 => self.fault(Verdict::Delay(Duration::from_millis(200))),
            _ => Verdict::Pass,
        }
    }
}

fn status(code: StatusCode, reason: &str, retry_after: Option<&'static str>) -> Response<Bytes> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(), "reason": reason,
        "message": "as the test has it",
    });
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(retry_after) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry_after));
    }
    answer
}

/// All certificates come and are renewed when asked, each with one order; one whose Secret is deleted is made good, and
/// nothing is left behind.
pub(crate) async fn is_lived_with(world: &World) -> Outcome {
    BAD.install(world).await?;
    world.cluster.network.add_address(SERVER)?;
    let server = Arc::new(BadServer::default());
    let api_server = format!("https://{API_SERVER}:6443").parse()?;
    let interceptor = Interceptor::start(SERVER, api_server, server.clone()).await?;
    let options = ReplicaOptions { interceptor: Some(&interceptor), ..BAD.replica(RESPONDER, ONLY) };
    let mut replica = world.replica(&options).await?;
    let issued_before = issued(world);

    let names: Vec<_> = (0..CERTIFICATES).map(|i| format!("bad-{i}")).collect();
    for name in &names {
        let host = format!("www.{name}.test");
        let gateway = gateway(BAD.0, name, &[http(name, &[&host], "")]);
        world.apply(&[gateway, Alone::certificate(BAD.0, name, &host)].concat()).await?;
    }
    for name in &names {
        let ready = world.ready_within(BAD.0, name, PATIENCE).await;
        ready.map_err(|error| format!("{error}: {}", replica.process.log()))?;
    }
    assert_eq!(issued(world) - issued_before, CERTIFICATES, "each once");

    let certificates = world.certificates(BAD.0);
    let renew = Patch::Merge(json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}}));
    for name in &names {
        certificates.patch(name, &PatchParams::default(), &renew).await?;
    }
    for name in &names {
        let is_renewed = world
            .until_for(BAD.0, name, PATIENCE, |certificate| {
                let revision = certificate.status.as_ref().and_then(|status| status.revision);
                revision == Some(2) && !certificate.annotations().contains_key("gatecert.dev/renew")
            })
            .await
            .map_err(|error| format!("{error}: {}", replica.process.log()))?;
        world.nothing_left_of(&is_renewed.uid().unwrap_or_default()).await?;
    }
    assert_eq!(issued(world) - issued_before, 2 * CERTIFICATES, "each once more");

    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), BAD.0);
    let before = secrets.get(&names[0]).await?;
    secrets.delete(&names[0], &DeleteParams::default()).await?;
    world.secret_anew(BAD.0, &names[0], before.uid()).await?;
    assert_eq!(replica.terminate().await?, 0);
    let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
    eprintln!(
        "{} faults in {} writes, {} reads and {} watches",
        count(&server.faults),
        count(&server.writes),
        count(&server.reads),
        count(&server.watches)
    );
    assert!(count(&server.faults) > 100, "hardly anything was done to it");
    Ok(())
}

/// How many certificates the CA has issued.
fn issued(world: &World) -> usize {
    world.cluster.pebble.log().matches("Issued certificate serial").count()
}
