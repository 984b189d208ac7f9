//! An installation for one namespace alone, whose controller sees nothing of what other tests do.

use crate::Outcome;
use crate::harness::World;
use crate::manifest::certificate;
use crate::replica::ReplicaOptions;
use gatecert_render::InstallOptions;
use gatecert_testkit::cluster::apply_one;
use std::net::Ipv4Addr;

/// A namespace that a controller of its own serves.
#[derive(Clone, Copy)]
pub(crate) struct Alone(pub(crate) &'static str);

impl Alone {
    /// Makes the namespace, the rights in it, and an Issuer `local`.
    pub(crate) async fn install(self, world: &World) -> Outcome {
        world.namespaces(&[self.0]).await?;
        let options = InstallOptions {
            namespace: self.0.to_owned(),
            only_namespace: Some(self.0.to_owned()),
            ..InstallOptions::default()
        };
        for object in gatecert_render::install(&options) {
            apply_one(&world.cluster.client, &serde_json::from_value(object)?).await?;
        }
        // The gateway's Pods are out of its sight.
        let addresses = format!(
            "solvers: [{{http01: {{istio: {{addresses: [{}], exportTo: [istio-system]}}}}}}], email:",
            world.cluster.gateway_address()
        );
        let issuer = world
            .issuer("local")
            .replace("ClusterIssuer", "Issuer")
            .replace("name: local", &format!("name: local, namespace: {}", self.0))
            .replace("email:", &addresses);
        world.apply(&issuer).await
    }

    /// The controller.
    pub(crate) fn replica(
        self,
        address: Ipv4Addr,
        arguments: &'static [&'static str],
    ) -> ReplicaOptions<'static> {
        ReplicaOptions { namespace: self.0, arguments, ..ReplicaOptions::new(self.0, address) }
    }

    /// A Certificate of such an Issuer.
    pub(crate) fn certificate(namespace: &str, name: &str, host: &str) -> String {
        certificate(namespace, name, &[host])
            .replace("name: pebble, kind: ClusterIssuer", "name: local, kind: Issuer")
    }
}
