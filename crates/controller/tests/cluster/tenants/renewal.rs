//! The matrix at renewal: what was granted at first issue, and taken away since.

use super::cell::{VICTIM, host, orders};
use super::first_issue::{grant, http_route, ingress_of, listening};
use super::record::Record;
use super::{all, prepare};
use crate::Outcome;
use crate::harness::{World, condition};
use crate::manifest::{certificate_with, gateway, http, route};
use gatecert_testkit::cluster::{apply, delete};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// Who is entitled at first, and is not any more.
const TENANT: &str = "tenant-former";

/// The namespace of the gateway.
const HOME: &str = "istio-system";

/// A cell.
struct Withdrawal {
    name: &'static str,
    /// What entitles the tenant.
    setting: String,
    /// What takes that away: objects that come, or are others then.
    withdrawn: String,
    /// The reason of the refusal, and what its message names.
    refusal: (&'static str, &'static str),
    /// More fields of the Certificate.
    more: &'static str,
    issuer: &'static str,
}

impl Withdrawal {
    fn new(name: &'static str, setting: String, withdrawn: String, named: &'static str) -> Self {
        Self { name, setting, withdrawn, refusal: ("NotAllowed", named), more: "", issuer: "pebble" }
    }

    /// A Certificate of the tenant for the name.
    fn certificate(&self, name: &str) -> String {
        let issuer = format!("issuerRef: {{name: {}, ", self.issuer);
        certificate_with(TENANT, name, &[&host(self.name)], self.more)
            .replace("issuerRef: {name: pebble, ", &issuer)
    }

    /// The Secret that is published.
    async fn secret(&self, world: &World) -> Result<Secret, kube::Error> {
        let namespace = if self.more.is_empty() { TENANT } else { VICTIM };
        Api::namespaced(world.cluster.client.clone(), namespace).get(self.name).await
    }

    async fn run(&self, world: &World, record: &Record) -> Outcome {
        world.apply(&self.setting).await?;
        world.apply(&self.certificate(self.name)).await?;
        world.ready(TENANT, self.name).await?;
        record.until_route_for(world, TENANT, self.name).await?;
        let uid = world.certificates(TENANT).get(self.name).await?.uid().unwrap_or_default();
        let before =
            (self.secret(world).await?, record.of(&uid), orders(&world.log().await, TENANT, self.name));

        world.apply(&self.withdrawn).await?;
        self.until_withdrawn(world).await?;
        let renew = json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}});
        let certificates = world.certificates(TENANT);
        certificates.patch(self.name, &PatchParams::default(), &Patch::Merge(renew)).await?;
        let message = world.refused(TENANT, self.name, self.refusal.0).await?;
        assert!(message.contains(self.refusal.1), "{:?} is not named: {message}", self.refusal.1);
        let after =
            (self.secret(world).await?, record.of(&uid), orders(&world.log().await, TENANT, self.name));
        assert!(
            before == after,
            "a renewal that was refused has changed something: {:?}, {}",
            after.1,
            after.2
        );

        // What was asked for is done when it may be.
        delete(&world.cluster.client, &self.withdrawn).await?;
        apply(&world.cluster.client, &self.setting).await?;
        let renewed = |status: &gatecert_api::CertificateStatus| status.revision == Some(2);
        world.until(TENANT, self.name, |one| one.status.as_ref().is_some_and(renewed)).await?;
        assert_ne!(self.secret(world).await?.data, before.0.data);
        Ok(())
    }

    /// Waits until the controller has heard of it: then another Certificate for the same name is refused. One that was
    /// asked for too early is issued still.
    async fn until_withdrawn(&self, world: &World) -> Outcome {
        for attempt in 0.. {
            let name = format!("{}-{attempt}", self.name);
            world.apply(&self.certificate(&name)).await?;
            let is_decided = |certificate: &gatecert_api::Certificate| {
                let is_ready = condition(certificate, "Ready").is_some_and(|ready| ready.status == "True");
                is_ready || condition(certificate, "Issuing").is_some_and(|one| one.reason == self.refusal.0)
            };
            let decided = world.until(TENANT, &name, is_decided).await?;
            if condition(&decided, "Issuing").is_some_and(|one| one.reason == self.refusal.0) {
                break;
            }
        }
        Ok(())
    }
}

pub(crate) async fn an_entitlement_that_was_taken_away(world: &World) -> Outcome {
    prepare(world).await?;
    world.namespaces(&[TENANT]).await?;
    let record = Record::start(world).await;
    let cells = cells(world);
    let run = async |cell: &Withdrawal| {
        cell.run(world, &record).await.map_err(|error| format!("{}: {error}", cell.name).into())
    };
    all(cells.iter().map(run)).await?;
    eprintln!("{} entitlements: granted, taken away, and given back", cells.len());
    Ok(())
}

fn cells(world: &World) -> Vec<Withdrawal> {
    let istio = |name: &str, entry: &str| gateway(HOME, name, &[http(name, &[entry], "")]);
    let taken = |name: &str| listening(name, "{from: All}");
    let same = |name: &str| listening(name, "{from: Same}");
    let set = "---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: r-set, namespace: tenant-former}
spec:
  parentRef: {name: r-set, namespace: istio-system, kind: Gateway, group: gateway.networking.k8s.io}
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: www.r-set.test, tls: {certificateRefs: [{name: r-set}]}}
";
    let open_set =
        same("r-set").replace("  listeners:", "  allowedListeners: {namespaces: {from: All}}\n  listeners:");
    let issuer = |namespace: &str| {
        let allow = format!("allow: [{{namespaces: {{names: [{namespace}]}}}}], email:");
        format!("---\n{}", world.issuer("r-allow").replace("email:", &allow))
    };
    let grant_all = |from: &str| {
        grant(VICTIM, from, "r-grant")
            .replace(&format!("r-grant-{from}"), "r-grant")
            .replace(", name: r-grant}]", "}]")
    };
    vec![
        Withdrawal::new(
            "r-scope",
            istio("r-scope", "tenant-former/www.r-scope.test"),
            istio("r-scope", "tenant-victim/www.r-scope.test"),
            "tenant-victim/www.r-scope.test",
        ),
        Withdrawal::new(
            "r-route",
            istio("r-route", "www.r-route.test"),
            route(VICTIM, "r-route", "istio-system/r-route", &["www.r-route.test"]),
            "VirtualService tenant-victim/r-route",
        ),
        Withdrawal::new(
            "r-same",
            taken("r-same"),
            same("r-same"),
            "listener http of Gateway istio-system/r-same",
        ),
        Withdrawal::new(
            "r-attached",
            taken("r-attached"),
            http_route(VICTIM, "r-attached"),
            "HTTPRoute tenant-victim/r-attached",
        ),
        Withdrawal::new(
            "r-set",
            open_set + set,
            same("r-set"),
            "listener http of Gateway istio-system/r-set",
        ),
        Withdrawal::new(
            "r-ingress",
            ingress_of(TENANT, "r-ingress", "www.r-ingress.test"),
            ingress_of(TENANT, "r-ingress", "other.r-ingress.test")
                + &ingress_of(VICTIM, "r-ingress", "www.r-ingress.test"),
            "Ingress tenant-victim/r-ingress",
        ),
        Withdrawal {
            issuer: "r-allow",
            ..Withdrawal::new(
                "r-allow",
                istio("r-allow", "www.r-allow.test") + &issuer(TENANT),
                issuer(VICTIM),
                "spec.acme.allow",
            )
        },
        Withdrawal {
            more: ", secretNamespace: tenant-victim",
            refusal: ("SecretNamespaceNotAllowed", "tenant-victim"),
            ..Withdrawal::new(
                "r-grant",
                istio("r-grant", "www.r-grant.test") + &grant_all(TENANT),
                grant_all(TENANT).replace("namespace: tenant-former}]", "namespace: tenant-nobody}]"),
                "",
            )
        },
    ]
}
