//! Manifests that tests apply.

/// An Istio Gateway beside the Envoys with these servers, each a line of [`http`] or [`https`].
pub fn gateway(name: &str, servers: &[String]) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
{}
",
        servers.join("\n")
    )
}

/// A plain server on port 80. `more` goes on behind `hosts`.
pub fn http(name: &str, host: &str, more: &str) -> String {
    format!("  - {{port: {{number: 80, name: http-{name}, protocol: HTTP}}, hosts: ['{host}']{more}}}")
}

/// A TLS server on port 443.
pub fn https(name: &str, host: &str, secret: &str) -> String {
    format!(
        "  - {{port: {{number: 443, name: https-{name}, protocol: HTTPS}}, hosts: ['{host}'], \
         tls: {{mode: SIMPLE, credentialName: {secret}}}}}"
    )
}

/// A VirtualService that sends `/app` of a host on a Gateway beside the Envoys to the application.
pub fn route(name: &str, host: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: app}}
spec:
  hosts: ['{host}']
  gateways: [istio-system/{name}]
  http:
  - match: [{{uri: {{prefix: /app}}}}]
    route: [{{destination: {{host: web.app.svc.cluster.local, port: {{number: 8000}}}}}}]
"
    )
}

/// A Certificate of the ClusterIssuer `letsencrypt`, published in a Secret of its own name.
pub fn certificate(namespace: &str, name: &str, host: &str) -> String {
    format!(
        "---
apiVersion: gatecert.dev/v1
kind: Certificate
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{secretName: {name}, dnsNames: ['{host}'], issuerRef: {{name: letsencrypt, kind: ClusterIssuer}}}}
"
    )
}

/// An object of any kind, with a spec in one line.
pub fn object(version: &str, kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}
