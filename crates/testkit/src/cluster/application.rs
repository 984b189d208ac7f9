//! A program behind the gateway.

use super::network::Network;
use super::objects;
use crate::StartError;
use axum::Router;
use kube::Client;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The port of every application, on its Service and on its Pod.
pub const APPLICATION_PORT: u16 = 8000;

/// A running application that answers every request with 200 and its name. Dropping it ends it; its objects stay.
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
        objects::apply(client, &service(namespace, name, address, APPLICATION_PORT)).await?;
        let text = name.to_owned();
        let router = Router::new().fallback(move || std::future::ready(text.clone()));
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

/// A Service with one endpoint.
pub fn service(namespace: &str, name: &str, address: Ipv4Addr, port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ports: [{{name: http, port: {port}, targetPort: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}, protocol: TCP}}]
endpoints: [{{addresses: [\"{address}\"], conditions: {{ready: true}}}}]
"
    )
}
