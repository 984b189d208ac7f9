//! The Envoy of `deploy/envoy-sds.yaml`, and handshakes with it one after the other.

use crate::{StartError, served_chain};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

const EXAMPLE: &str = include_str!("../../../deploy/envoy-sds.yaml");

/// The configuration of `deploy/envoy-sds.yaml` with other ports, another socket and another certificate.
#[derive(Clone, Copy, Debug)]
pub struct StandaloneEnvoy<'a> {
    /// Where it listens, in place of 80.
    pub http: u16,
    /// Where it listens, in place of 443.
    pub https: u16,
    /// Where the responder listens, in place of 8089.
    pub responder: u16,
    /// The socket of the SDS server.
    pub socket: &'a Path,
    /// The name of the certificate.
    pub certificate: &'a str,
}

impl StandaloneEnvoy<'_> {
    /// The configuration, for [`crate::Envoy::start`].
    pub fn config(&self) -> String {
        let socket = self.socket.display().to_string();
        let replaced = [
            ("port_value: 80}", format!("port_value: {}}}", self.http)),
            ("port_value: 443}", format!("port_value: {}}}", self.https)),
            ("port_value: 8089}", format!("port_value: {}}}", self.responder)),
            ("/run/gatecert/sds.sock", socket),
            ("name: www.example.com", format!("name: {}", self.certificate)),
        ];
        let mut config = EXAMPLE.to_owned();
        for (from, to) in replaced {
            debug_assert!(config.contains(from), "the example has no `{from}`");
            config = config.replace(from, &to);
        }
        config
    }
}

/// TLS handshakes with a server, each on a connection of its own, until it is stopped.
#[derive(Debug)]
pub struct Handshakes {
    goes_on: Arc<AtomicBool>,
    task: JoinHandle<(usize, Vec<StartError>)>,
}

impl Handshakes {
    /// Begins them: each has to give a chain for `name` that leads to these roots (PEM).
    pub fn start(address: SocketAddr, name: &str, roots_pem: &str) -> Self {
        let goes_on = Arc::new(AtomicBool::new(true));
        let (again, name, roots) = (goes_on.clone(), name.to_owned(), roots_pem.to_owned());
        let task = tokio::spawn(async move {
            let (mut count, mut failures) = (0, Vec::new());
            while again.load(Ordering::Relaxed) {
                count += 1;
                failures.extend(served_chain(address, &name, &roots).await.err());
            }
            (count, failures)
        });
        Self { goes_on, task }
    }

    /// How many there were, and what failed.
    ///
    /// # Errors
    /// The loop ended by a panic.
    pub async fn stop(self) -> Result<(usize, Vec<StartError>), StartError> {
        self.goes_on.store(false, Ordering::Relaxed);
        self.task.await.map_err(|source| StartError::set_up("the handshakes", source))
    }
}
