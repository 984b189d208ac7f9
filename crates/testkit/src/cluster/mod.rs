//! A whole cluster on this machine, in a network of its own: API server, istiod, an Envoy as ingress gateway, and Pebble
//! as its CA. No kubelet and no controller manager run: Pods are what their status says, and nothing is collected by
//! owner.

mod api_server;
mod application;
mod authority;
mod gateway;
mod grpc;
mod istiod;
mod kubectl;
mod network;
mod objects;

pub use api_server::{API_SERVER, ApiObject, ApiRequest, ApiServer, ApiStatus, ApiUser};
pub use application::{APPLICATION_PORT, Application, GRPC_PORT, http_route, service};
pub use gateway::{GatewayOptions, IstioGateway};
pub use grpc::{GRPC_PATH, GrpcClient};
pub use istiod::Istiod;
pub use network::{Network, TOOLS};
pub use objects::{apply, apply_one, check, delete, install_definitions};

use crate::{Pebble, PebbleBuilder, StartError};
use kube::Client;
use std::net::Ipv4Addr;

/// A running cluster. Dropping it ends everything.
pub struct Cluster {
    /// The network that all of it is in.
    pub network: Network,
    /// The gateway at ports 80 and 443, of 10.99.0.1 unless it was asked for otherwise.
    pub gateway: IstioGateway,
    /// istiod.
    pub istiod: Istiod,
    /// The API server.
    pub server: ApiServer,
    /// A client of the administrator.
    pub client: Client,
    /// The CA, for which every name is at the gateway. It refuses `blocked.test` and the names below it, and offers two
    /// chains.
    pub pebble: Pebble,
}

impl Cluster {
    /// Starts everything, with the definitions of Istio and of the Gateway API.
    ///
    /// # Errors
    /// A part can not be had, or does not become ready.
    pub async fn start(network: Network) -> Result<Self, StartError> {
        Self::start_with(network, &GatewayOptions::default(), Pebble::builder()).await
    }

    /// The same with another gateway and another CA.
    ///
    /// # Errors
    /// A part can not be had, or does not become ready.
    pub async fn start_with(
        network: Network,
        options: &GatewayOptions,
        pebble: PebbleBuilder,
    ) -> Result<Self, StartError> {
        network.add_address(options.address)?;
        let pebble = async {
            let pebble = pebble
                .http_port(80)
                .tls_port(443)
                .domain_blocklist(&["blocked.test"])
                .alternate_roots(1)
                .start()
                .await?;
            pebble.challtestsrv().set_default_ipv4(&options.address.to_string()).await?;
            Ok::<_, StartError>(pebble)
        };
        let control_plane = async {
            let server = ApiServer::start(&network).await?;
            let client = server.client().await?;
            install_definitions(&client).await?;
            apply(&client, &namespace(&options.namespace)).await?;
            let istiod = Istiod::start(&server).await?;
            Ok((server, client, istiod))
        };
        let (pebble, (server, client, istiod)) = tokio::try_join!(pebble, control_plane)?;
        let gateway = IstioGateway::start(&network, &client, &istiod, options).await?;
        Ok(Self { network, gateway, istiod, server, client, pebble })
    }

    /// The gateway's address.
    pub fn gateway_address(&self) -> Ipv4Addr {
        self.gateway.address()
    }
}

/// A namespace.
pub fn namespace(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{kubernetes.io/metadata.name: {name}}}}}\n"
    )
}

/// Base64, as resources hold bytes.
pub fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
