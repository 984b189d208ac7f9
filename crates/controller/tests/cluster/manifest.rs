//! Manifests that tests apply.

/// A Pod of the gateway that no answer comes from: as long as it is there, no route is proved.
pub(crate) const SILENT: &str = "---
apiVersion: v1
kind: Service
metadata: {name: silent, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: silent-1, namespace: istio-system, labels: {kubernetes.io/service-name: silent}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints: [{addresses: [\"10.99.0.90\"], conditions: {ready: true}}]
";

/// The Secret `external-key` with a key of an external account, 32 bytes in base64url, which the CA knows nothing of.
pub(crate) fn external_key(namespace: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Secret
metadata: {{name: external-key, namespace: {namespace}}}
stringData: {{secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8}}
"
    )
}

/// An Istio Gateway with these servers, each a line of [`http`] or [`https`].
pub(crate) fn gateway(namespace: &str, name: &str, servers: &[String]) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
{}
",
        servers.join("\n")
    )
}

/// The same, with the annotation that asks for certificates.
pub(crate) fn annotated_gateway(namespace: &str, name: &str, servers: &[String]) -> String {
    let annotation = "annotations: {gatecert.dev/cluster-issuer: pebble}, name:";
    gateway(namespace, name, servers).replacen("name:", annotation, 1)
}

/// A plain server on port 80. `more` goes on behind `hosts`, `, tls: {httpsRedirect: true}` for instance.
pub(crate) fn http(name: &str, hosts: &[&str], more: &str) -> String {
    format!(
        "  - {{port: {{number: 80, name: http-{name}, protocol: HTTP}}, hosts: [{}]{more}}}",
        quoted(hosts)
    )
}

/// A TLS server on port 443.
pub(crate) fn https(name: &str, hosts: &[&str], secret: &str) -> String {
    format!(
        "  - {{port: {{number: 443, name: https-{name}, protocol: HTTPS}}, hosts: [{}], \
         tls: {{mode: SIMPLE, credentialName: {secret}}}}}",
        quoted(hosts)
    )
}

/// A Gateway of the Gateway API with a plain listener for one host, served by the Envoy that is there already.
pub(crate) fn listener(namespace: &str, name: &str, host: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}}]
  listeners: [{{name: http, port: 80, protocol: HTTP, hostname: '{host}'}}]
"
    )
}

/// A VirtualService that sends hosts on a Gateway (`namespace/name`) to the application.
pub(crate) fn route(namespace: &str, name: &str, gateway: &str, hosts: &[&str]) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{}]
  gateways: [{gateway}]
  http: [{{route: [{{destination: {{host: web.app.svc.cluster.local, port: {{number: 8000}}}}}}]}}]
",
        quoted(hosts)
    )
}

/// A Certificate of the ClusterIssuer `pebble`, published in a Secret of its own name.
pub(crate) fn certificate(namespace: &str, name: &str, names: &[&str]) -> String {
    certificate_with(namespace, name, names, "")
}

/// The same, with more fields.
pub(crate) fn certificate_with(namespace: &str, name: &str, names: &[&str], more: &str) -> String {
    format!(
        "---
apiVersion: gatecert.dev/v1
kind: Certificate
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{secretName: {name}, dnsNames: [{}], issuerRef: {{name: pebble, kind: ClusterIssuer}}{more}}}
",
        quoted(names)
    )
}

fn quoted(hosts: &[&str]) -> String {
    hosts.iter().map(|host| format!("'{host}'")).collect::<Vec<_>>().join(", ")
}
