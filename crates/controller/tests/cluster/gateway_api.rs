//! Gateways of the Gateway API.

use crate::Outcome;
use crate::harness::{Load, World};
use gatecert_testkit::cluster::http_route;

/// A Gateway of Istio's, served by the Envoy that is there already.
fn gateway(name: &str, listeners: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: {name}
  namespace: istio-system
  annotations: {{gatecert.dev/cluster-issuer: pebble}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}}]
  allowedListeners: {{namespaces: {{from: All}}}}
  listeners:
{listeners}"
    )
}

/// Lets routes of the namespace `set` lead to the application.
const GRANT: &str = "---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: set, namespace: app}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: set}]
  to: [{group: '', kind: Service}]
";

pub(crate) async fn two_listeners_on_one_port(world: &World) -> Outcome {
    let listeners = "  - {name: http, port: 80, protocol: HTTP, hostname: '*.listeners.test', allowedRoutes: {namespaces: {from: All}}}
  - {name: www, port: 443, protocol: HTTPS, hostname: www.listeners.test, allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [{name: listeners-www}]}}
  - {name: api, port: 443, protocol: HTTPS, hostname: api.listeners.test, allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [{name: listeners-api}]}}
";
    world.apply(&http_route("listeners", "name: listeners", "*.listeners.test")).await?;
    let http = listeners.lines().next().unwrap_or_default();
    world.apply(&gateway("listeners", &format!("{http}\n"))).await?;
    world.answers("www.listeners.test", "/", 200).await?;
    let load = Load::start(
        world,
        &[("http", "www.listeners.test", "/x", 200), ("http", "other.listeners.test", "/", 200)],
    );
    world.apply(&gateway("listeners", listeners)).await?;
    for (name, host) in [("listeners-www", "www.listeners.test"), ("listeners-api", "api.listeners.test")] {
        world.ready("istio-system", name).await?;
        world.served(host).await?;
    }
    load.end().await
}

/// A ListenerSet brings TLS alone; the challenge is answered on its parent's listener for HTTP.
pub(crate) async fn a_listener_set_with_tls_only(world: &World) -> Outcome {
    let http = "  - {name: http, port: 80, protocol: HTTP, hostname: '*.set.test', allowedRoutes: {namespaces: {from: All}}}\n";
    world.namespaces(&["set"]).await?;
    // The names are those of the namespace that has the Certificate.
    let route = http_route("set", "name: parent", "*.set.test")
        .replace("namespace: app", "namespace: set")
        .replace("{name: web,", "{name: web, namespace: app,");
    world.apply(&[gateway("parent", http), route, GRANT.to_owned()].concat()).await?;
    world.answers("www.set.test", "/", 200).await?;
    let load =
        Load::start(world, &[("http", "www.set.test", "/x", 200), ("http", "other.set.test", "/", 200)]);
    world
        .apply(
            "---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set, namespace: set, annotations: {gatecert.dev/cluster-issuer: pebble}}
spec:
  parentRef: {name: parent, namespace: istio-system, kind: Gateway, group: gateway.networking.k8s.io}
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: www.set.test, tls: {certificateRefs: [{name: set-tls}]}}
",
        )
        .await?;
    world.ready("set", "set-tls").await?;
    world.served("www.set.test").await?;
    load.end().await
}
