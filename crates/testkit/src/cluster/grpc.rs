//! A gRPC client of an application behind a gateway.

use crate::StartError;
use std::net::SocketAddr;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// What takes calls of the health service, as `uri.prefix` of a route.
pub const GRPC_PATH: &str = "/grpc.health.v1.Health/";

/// A connection of HTTP/2 over TLS.
#[derive(Clone, Debug)]
pub struct GrpcClient(HealthClient<Channel>);

impl GrpcClient {
    /// Connects to a gateway as to `host`, whose certificate has to lead to one of these roots.
    ///
    /// # Errors
    /// There is no connection, the certificate is not trusted, or the gateway does not speak HTTP/2.
    pub async fn connect(gateway: SocketAddr, host: &str, roots_pem: &str) -> Result<Self, StartError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StartError::set_up("gRPC", source);
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots_pem)).domain_name(host);
        let origin: Uri = format!("https://{host}")
            .parse()
            .map_err(|error: tonic::codegen::http::uri::InvalidUri| failed(error.into()))?;
        let endpoint =
            Endpoint::from_shared(format!("https://{gateway}")).and_then(|endpoint| endpoint.tls_config(tls));
        let channel = endpoint.map_err(|error| failed(error.into()))?.origin(origin).connect().await;
        Ok(Self(HealthClient::new(channel.map_err(|error| failed(error.into()))?)))
    }

    /// One call: whether the application is healthy.
    ///
    /// # Errors
    /// The gateway or the application did not answer it as it should.
    pub async fn check(&mut self) -> Result<(), tonic::Status> {
        self.0.check(HealthCheckRequest::default()).await.map(|_| ())
    }

    /// A call that is answered whenever the health changes, and has no end.
    ///
    /// # Errors
    /// The gateway or the application did not answer it as it should.
    pub async fn watch(&mut self) -> Result<Streaming<HealthCheckResponse>, tonic::Status> {
        Ok(self.0.watch(HealthCheckRequest::default()).await?.into_inner())
    }
}
