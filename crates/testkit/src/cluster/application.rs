//! A program behind the gateway.

use super::network::Network;
use super::objects;
use crate::StartError;
use kube::Client;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;

/// The port of every application, on its Service and on its Pod.
pub const APPLICATION_PORT: u16 = 8000;

/// The port of its Service that Istio speaks HTTP/2 to, as gRPC needs. It leads to the same port of the Pod.
pub const GRPC_PORT: u16 = 8001;

/// A running application. It answers every request with 200 and its name, by HTTP/1.1 and HTTP/2, and is healthy to
/// whoever asks by gRPC (`grpc.health.v1.Health`). Dropping it ends it; its objects stay.
#[derive(Debug)]
pub struct Application {
    serving: JoinHandle<()>,
}

impl Application {
    /// Starts it, with a Service in its namespace, which has to be there.
    ///
    /// # Errors
    /// Its address is taken, or the API server refuses an object.
    pub async fn start(
        network: &Network,
        client: &Client,
        namespace: &str,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self, StartError> {
        network.add_address(address)?;
        let failed = |source: std::io::Error| StartError::set_up("application", source);
        let listener = TcpListener::bind((address, APPLICATION_PORT)).await.map_err(failed)?;
        let ports = [("http", APPLICATION_PORT), ("grpc", GRPC_PORT)];
        objects::apply(client, &service_with(namespace, name, address, &ports, APPLICATION_PORT)).await?;
        let text = name.to_owned();
        // The server as a whole, which is the service of an empty name, is healthy from the start.
        let (_, health) = tonic_health::server::health_reporter();
        let router =
            Routes::new(health).into_axum_router().fallback(move || std::future::ready(text.clone()));
        let serving = tokio::spawn(async move {
            // Ends with the runtime or the handle.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { serving })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An HTTPRoute to the Service `web` of namespace `app`, from the listeners of a parent: `name: edge`, and its group and kind
/// where it is no Gateway, in namespace `istio-system`.
pub fn http_route(name: &str, parent: &str, host: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: app}}
spec:
  hostnames: ['{host}']
  parentRefs: [{{{parent}, namespace: istio-system}}]
  rules: [{{backendRefs: [{{name: web, port: 8000}}]}}]
"
    )
}

/// A Service with one endpoint.
pub fn service(namespace: &str, name: &str, address: Ipv4Addr, port: u16) -> String {
    service_with(namespace, name, address, &[("http", port)], port)
}

/// The same with several named ports, all of which lead to one.
fn service_with(
    namespace: &str,
    name: &str,
    address: Ipv4Addr,
    ports: &[(&str, u16)],
    target: u16,
) -> String {
    let of_service: Vec<_> = ports
        .iter()
        .map(|(name, port)| format!("{{name: {name}, port: {port}, targetPort: {target}}}"))
        .collect();
    let of_slice: Vec<_> =
        ports.iter().map(|(name, _)| format!("{{name: {name}, port: {target}, protocol: TCP}}")).collect();
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ports: [{}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{}]
endpoints: [{{addresses: [\"{address}\"], conditions: {{ready: true}}}}]
",
        of_service.join(", "),
        of_slice.join(", ")
    )
}
