//! Finding where a challenge goes in a large cluster.

use criterion::Criterion;
use gatecert_controller::cluster::Cluster;
use gatecert_controller::route::{Question, place};
use gatecert_render::{ObjectName, ServiceName};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

/// Gateways of Istio, and as many of the Gateway API.
const GATEWAYS: usize = 500;

/// VirtualServices, and as many HTTPRoutes.
const ROUTES: usize = 5_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let cluster = cluster();
    let responder = ServiceName {
        namespace: "gatecert-system".to_owned(),
        name: "gatecert-responder".to_owned(),
        port: 8089,
    };
    let mut group = criterion.benchmark_group("place");
    for (name, hosts) in [
        ("1 name on an Istio Gateway", vec![istio_host(4_321)]),
        ("1 name on a Gateway", vec![gateway_api_host(4_321)]),
        ("100 names on Istio Gateways", (0..100).map(|number| istio_host(number * 50)).collect()),
    ] {
        let hosts: BTreeSet<String> = hosts.into_iter().collect();
        let question = Question {
            namespace: "shop",
            hosts: &hosts,
            secret: &ObjectName::new("infra", "www-tls"),
            solvers: &[],
            allow: None,
            responder: &responder,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let placement = place(black_box(&question), black_box(&cluster)).unwrap();
                assert!(!placement.probes.is_empty());
                placement
            });
        });
    }
    group.finish();
}

fn istio_host(route: usize) -> String {
    format!("r{route}.g{}.istio.test", route % GATEWAYS)
}

fn gateway_api_host(route: usize) -> String {
    format!("r{route}.g{}.gateway.test", route % GATEWAYS)
}

/// Two Services with a Pod each, the Gateways on them, and the routes of them.
fn cluster() -> Cluster {
    let mut cluster = Cluster::default();
    for (name, address) in [("istio", "10.0.0.1"), ("gateway", "10.0.0.2")] {
        cluster.services.push(read(json!({
            "metadata": {"namespace": "infra", "name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
        })));
        cluster.endpoint_slices.push(read(json!({
            "metadata": {
                "namespace": "infra", "name": format!("{name}-x"), "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "http", "port": 8080}],
        })));
    }
    for namespace in ["infra", "shop"] {
        cluster.namespaces.push(read(json!({
            "metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}},
        })));
    }
    for number in 0..GATEWAYS {
        cluster.istio_gateways.push(read(istio_gateway(number)));
        cluster.gateways.push(read(gateway(number)));
    }
    for number in 0..ROUTES {
        cluster.virtual_services.push(read(virtual_service(number)));
        cluster.http_routes.push(read(http_route(number)));
    }
    cluster
}

fn istio_gateway(number: usize) -> Value {
    json!({
        "metadata": {"namespace": "infra", "name": format!("g{number}")},
        "spec": {
            "selector": {"app": "istio"},
            "servers": [{
                "port": {"number": 80, "name": "http", "protocol": "HTTP"},
                "hosts": [format!("*.g{number}.istio.test")],
            }],
        },
    })
}

fn gateway(number: usize) -> Value {
    json!({
        "metadata": {"namespace": "infra", "name": format!("g{number}")},
        "spec": {
            "gatewayClassName": "istio",
            "listeners": [{
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "hostname": format!("*.g{number}.gateway.test"),
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }],
            "addresses": [{"type": "Hostname", "value": "gateway.infra.svc.cluster.local"}],
        },
        "status": {"addresses": [{"type": "Hostname", "value": "gateway.infra.svc.cluster.local"}]},
    })
}

fn virtual_service(number: usize) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": format!("r{number}")},
        "spec": {
            "hosts": [istio_host(number)],
            "gateways": [format!("infra/g{}", number % GATEWAYS)],
            "http": [{"route": [{"destination": {"host": "web.shop.svc.cluster.local"}}]}],
        },
    })
}

fn http_route(number: usize) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": format!("r{number}")},
        "spec": {
            "parentRefs": [{"namespace": "infra", "name": format!("g{}", number % GATEWAYS)}],
            "hostnames": [gateway_api_host(number)],
            "rules": [{"backendRefs": [{"name": "web", "port": 8080}]}],
        },
    })
}

fn read<T: DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}
