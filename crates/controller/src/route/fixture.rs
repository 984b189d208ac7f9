//! Clusters and questions for tests, in YAML.

use super::{Placement, Question, Refusal, RefusalReason, Subject, place};
use crate::cluster::Cluster;
use gatecert_api::{Allowed, Solver};
use gatecert_render::gateway_api::ParentReference;
use gatecert_render::{ObjectName, ServiceName};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// A cluster of these documents.
pub(super) fn cluster(yaml: &str) -> Cluster {
    let mut cluster = Cluster::default();
    for document in yaml.split("---\n").filter(|text| !text.trim().is_empty()) {
        let value: Value =
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
        let kind = value["kind"].as_str().unwrap().to_owned();
        let is_istio = value["apiVersion"] == "networking.istio.io/v1";
        match kind.as_str() {
            "Gateway" if is_istio => cluster.istio_gateways.push(read(value)),
            "VirtualService" => cluster.virtual_services.push(read(value)),
            "Gateway" => cluster.gateways.push(read(value)),
            "ListenerSet" => cluster.listener_sets.push(read(value)),
            "HTTPRoute" => cluster.http_routes.push(read(value)),
            "Ingress" => cluster.ingresses.push(read(value)),
            "IngressClass" => cluster.ingress_classes.push(read(value)),
            "Service" => cluster.services.push(read(value)),
            "EndpointSlice" => cluster.endpoint_slices.push(read(value)),
            "Namespace" => cluster.namespaces.push(read(value)),
            other => panic!("{other}"),
        }
    }
    cluster
}

fn read<T: DeserializeOwned>(value: Value) -> Arc<T> {
    let text = value.to_string();
    Arc::new(serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// A Service and its one Pod, for a gateway in `infra`.
pub(super) fn service(name: &str, labels: &str, address: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{namespace: infra, name: {name}}}
spec:
  selector: {labels}
  ports: [{{name: http, port: 80}}, {{name: https, port: 443}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{namespace: infra, name: {name}-x, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}]}}]
ports: [{{name: http, port: 8080}}, {{name: https, port: 8443}}]
---
"
    )
}

/// What a test asks with.
pub(super) struct Asking<'a> {
    pub(super) namespace: &'a str,
    pub(super) hosts: &'a [&'a str],
    pub(super) solvers: &'a str,
    pub(super) allow: Option<&'a str>,
}

/// Of a ClusterIssuer without a list, by its `auto` solver.
pub(super) fn asking<'a>(namespace: &'a str, hosts: &'a [&'a str]) -> Asking<'a> {
    Asking { namespace, hosts, solvers: "[]", allow: None }
}

impl Asking<'_> {
    /// The answer.
    pub(super) fn of(&self, cluster: &Cluster) -> Result<Placement, Vec<Refusal>> {
        let hosts: BTreeSet<_> = self.hosts.iter().map(|&host| host.to_owned()).collect();
        let solvers: Vec<Solver> = serde_saphyr::from_str(self.solvers).unwrap();
        let allow: Option<Vec<Allowed>> = self.allow.map(|text| serde_saphyr::from_str(text).unwrap());
        let responder =
            ServiceName { namespace: "gatecert".into(), name: "gatecert-responder".into(), port: 80 };
        let question = Question {
            namespace: self.namespace,
            hosts: &hosts,
            secret: &ObjectName::new("infra", "www-tls"),
            solvers: &solvers,
            allow: allow.as_deref(),
            responder: &responder,
        };
        let placement = place(&question, cluster);
        assert_eq!(
            placement.as_ref().ok(),
            place(&question, &reversed(cluster)).as_ref().ok(),
            "order counts"
        );
        placement
    }

    /// The routes in short, one on a line.
    pub(super) fn routes(&self, cluster: &Cluster) -> Vec<String> {
        let placement = self.of(cluster).unwrap_or_else(|refusals| panic!("{refusals:#?}"));
        lines(&placement)
    }

    /// The reason and the message of the only refusal.
    pub(super) fn refusal(&self, cluster: &Cluster) -> (RefusalReason, String) {
        let refusal = self.only_refusal(cluster);
        (refusal.reason, refusal.message)
    }

    /// What the only refusal is about.
    pub(super) fn subject(&self, cluster: &Cluster) -> Subject {
        self.only_refusal(cluster).subject
    }

    fn only_refusal(&self, cluster: &Cluster) -> Refusal {
        let mut refusals = self.of(cluster).unwrap_err();
        assert_eq!(refusals.len(), 1, "{refusals:#?}");
        refusals.remove(0)
    }
}

/// The same cluster, listed the other way round.
fn reversed(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.istio_gateways.reverse();
    cluster.virtual_services.reverse();
    cluster.gateways.reverse();
    cluster.listener_sets.reverse();
    cluster.http_routes.reverse();
    cluster.ingresses.reverse();
    cluster.ingress_classes.reverse();
    cluster.services.reverse();
    cluster.endpoint_slices.reverse();
    cluster
}

fn lines(placement: &Placement) -> Vec<String> {
    let mut lines = Vec::new();
    for place in &placement.virtual_services {
        let gateways = joined(&place.gateways);
        lines.push(format!("vs {gateways} {} for {}", joined(&place.patterns), joined(&place.hosts)));
    }
    for place in &placement.bypasses {
        lines.push(format!("bypass {} {} {}", place.namespace, place.port.number, place.host));
    }
    for place in &placement.http_routes {
        let parents: Vec<_> = place.parents.iter().map(parent).collect();
        lines.push(format!(
            "route in {} on {}: {} for {}",
            place.namespace,
            parents.join(","),
            joined(&place.patterns),
            joined(&place.hosts)
        ));
    }
    for place in &placement.ingresses {
        for (pattern, hosts) in &place.hosts {
            lines.push(format!("ingress {} {pattern} for {}", place.class, joined(hosts)));
        }
    }
    for probe in &placement.probes {
        let scheme = if probe.is_tls { "https" } else { "http" };
        lines.push(format!("probe {scheme} {} {}", probe.host, joined(&probe.addresses)));
    }
    for secret in &placement.placeholders {
        lines.push(format!("placeholder {secret}"));
    }
    lines
}

fn parent(parent: &ParentReference) -> String {
    let (kind, namespace) = (parent.kind.as_deref().unwrap_or("Gateway"), parent.namespace.as_deref());
    let section = parent.section_name.as_deref().unwrap_or("all");
    format!("{kind} {}/{} {section}", namespace.unwrap_or("."), parent.name)
}

fn joined<T: ToString>(all: &BTreeSet<T>) -> String {
    let mut text = String::new();
    for one in all {
        let separator = if text.is_empty() { "" } else { "," };
        write!(text, "{separator}{}", one.to_string()).unwrap();
    }
    text
}
