//! What the controller works with: an API server with all definitions, a CA, an issuer, and a Gateway that serves every
//! name. No istiod and no Envoy run: challenges are answered by the controller's own responder.

use crate::controller::{self, RESPONDER, RESPONDER_PORT};
use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gatecert_testkit::cluster::{ApiServer, Network, apply, base64, install_definitions, namespace};
use gatecert_testkit::{Pebble, Process};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use std::path::Path;

/// The namespace of the Certificates.
pub(super) const NAMESPACE: &str = "bench";

/// How many requests are under way at once where much is made.
pub(super) const AT_ONCE: usize = 32;

/// The size of a foreign Secret.
const FOREIGN_BYTES: usize = 100_000;

pub(super) struct Plane {
    pub(super) server: ApiServer,
    pub(super) client: Client,
    pub(super) pebble: Pebble,
}

impl Plane {
    pub(super) async fn start(network: Network) -> Result<Self> {
        network.add_address(RESPONDER)?;
        let pebble = Pebble::builder().http_port(RESPONDER_PORT).start().await?;
        pebble.challtestsrv().set_default_ipv4(&RESPONDER.to_string()).await?;
        let server = ApiServer::start(&network).await?;
        let client = server.client().await?;
        install_definitions(&client).await?;
        controller::install(&client).await?;
        for name in [NAMESPACE, "istio-system", "others"] {
            apply(&client, &namespace(name)).await?;
        }
        let plane = Self { server, client, pebble };
        apply(&plane.client, &plane.issuer()).await?;
        apply(&plane.client, GATEWAY).await?;
        Ok(plane)
    }

    fn issuer(&self) -> String {
        let bundle = base64(self.pebble.ca_pem());
        format!(
            "apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {{name: pebble}}
spec:
  acme:
    server: \"{}\"
    email: ops@example.com
    caBundle: {bundle}
    solvers:
    - http01: {{istio: {{answer: Responder, addresses: [\"{RESPONDER}:{RESPONDER_PORT}\"], exportTo: [istio-system]}}}}
",
            self.pebble.directory_url()
        )
    }

    /// Whether Pebble has begun to issue what it never issued.
    pub(super) fn pebble_is_stuck(&self) -> bool {
        let log = self.pebble.log();
        let count = |what| log.matches(what).count();
        count("Processing finalization") > count("Issued certificate serial")
    }

    /// Starts the controller.
    pub(super) async fn controller(&self, program: &Path, filter: &str) -> Result<Process> {
        controller::start(&self.server, program, filter).await
    }

    /// The same, without waiting until it is ready. Gives when it was started.
    pub(super) async fn launch(&self, program: &Path, filter: &str) -> Result<(Process, Timestamp)> {
        controller::launch(&self.server, program, filter).await
    }

    /// Makes Secrets of others, as large as they come with Helm.
    pub(super) async fn foreign_secrets(&self, count: usize) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "others");
        let made = stream::iter(0..count).map(|number| {
            let secret = Secret {
                metadata: ObjectMeta { name: Some(format!("foreign-{number}")), ..ObjectMeta::default() },
                data: Some([("release".to_owned(), ByteString(vec![b'x'; FOREIGN_BYTES]))].into()),
                ..Secret::default()
            };
            let secrets = secrets.clone();
            async move { secrets.create(&Default::default(), &secret).await.map(drop) }
        });
        made.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(())
    }
}

const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bench, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [\"*.bench.test\"]
";
