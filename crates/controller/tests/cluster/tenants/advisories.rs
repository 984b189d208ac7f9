//! Weaknesses that others had (docs/reliability.md has the list), tried here by a tenant.

use super::cell::ATTACKER;
use super::prepare;
use crate::Outcome;
use crate::harness::{World, condition};
use crate::manifest::{certificate, gateway, http};
use gatecert_api::{Certificate, ClusterIssuer, Issuer, IssuerStatus};
use gatecert_testkit::cluster::service;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How long anything may take; a gateway has half a minute to answer a challenge.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where somebody else's servers listen; the gateway's Envoy has port 80 of every address.
const PORT: u16 = 8031;

fn account_of(status: Option<IssuerStatus>) -> Option<(String, String)> {
    status.and_then(|status| status.acme).map(|acme| (acme.uri, acme.thumbprint))
}

/// GHSA-8rvj-mm4h-c258: an object of a tenant's that names the Secret of a ClusterIssuer, and is named like it, gets an
/// account of its own, with a key of its own beside it.
pub(crate) async fn a_tenants_issuer_has_its_own_account(world: &World) -> Outcome {
    prepare(world).await?;
    let own = world
        .issuer("pebble")
        .replace("kind: ClusterIssuer", "kind: Issuer")
        .replace("metadata: {", &format!("metadata: {{namespace: {ATTACKER}, "))
        .replace("email:", "privateKeySecretRef: {name: pebble-account-key}, email:");
    world.apply(&own).await?;
    let issuers: Api<Issuer> = Api::namespaced(world.cluster.client.clone(), ATTACKER);
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(account) = account_of(issuers.get("pebble").await?.status) {
                return Ok::<_, kube::Error>(account);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let attackers = waited.await.map_err(|_| "the Issuer has no account")??;
    let clusters: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    let everybodys =
        account_of(clusters.get("pebble").await?.status).ok_or("the ClusterIssuer has no account")?;
    assert!(attackers.0 != everybodys.0 && attackers.1 != everybodys.1, "{attackers:?} {everybodys:?}");
    let key = async |namespace: &str| {
        let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), namespace);
        let data = secrets.get("pebble-account-key").await?.data.unwrap_or_default();
        Ok::<_, kube::Error>(data.get("tls.key").cloned())
    };
    let (theirs, ours) = (key(ATTACKER).await?, key("gatecert-system").await?);
    assert!(theirs.is_some() && ours.is_some() && theirs != ours);
    Ok(())
}

/// What an attacker would like to read.
const INNER_SECRET: &str = "an-inner-secret-that-nobody-may-read";

/// cert-manager e2591d9e1: a probe that is aimed at somebody else's server follows no redirect, and nothing of a body is
/// in a status, an event or a log.
pub(crate) async fn a_tenants_probe_reads_nothing(world: &World) -> Outcome {
    prepare(world).await?;
    let [redirecting, beyond, talking] = [31, 32, 33].map(|last| Ipv4Addr::new(10, 99, 0, last));
    let length = INNER_SECRET.len();
    let rest = format!("Content-Length: {length}\r\n\r\n{INNER_SECRET}");
    let page = format!("HTTP/1.1 200 {INNER_SECRET}\r\n{rest}");
    let redirect = format!("HTTP/1.1 302 {INNER_SECRET}\r\nLocation: http://{beyond}:{PORT}/\r\n{rest}");
    let mut counts = Vec::new();
    for (address, answer) in [(redirecting, &redirect), (beyond, &page), (talking, &page)] {
        world.cluster.network.add_address(address)?;
        counts.push(serve(address, answer.clone()).await?);
    }
    let aimed =
        [("t-redirected", redirecting, "answers 302"), ("t-talking", talking, "answers something else")];
    for (name, address, _) in aimed {
        world.apply(&aimed_at(name, address)).await?;
    }
    for (name, _, word) in aimed {
        let is_refused =
            |one: &Certificate| condition(one, "Issuing").is_some_and(|one| one.reason == "RouteNotReady");
        let refused = world.until_for(ATTACKER, name, PATIENCE, is_refused).await?;
        let message = condition(&refused, "Issuing").map(|one| one.message.clone()).unwrap_or_default();
        assert!(message.contains(word), "{message}");
        assert!(!serde_json::to_string(&refused)?.contains(INNER_SECRET), "a body is told: {message}");
    }
    let counts: Vec<_> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(counts[0] > 0 && counts[2] > 0, "nothing was asked: {counts:?}");
    assert_eq!(counts[1], 0, "a redirect was followed");
    let events = world.told_of(ATTACKER, "t-talking").await?;
    assert!(!events.contains(INNER_SECRET), "a body is told in an event");
    assert!(!world.log().await.contains(INNER_SECRET), "a body is logged");
    Ok(())
}

/// A gateway of the attacker's whose Pod is where it likes, and a Certificate for a name on it.
fn aimed_at(name: &str, address: Ipv4Addr) -> String {
    let (host, selector) = (format!("www.{name}.test"), format!("istio: {name}"));
    let pods = service(ATTACKER, name, address, PORT)
        .replace("spec: {ports", &format!("spec: {{selector: {{{selector}}}, ports"))
        .replace(&format!("port: {PORT}, targetPort"), "port: 80, targetPort");
    let gateway =
        gateway(ATTACKER, name, &[http(name, &[&host], "")]).replace("istio: ingressgateway", &selector);
    [pods, gateway, certificate(ATTACKER, name, &[&host])].concat()
}

/// A server that gives every request this answer, and how many it gave.
async fn serve(address: Ipv4Addr, answer: String) -> Result<Arc<AtomicUsize>, Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind(SocketAddr::from((address, PORT))).await?;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok(count)
}
