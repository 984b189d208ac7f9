//! What the tutorial of 2018 did by hand, Service by Service: two names in one certificate, `istio-ingress-certs`, for
//! Ingresses of class `istio`; then a third name; then a renewal.

use crate::Outcome;
use crate::harness::{Load, World};
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// The pair of Ingresses of one host: one for HTTPS, with the annotations of that time and one more, and a plain one.
///
/// istiod has all routes of a host on the Gateway of its oldest Ingress, and takes the first by name where several are
/// of one second: that has to be the one with the TLS server.
fn ingresses(host: &str) -> String {
    let name = host.split('.').next().unwrap_or_default();
    let rules = format!(
        "rules:
  - host: {host}
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: old, port: {{number: 8000}}}}}}}}]}}
"
    );
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: year-2018
  annotations:
    kubernetes.io/ingress.class: istio
    kubernetes.io/ingress.allow-http: \"false\"
    gatecert.dev/cluster-issuer: pebble
spec:
  tls: [{{hosts: [{host}], secretName: istio-ingress-certs}}]
  {rules}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}-http
  namespace: year-2018
  annotations: {{kubernetes.io/ingress.class: istio}}
spec:
  {rules}"
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
    world.apply(&[&backend, GRANT, &ingresses(hosts[0]), &ingresses(hosts[1])].concat()).await?;
    world.answers(hosts[0], "/", 200).await?;
    world.ready("year-2018", "istio-ingress-certs").await?;
    let first = world.served(hosts[0]).await?;
    world.served(hosts[1]).await?;
    let load = Load::start(
        world,
        &[
            ("http", hosts[0], "/x", 200),
            ("https", hosts[0], "/x", 200),
            ("http", hosts[1], "/", 200),
            ("https", hosts[1], "/", 200),
        ],
    );
    world.apply(&ingresses(hosts[2])).await?;
    world.served(hosts[2]).await?;
    world.served_anew(hosts[0], &first).await?;

    let second = world.served(hosts[0]).await?;
    let patch = json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}});
    let certificates = world.certificates("year-2018");
    certificates.patch("istio-ingress-certs", &PatchParams::default(), &Patch::Merge(patch)).await?;
    world.served_anew(hosts[0], &second).await?;
    load.end().await
}
