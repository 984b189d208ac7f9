//! What people do with kubectl, and what Flux and Argo CD look at.

use crate::Outcome;
use crate::harness::{World, condition};
use crate::manifest::{certificate, gateway, http};
use gatecert_acme::Identifier;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

/// It waits for what is wanted now: also where another certificate of the same object is ready.
pub(crate) async fn waits_for_ready(world: &World) -> Outcome {
    world.namespaces(&["waiting"]).await?;
    let hosts = ["a.waiting.test", "b.waiting.test"];
    world.apply(&gateway("waiting", "waiting", &[http("waiting", &hosts, "")])).await?;
    let wait =
        ["wait", "--namespace", "waiting", "--for=condition=Ready", "--timeout=60s", "certificate/www"];
    for names in [&hosts[..1], &hosts[..]] {
        world.apply(&certificate("waiting", "www", names)).await?;
        assert!(world.cluster.server.kubectl(&wait).await?.contains("condition met"));
        let now = world.certificates("waiting").get("www").await?;
        let ready = condition(&now, "Ready").ok_or("no condition")?;
        let status = now.status.as_ref().ok_or("no status")?;
        // What kstatus, and so Flux, calls current.
        assert_eq!(status.observed_generation, now.metadata.generation);
        assert_eq!((ready.status.as_str(), ready.observed_generation), ("True", now.metadata.generation));
        let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), "waiting");
        let chain = secrets.get("www").await?.data.and_then(|mut data| data.remove("tls.crt"));
        let chain = String::from_utf8(chain.ok_or("no certificate")?.0)?;
        let published = gatecert_issue::facts(&chain)?.identifiers;
        let published: Vec<_> = published.iter().map(Identifier::value).collect();
        assert_eq!(published, names);
    }
    Ok(())
}

/// Short names, the columns, and events that read as sentences.
pub(crate) async fn shows_what_there_is(world: &World) -> Outcome {
    world.namespaces(&["columns"]).await?;
    world.apply(&gateway("columns", "columns", &[http("columns", &["www.columns.test"], "")])).await?;
    world.apply(&certificate("columns", "www", &["www.columns.test"])).await?;
    world.ready("columns", "www").await?;
    let shown = world.cluster.server.kubectl(&["get", "gcert", "-n", "columns"]).await?;
    let mut lines = shown.lines();
    let header: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(header.join(" "), "NAME READY SECRET ISSUER NOT AFTER RENEWAL STEP AGE");
    let row: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(&row[..4], ["www", "True", "www", "pebble"], "{shown}");
    let issuer = format!(
        "apiVersion: gatecert.dev/v1
kind: Issuer
metadata: {{name: own, namespace: columns}}
spec: {{acme: {{server: {}, caBundle: {}, email: ops@example.com}}}}
",
        world.cluster.pebble.directory_url(),
        world.bundle(),
    );
    world.apply(&issuer).await?;
    let wait = ["wait", "-n", "columns", "--for=condition=Ready", "--timeout=60s", "giss/own"];
    assert!(world.cluster.server.kubectl(&wait).await?.contains("condition met"));
    for (short, name) in [("giss", "own"), ("gciss", "pebble"), ("gcert", "www"), ("gcerts", "www")] {
        let shown = world.cluster.server.kubectl(&["get", short, "-A"]).await?;
        assert!(shown.contains(name), "{short}: {shown}");
        let header = shown.lines().next().unwrap_or_default();
        if short.ends_with("iss") {
            let header: Vec<_> = header.split_whitespace().filter(|word| *word != "NAMESPACE").collect();
            assert_eq!(header, ["NAME", "READY", "SERVER", "REASON", "AGE"], "{short}");
        }
    }
    let wide = world.cluster.server.kubectl(&["get", "gatecert", "-n", "columns", "-o", "wide"]).await?;
    assert!(wide.contains("www.columns.test"), "{wide}");
    let events =
        ["get", "events", "-n", "columns", "-o", "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}"];
    let events = world.cluster.server.kubectl(&events).await?;
    assert!(events.contains("a certificate was issued, valid until "), "{events}");

    world.apply(&certificate("columns", "refused", &["www.refused-columns.test"])).await?;
    world.told_of("columns", "no gateway serves www.refused-columns.test on port 80: ").await?;
    Ok(())
}
