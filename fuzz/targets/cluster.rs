//! Objects that tenants write, a list of them as JSON: what their annotations ask for, and where that could be proved.
#![no_main]

use gatecert_controller::cluster::Cluster;
use gatecert_controller::route::{Question, place};
use gatecert_controller::source::wanted;
use gatecert_render::{ObjectName, ServiceName};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest message about an object of a tenant's, in bytes: it may repeat 64 characters of a value, or a host.
const LONGEST: usize = 1024;

#[derive(Deserialize)]
struct List {
    items: Vec<Value>,
}

fuzz_target!(|input: &[u8]| {
    let Ok(List { items }) = serde_json::from_slice(input) else { return };
    let mut cluster = Cluster::default();
    for item in items {
        add(&mut cluster, item);
    }
    let wanted = wanted(&cluster);
    for (_, error) in &wanted.errors {
        assert!(error.to_string().len() <= LONGEST, "{error}");
    }
    let responder = ServiceName {
        namespace: "gatecert-system".to_owned(),
        name: "gatecert-responder".to_owned(),
        port: 8089,
    };
    for certificate in &wanted.certificates {
        let namespace = certificate.metadata.namespace.clone().expect("a Certificate has a namespace");
        let hosts: BTreeSet<_> = certificate.spec.dns_names.iter().flatten().cloned().collect();
        assert!(!hosts.is_empty(), "a Certificate for nothing");
        assert!(
            hosts.iter().all(|host| !host.contains('*') && !host.chars().any(char::is_uppercase)),
            "{hosts:?}"
        );
        let secret = ObjectName::new(&namespace, &certificate.spec.secret_name);
        let question = Question {
            namespace: &namespace,
            hosts: &hosts,
            secret: &secret,
            solvers: &[],
            allow: None,
            responder: &responder,
        };
        match place(&question, &cluster) {
            Ok(placement) => assert!(!placement.probes.is_empty() || placement.virtual_services.is_empty()),
            Err(refusals) => assert!(!refusals.is_empty()),
        }
    }
});

fn add(cluster: &mut Cluster, item: Value) {
    let group = item["apiVersion"].as_str().and_then(|version| version.split('/').next()).unwrap_or_default();
    let kind = item["kind"].as_str().unwrap_or_default();
    match (group, kind) {
        ("networking.istio.io", "Gateway") => push(&mut cluster.istio_gateways, item),
        ("networking.istio.io", _) => push(&mut cluster.virtual_services, item),
        (_, "Gateway") => push(&mut cluster.gateways, item),
        (_, "ListenerSet") => push(&mut cluster.listener_sets, item),
        (_, "HTTPRoute") => push(&mut cluster.http_routes, item),
        (_, "ReferenceGrant") => push(&mut cluster.reference_grants, item),
        (_, "Ingress") => push(&mut cluster.ingresses, item),
        (_, "IngressClass") => push(&mut cluster.ingress_classes, item),
        (_, "Service") => push(&mut cluster.services, item),
        (_, "EndpointSlice") => push(&mut cluster.endpoint_slices, item),
        (_, "Namespace") => push(&mut cluster.namespaces, item),
        _ => {}
    }
}

fn push<K: DeserializeOwned>(objects: &mut Vec<Arc<K>>, item: Value) {
    if let Ok(object) = serde_json::from_value(item) {
        objects.push(Arc::new(object));
    }
}
