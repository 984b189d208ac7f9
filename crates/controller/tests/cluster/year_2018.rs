//! What the tutorial of 2018 did by hand, Service by Service: two names in one certificate, `istio-ingress-certs`, for
//! Ingresses of class `istio`; then a third name; then a renewal.

use crate::Outcome;
use crate::harness::{Load, World};
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// The Ingress of one host, with the annotations of that time and one more.
fn ingress(host: &str) -> String {
    let name = host.split('.').next().unwrap_or_default();
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: year-2018
  annotations:
    kubernetes.io/ingress.class: istio
    gatecert.dev/cluster-issuer: pebble
spec:
  tls: [{{hosts: [{host}], secretName: istio-ingress-certs}}]
  rules:
  - host: {host}
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: old, port: {{number: 8000}}}}}}}}]}}
"
    )
}

/// Istio reads the Secret in its own namespace, which has to consent, once.
const GRANT: &str = "---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: certificates-of-year-2018, namespace: istio-system}
spec:
  from: [{group: gatecert.dev, kind: Certificate, namespace: year-2018}]
  to: [{group: '', kind: Secret, name: istio-ingress-certs}]
";

pub(crate) async fn nobody_lends_a_hand(world: &World) -> Outcome {
    let hosts = ["www.year2018.test", "api.year2018.test", "blog.year2018.test"];
    world.namespaces(&["year-2018"]).await?;
    let backend = gatecert_testkit::cluster::service("year-2018", "old", crate::harness::APPLICATION, 8000);
    world.apply(&[&backend, GRANT, &ingress(hosts[0]), &ingress(hosts[1])].concat()).await?;
    world.answers(hosts[0], "/", 200).await?;
    world.ready("year-2018", "istio-ingress-certs").await?;
    let first = world.served(hosts[0]).await?;
    world.served(hosts[1]).await?;
    let load = Load::start(
        world,
        &[("http", hosts[0], "/x", 200), ("https", hosts[0], "/x", 200), ("https", hosts[1], "/", 200)],
    );
    world.apply(&ingress(hosts[2])).await?;
    world.served(hosts[2]).await?;
    world.served_anew(hosts[0], &first).await?;

    let second = world.served(hosts[0]).await?;
    let patch = json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}});
    let certificates = world.certificates("year-2018");
    certificates.patch("istio-ingress-certs", &PatchParams::default(), &Patch::Merge(patch)).await?;
    world.served_anew(hosts[0], &second).await?;
    load.end().await
}
