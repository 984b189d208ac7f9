//! Listeners of the Gateway API that take no routes of a namespace: seen at Envoy, then named, then opened by what is printed.

use crate::Outcome;
use crate::manifest::certificate;
use crate::world::World;
use gatecert_testkit::cluster::http_route;

/// Listeners that choose by a label, by the names of namespaces, and in a ListenerSet by what is meant without a word.
const LISTENERS: &str = "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: closed-api, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}]
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - name: labelled
    port: 80
    protocol: HTTP
    hostname: www.labelled.test
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {gateway: open}}}}
  - name: named
    port: 80
    protocol: HTTP
    hostname: www.named.test
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: istio-system}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: closed-set, namespace: istio-system}
spec:
  parentRef: {name: closed-api}
  listeners:
  - {name: set, port: 80, protocol: HTTP, hostname: www.in-set.test}
";

pub async fn listeners_that_take_no_route(world: &World) -> Outcome {
    let set = "group: gateway.networking.k8s.io, kind: ListenerSet, name: closed-set";
    let closed = [
        ("labelled", "www.labelled.test", "name: closed-api"),
        ("named", "www.named.test", "name: closed-api"),
        ("in-set", "www.in-set.test", set),
    ];
    world.apply(LISTENERS).await?;
    for (name, host, holder) in closed {
        world.apply(&(certificate("app", name, host) + &http_route(name, holder, host))).await?;
        world.status("Certificate", Some("app"), name, &crate::world::ready()).await?;
    }
    for (_, host, _) in closed {
        world.answers(host, "/app", 404).await?;
        let report = world.doctor(host, &[]).await?;
        world.mend(report.check("gateway-not-allowed")["fix"].as_str().unwrap()).await?;
        world.answers(host, "/app", 200).await?;
        world.doctor(host, &[]).await?.check("gateway-ok");
    }
    Ok(())
}

/// A Gateway with a listener for HTTPS alone.
const ON_443: &str = "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: on-443, namespace: istio-system}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}]
  listeners:
  - name: http
    port: 443
    protocol: HTTPS
    hostname: www.on-443.test
    tls: {certificateRefs: [{name: on-443}]}
    allowedRoutes: {namespaces: {from: All}}
";

pub async fn a_listener_for_https_alone(world: &World) -> Outcome {
    let host = "www.on-443.test";
    world.apply(&(ON_443.to_owned() + &http_route("on-443", "name: on-443", host))).await?;
    world.secret("on-443", host, -1, 60).await?;
    world.ready_certificate("on-443", host).await?;
    world.is_taken(host, true).await?;
    world.answers(host, "/app", 404).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["gateway-missing"]);
    // The listener that the fix adds takes the routes of the other.
    world.mend(report.check("gateway-missing")["fix"].as_str().unwrap()).await?;
    world.answers(host, "/app", 200).await?;
    // The application takes all paths.
    world.doctor(host, &[]).await?.expect(&["http-answered"]);
    Ok(())
}
