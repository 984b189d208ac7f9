//! Serves certificates to Envoys by the secret discovery service (SDS) over gRPC, state of the world.
//!
//! [`Secrets`] holds what is served, each pair under the name of its certificate, and [`SdsServer`] serves it on a Unix socket
//! or by mutual TLS. A pair that is replaced goes at once to every Envoy that asked for it; one that does not exist yet is
//! sent when it comes. Whoever may connect gets the private keys, so there is no plain TCP.
//!
//! ```no_run
//! use gatecert_publish::sds::{SdsServer, Secrets};
//!
//! # async fn serve(chain_pem: &str, key_pem: String) -> Result<(), Box<dyn std::error::Error>> {
//! let secrets = Secrets::new();
//! secrets.set(&"www.example.com".parse()?, chain_pem, key_pem.into())?;
//!
//! // The mode of the socket: the user and the group of this process may connect.
//! let server = SdsServer::bind_unix("/run/gatecert/sds.sock", 0o660)?;
//! server.serve(secrets.clone(), async { drop(tokio::signal::ctrl_c().await) }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An Envoy asks by a cluster that leads to the socket and speaks HTTP/2:
//!
//! ```yaml
//! tls_certificate_sds_secret_configs:
//! - name: www.example.com
//!   sds_config:
//!     resource_api_version: V3
//!     api_config_source:
//!       api_type: GRPC
//!       transport_api_version: V3
//!       grpc_services: [{envoy_grpc: {cluster_name: gatecert}}]
//! ```
//!
//! The incremental variant (`DELTA_GRPC`) is answered as unimplemented.

mod connection;
mod listener;
mod resource;
mod secrets;
mod server;
mod service;
mod subscription;

pub use listener::{MutualTls, SdsError};
pub use secrets::Secrets;
pub use server::SdsServer;
