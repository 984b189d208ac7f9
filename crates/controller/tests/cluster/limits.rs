//! A CA that limits rates as Let's Encrypt does, in seconds instead of hours.

use crate::Outcome;
use crate::harness::{RESPONDER, World};
use crate::interceptor::{Interceptor, Judge, Seen, Verdict};
use crate::manifest::{certificate, gateway, http};
use crate::replica::{Replica, ReplicaOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatecert_acme::{Clock as _, SystemClock};
use gatecert_api::Certificate;
use http::{HeaderValue, Response, StatusCode, header};
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many orders the CA takes at once, and in how many seconds that is filled again.
const ORDERS: u32 = 15;
const SECONDS: u32 = 30;

/// How many certificates are wanted.
const CERTIFICATES: usize = 27;

const CA: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 31);

/// Pebble, with a bucket of new orders before it.
struct LimitedCa {
    bucket: Mutex<(f64, Duration)>,
    taken: AtomicUsize,
    refused: AtomicUsize,
    /// Whether all names are paused now.
    is_paused: AtomicBool,
}

impl LimitedCa {
    fn takes(&self) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = &mut *bucket;
        let now = SystemClock.monotonic();
        let filled = (now - *last).as_secs_f64() / f64::from(SECONDS) * f64::from(ORDERS);
        *last = now;
        *tokens = (*tokens + filled).min(f64::from(ORDERS));
        let is_taken = *tokens >= 1.0;
        *tokens -= if is_taken { 1.0 } else { 0.0 };
        is_taken
    }
}

impl Judge for LimitedCa {
    fn judge(&self, seen: &Seen<'_>) -> Verdict {
        // As Pebble names it.
        if seen.uri.path() != "/order-plz" {
            return Verdict::Pass;
        }
        if self.is_paused.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return too_many(PAUSED, "86400");
        }
        if self.takes() {
            self.taken.fetch_add(1, Ordering::Relaxed);
            return Verdict::Pass;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        too_many(OF_ACCOUNT, "60")
    }
}

/// As Let's Encrypt says it.
const OF_ACCOUNT: &str = "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-23 18:00:00 \
                          UTC: see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account";
const PAUSED: &str = "Your account is temporarily prevented from requesting certificates for www.paused.test and possibly \
                      others. Please visit: https://portal.test/sfe/v1/unpause?jwt=a.b.c";

fn too_many(detail: &str, retry_after: &'static str) -> Verdict {
    let problem = json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": detail});
    let mut answer = Response::new(Bytes::from(problem.to_string()));
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    for (name, value) in
        [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, retry_after)]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Verdict::Answer(answer)
}

/// More certificates than the CA takes orders, and a new leader in the midst of it: none is refused, each is ordered once.
pub(crate) async fn a_crowd_waits_its_turn(world: &World) -> Outcome {
    world.cluster.network.add_address(CA)?;
    let ca = Arc::new(LimitedCa {
        bucket: Mutex::new((f64::from(ORDERS), SystemClock.monotonic())),
        taken: AtomicUsize::default(),
        refused: AtomicUsize::default(),
        is_paused: AtomicBool::default(),
    });
    let pebble = world.cluster.pebble.directory_url();
    let interceptor = Interceptor::start(CA, pebble.clone(), ca.clone()).await?;
    let mut replica = world.replica(&ReplicaOptions::new("limits-1", RESPONDER)).await?;
    let mut server = pebble;
    server.set_ip_host(CA.into()).map_err(|()| "no host")?;
    server.set_port(Some(interceptor.address.port())).map_err(|()| "no port")?;
    world.apply(&issuer(&server, &interceptor.root_pem)).await?;

    let hosts: Vec<_> = (0..CERTIFICATES).map(|i| format!("h{i}.crowd.test")).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let mut manifests = gateway("istio-system", "crowd", &[http("crowd", &hosts, "")]);
    for (i, host) in hosts.iter().enumerate() {
        let certificate = certificate("istio-system", &format!("crowd-{i}"), &[host]);
        manifests += &certificate.replace("name: pebble,", "name: limited,");
    }
    world.apply(&manifests).await?;

    let crowd = until(world, |crowd| ready(crowd) >= ORDERS as usize).await?;
    let waiting = crowd.iter().filter(|certificate| is_held(certificate)).count();
    assert!(waiting >= CERTIFICATES - ORDERS as usize - 2, "{waiting} wait");
    let metrics = replica.metrics().await?;
    let of =
        |name: &str| metrics.lines().find(|line| line.starts_with(name) && line.contains(server.authority()));
    let remaining = of("gatecert_rate_limit_remaining").ok_or("no metric")?;
    assert!(remaining.contains("new_orders") && !remaining.ends_with(&format!(" {ORDERS}")), "{remaining}");
    assert!(!of("gatecert_rate_limit_waiting").ok_or("no metric")?.ends_with(" 0"), "{metrics}");

    // The next one knows what was ordered.
    assert_eq!(replica.terminate().await?, 0);
    let _next: Replica = world.replica(&ReplicaOptions::new("limits-2", RESPONDER)).await?;
    until(world, |crowd| ready(crowd) == CERTIFICATES).await?;
    assert_eq!(ca.refused.load(Ordering::Relaxed), 0, "orders were refused");
    assert_eq!(ca.taken.load(Ordering::Relaxed), CERTIFICATES);
    a_paused_name(world, &ca).await
}

/// Only a person can go on, and is told where; the CA is asked once.
async fn a_paused_name(world: &World, ca: &LimitedCa) -> Outcome {
    ca.is_paused.store(true, Ordering::Relaxed);
    let certificate = certificate("istio-system", "paused", &["www.paused.test"])
        .replace("name: pebble,", "name: limited,");
    let gateway = gateway("istio-system", "paused", &[http("paused", &["www.paused.test"], "")]);
    world.apply(&[gateway, certificate].concat()).await?;
    let message = world.refused("istio-system", "paused", "OrderRefused").await?;
    assert!(message.contains("https://portal.test/sfe/v1/unpause?jwt=a.b.c"), "{message}");
    let paused = world.certificates("istio-system").get("paused").await?;
    let last_error = paused.status.and_then(|status| status.last_error).and_then(|error| error.hint);
    assert!(last_error.is_some_and(|hint| hint.contains("open https://portal.test/")), "{message}");
    assert_eq!(ca.refused.load(Ordering::Relaxed), 1);
    Ok(())
}

fn issuer(server: &url::Url, root_pem: &str) -> String {
    let bundle = STANDARD.encode(root_pem);
    format!(
        "apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {{name: limited}}
spec:
  acme:
    server: {server}
    caBundle: {bundle}
    rateLimits: {{newOrders: {{count: {ORDERS}, period: {SECONDS}s}}}}
"
    )
}

fn ready(crowd: &[Certificate]) -> usize {
    let is_ready = |certificate: &&Certificate| condition(certificate, "Ready").is_some_and(|(is, _)| is);
    crowd.iter().filter(is_ready).count()
}

fn is_held(certificate: &Certificate) -> bool {
    condition(certificate, "Issuing").is_some_and(|(_, reason)| reason == "NewOrderLimit")
}

fn condition<'a>(certificate: &'a Certificate, type_: &str) -> Option<(bool, &'a str)> {
    let conditions = &certificate.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((condition.status == "True", condition.reason.as_str()))
}

/// Waits until the crowd is as it should be.
async fn until(
    world: &World,
    is_so: impl Fn(&[Certificate]) -> bool,
) -> Result<Vec<Certificate>, Box<dyn Error + Send + Sync>> {
    let certificates = world.certificates("istio-system");
    let waited = tokio::time::timeout(Duration::from_secs(90), async {
        loop {
            let mut crowd = certificates.list(&ListParams::default()).await?.items;
            crowd.retain(|certificate| certificate.name_any().starts_with("crowd-"));
            if is_so(&crowd) {
                return Ok::<_, kube::Error>(crowd);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    match waited.await {
        Ok(crowd) => Ok(crowd?),
        Err(_) => {
            let crowd = certificates.list(&ListParams::default()).await?.items;
            let statuses: Vec<_> =
                crowd.iter().map(|certificate| (certificate.name_any(), &certificate.status)).collect();
            Err(format!("the crowd is not served: {statuses:#?}").into())
        }
    }
}
