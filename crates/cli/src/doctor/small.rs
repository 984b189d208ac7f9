//! Pods and Services, as far as the checks read them: the whole of these types would be more code than all the checks.

use gatecert_controller::cluster::{self, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The container by which Istio takes over a Pod's network.
const SIDECAR: &str = "istio-proxy";

#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
pub(super) struct Pod {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    containers: Vec<Container>,
    /// A sidecar of its own kind (`restartPolicy: Always`) is among these.
    init_containers: Vec<Container>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
struct Container {
    name: String,
}

impl Pod {
    pub(super) fn has_sidecar(&self) -> bool {
        let PodSpec { containers, init_containers } = &self.spec;
        containers.iter().chain(init_containers).any(|container| container.name == SIDECAR)
    }
}

/// A Service with its addresses.
#[derive(Resource, Serialize, Deserialize, Clone, Debug, Default)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub(super) struct Service {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ServiceSpec,
    #[serde(default)]
    status: ServiceStatus,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
struct ServiceSpec {
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
    #[serde(rename = "externalIPs")]
    external_ips: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default, rename_all = "camelCase")]
struct ServiceStatus {
    load_balancer: LoadBalancer,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
struct LoadBalancer {
    ingress: Vec<LoadBalancerIngress>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
#[serde(default)]
struct LoadBalancerIngress {
    ip: Option<String>,
    hostname: Option<String>,
}

impl Service {
    /// The addresses and names at which it is reached from outside.
    pub(super) fn balancer(&self) -> BTreeSet<String> {
        let all = self.status.load_balancer.ingress.iter();
        let of_status = all.filter_map(|one| one.ip.clone().or_else(|| one.hostname.clone()));
        of_status.chain(self.spec.external_ips.iter().cloned()).collect()
    }

    /// As the controller reads it.
    pub(super) fn of_controller(self) -> cluster::Service {
        let ServiceSpec { selector, ports, .. } = self.spec;
        cluster::Service { metadata: self.metadata, spec: cluster::ServiceSpec { selector, ports } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sidecar_is_a_container_or_begins_before_them() {
        let pod = |spec| {
            serde_json::from_value::<Pod>(json!({ "metadata": { "name": "a" }, "spec": spec })).unwrap()
        };
        let (app, proxy) = (json!([{ "name": "app", "image": "app" }]), json!([{ "name": "istio-proxy" }]));
        assert!(!pod(json!({ "containers": app })).has_sidecar());
        assert!(pod(json!({ "containers": proxy })).has_sidecar());
        assert!(pod(json!({ "containers": app, "initContainers": proxy })).has_sidecar());
    }

    #[test]
    fn a_service_is_where_its_balancer_is() {
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "ingress", "namespace": "istio-system" },
            "spec": {
                "type": "LoadBalancer",
                "selector": { "istio": "ingress" },
                "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
                "externalIPs": ["192.0.2.9"],
            },
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }, { "hostname": "lb.example.net" }] } },
        }))
        .unwrap();
        let addresses = ["192.0.2.1", "192.0.2.9", "lb.example.net"].map(str::to_owned);
        assert_eq!(service.balancer(), addresses.into());
        let small = service.of_controller();
        assert_eq!((small.spec.ports[0].name.as_str(), small.spec.ports[0].port), ("http", 80));
        assert_eq!(small.spec.selector["istio"], "ingress");
    }
}
