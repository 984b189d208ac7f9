//! How the name of a Certificate is served, which decides what is written to prove it.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{RESPONDER, World};
use crate::manifest::{gateway, http, https, listener};
use crate::replica::ReplicaOptions;
use gatecert_api::{Certificate, Issuer};
use gatecert_render::{InstallOptions, gateway_api, istio};
use gatecert_testkit::cluster::{apply_one, service};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::net::Ipv4Addr;

/// A namespace in which nothing else goes on, so that each point is one of the Certificate's.
const CRASH: Alone = Alone("crash");

/// The namespace of the gateway's Envoy: there it reads Secrets, and from there alone it serves Gateways of the Gateway
/// API.
const EDGE: &str = "istio-system";

/// The namespace of the controller that serves that one, and of its responder.
const BESIDE: &str = "crash-system";

/// Where the proxy is that takes Pebble's port out of `Host`.
pub(super) const PROXY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 33);

/// What serves the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A server for HTTP: a VirtualService is written.
    Plain,
    /// A wildcard's server that redirects: a Gateway for the name is written too.
    Bypass,
    /// A class of Ingresses: an Ingress is written.
    Ingress,
    /// A server that redirects to one whose Secret is to come: a placeholder is written, and then the pair over it.
    Placeholder,
    /// A listener of the Gateway API, with the responder in another namespace: an HTTPRoute and a ReferenceGrant are
    /// written.
    GatewayApi,
}

impl Shape {
    fn label(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bypass => "bypass",
            Self::Ingress => "ingress",
            Self::Placeholder => "placeholder",
            Self::GatewayApi => "gateway-api",
        }
    }

    /// The namespace of its Certificates, which is all that the controller sees.
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Plain | Self::Bypass | Self::Ingress => CRASH.0,
            Self::Placeholder | Self::GatewayApi => EDGE,
        }
    }

    /// The name of a Certificate of its own for each number.
    pub(super) fn name(self, number: usize) -> String {
        format!("{}-{number}", self.label())
    }

    /// The name that such a Certificate is for.
    pub(super) fn host(self, name: &str) -> String {
        format!("www.{name}.{}.crash.test", self.label())
    }

    /// The controller.
    pub(super) fn replica(self) -> ReplicaOptions<'static> {
        match self {
            Self::Plain | Self::Bypass | Self::Ingress => {
                CRASH.replica(RESPONDER, &["--only-namespace", "crash"])
            }
            Self::Placeholder | Self::GatewayApi => ReplicaOptions {
                namespace: BESIDE,
                arguments: &["--only-namespace", EDGE],
                ..ReplicaOptions::new(BESIDE, RESPONDER)
            },
        }
    }

    /// What serves the name of a Certificate.
    pub(super) async fn serving(
        self,
        world: &World,
        name: &str,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let (namespace, host) = (self.namespace(), self.host(name));
        let redirect = ", tls: {httpsRedirect: true}";
        Ok(match self {
            Self::Plain => gateway(namespace, name, &[http(name, &[&host], "")]),
            Self::Bypass => {
                let wildcard = host.replacen("www", "*", 1);
                gateway(namespace, name, &[http(name, &[&wildcard], redirect)])
            }
            // The solver names the class.
            Self::Ingress => String::new(),
            Self::Placeholder => {
                world.cluster.pebble.challtestsrv().add_a(&host, &[PROXY.into()]).await?;
                gateway(namespace, name, &[http(name, &[&host], redirect), https(name, &[&host], name)])
            }
            Self::GatewayApi => listener(namespace, name, &host),
        })
    }
}

/// Makes what a controller needs that serves a namespace alone, its responder too.
pub(super) async fn install(world: &World) -> Outcome {
    CRASH.install(world).await?;
    world.apply(&service(CRASH.0, "gatecert-responder", RESPONDER, 8089)).await?;
    let gateway = world.cluster.gateway_address().to_string();
    let solvers = json!([
        {
            "selector": {"dnsZones": ["ingress.crash.test"]},
            "http01": {"ingress": {"ingressClassName": "istio", "addresses": [gateway]}},
        },
        {"http01": {"istio": {"addresses": [gateway], "exportTo": [EDGE]}}},
    ]);
    let issuers: Api<Issuer> = Api::namespaced(world.cluster.client.clone(), CRASH.0);
    let patch = Patch::Merge(json!({"spec": {"acme": {"solvers": solvers}}}));
    issuers.patch("local", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// The same for the namespace of the gateway, with the controller in another one.
pub(super) async fn install_at_the_edge(world: &World) -> Outcome {
    clear_the_edge(&world.cluster.client).await?;
    let options = InstallOptions {
        namespace: BESIDE.to_owned(),
        only_namespace: Some(EDGE.to_owned()),
        ..InstallOptions::default()
    };
    for object in gatecert_render::install(&options) {
        apply_one(&world.cluster.client, &serde_json::from_value(object)?).await?;
    }
    world.apply(&service(BESIDE, "gatecert-responder", RESPONDER, 8089)).await?;
    let issuer = world
        .issuer("local")
        .replace("ClusterIssuer", "Issuer")
        .replace("name: local", &format!("name: local, namespace: {EDGE}"));
    world.apply(&issuer).await
}

/// Takes away what other tests have left there, so that each point is one of the Certificate's.
async fn clear_the_edge(client: &Client) -> Result<(), kube::Error> {
    let all = ListParams::default();
    // Those that have annotations before the Certificates that are made for them.
    clear::<istio::Gateway>(client, &all).await?;
    clear::<istio::VirtualService>(client, &all).await?;
    clear::<gateway_api::Gateway>(client, &all).await?;
    clear::<gateway_api::ListenerSet>(client, &all).await?;
    clear::<gateway_api::HttpRoute>(client, &all).await?;
    clear::<Ingress>(client, &all).await?;
    clear::<Certificate>(client, &all).await?;
    clear::<Issuer>(client, &all).await?;
    let passing = ListParams::default().labels("gatecert.dev/part in (pending-key, placeholder)");
    clear::<Secret>(client, &passing).await
}

async fn clear<K>(client: &Client, which: &ListParams) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), EDGE);
    api.delete_collection(&DeleteParams::default(), which).await.map(|_| ())
}
