//! Istio Gateways.

use crate::Outcome;
use crate::harness::{Load, World};

#[allow(clippy::unused_async, reason = "all tests are alike")]
pub(crate) async fn a_certificate_is_issued_and_served(world: &World) -> Outcome {
    world
        .apply(
            "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: first, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http-first, protocol: HTTP}
    hosts: [www.first.test]
  - port: {number: 443, name: https-first, protocol: HTTPS}
    hosts: [www.first.test]
    tls: {mode: SIMPLE, credentialName: first-tls}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first, namespace: istio-system}
spec:
  hosts: [www.first.test]
  gateways: [first]
  http: [{route: [{destination: {host: web.app.svc.cluster.local, port: {number: 8000}}}]}]
",
        )
        .await?;
    world.answers("www.first.test", "/", 200).await?;
    let load = Load::start(world, &[("http", "www.first.test", "/x", 200)]);
    world
        .apply(
            "apiVersion: gatecert.dev/v1
kind: Certificate
metadata: {name: first, namespace: istio-system}
spec: {secretName: first-tls, dnsNames: [www.first.test], issuerRef: {name: pebble, kind: ClusterIssuer}}
",
        )
        .await?;
    world.ready("istio-system", "first").await?;
    world.served("www.first.test").await?;
    load.end().await
}
