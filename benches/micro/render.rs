//! Rendering challenge routes, to the JSON that is sent.

use criterion::Criterion;
use gatecert_render::gateway_api::ParentReference;
use gatecert_render::{
    Answer, Challenge, HttpRouteForm, IngressForm, ObjectName, Owner, ServiceName, VirtualServiceRoute,
    http_route, ingress, virtual_service,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

pub(crate) fn bench(criterion: &mut Criterion) {
    let owner = Owner { namespace: "shop".to_owned(), name: "www".to_owned(), uid: "0e4b".to_owned() };
    let responder = ServiceName {
        namespace: "gatecert-system".to_owned(),
        name: "gatecert-responder".to_owned(),
        port: 8089,
    };
    let mut group = criterion.benchmark_group("render");
    for names in [1, 100] {
        let challenges: Vec<_> = (0..names).map(challenge).collect();
        let hosts: BTreeSet<_> = challenges.iter().map(|challenge| challenge.host.clone()).collect();
        group.bench_function(format!("VirtualService of {names} names"), |bencher| {
            let gateways = [ObjectName::new("istio-system", "public")].into();
            let export_to = ["istio-system".to_owned()].into();
            bencher.iter(|| {
                let route = virtual_service(&VirtualServiceRoute {
                    owner: &owner,
                    name: "www-acme".to_owned(),
                    gateways: &gateways,
                    export_to: &export_to,
                    hosts: black_box(&hosts),
                    challenges: black_box(&challenges),
                    answer: &Answer::Direct,
                });
                serde_json::to_vec(&route).unwrap()
            });
        });
    }
    // An HTTPRoute takes 16 names.
    for names in [1, 16] {
        let challenges: Vec<_> = (0..names).map(challenge).collect();
        let hostnames: BTreeSet<_> = challenges.iter().map(|challenge| challenge.host.clone()).collect();
        group.bench_function(format!("HTTPRoute of {names} names"), |bencher| {
            let parents = [parent()].into();
            bencher.iter(|| {
                let route = http_route(&HttpRouteForm {
                    owner: &owner,
                    name: ObjectName::new("infra", "www-acme"),
                    parents: &parents,
                    hostnames: black_box(&hostnames),
                    challenges: black_box(&challenges),
                    responder: &responder,
                });
                serde_json::to_vec(&route).unwrap()
            });
        });
        let hosts: BTreeMap<_, _> =
            challenges.iter().map(|challenge| (challenge.host.clone(), vec![challenge.clone()])).collect();
        group.bench_function(format!("Ingress of {names} names"), |bencher| {
            bencher.iter(|| {
                let route = ingress(&IngressForm {
                    owner: &owner,
                    name: "www-acme".to_owned(),
                    class: "istio",
                    is_annotated: false,
                    hosts: black_box(&hosts),
                    responder: &responder,
                });
                serde_json::to_vec(&route).unwrap()
            });
        });
    }
    group.finish();
}

fn challenge(number: usize) -> Challenge {
    Challenge {
        host: format!("n{number}.example.com"),
        token: TOKEN.to_owned(),
        key_authorization: format!("{TOKEN}.{THUMBPRINT}"),
    }
}

fn parent() -> ParentReference {
    serde_json::from_value(serde_json::json!({"namespace": "infra", "name": "public", "sectionName": "http"}))
        .unwrap()
}
