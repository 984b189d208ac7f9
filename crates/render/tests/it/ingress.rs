//! Challenge routes by Ingress.

use super::{challenges, owner, responder, yaml};
use gatecert_render::{IngressForm, ingress};
use insta::assert_snapshot;

fn rendered(is_annotated: bool) -> String {
    let [www, api] = challenges();
    let hosts = [("www.example.com", vec![www]), ("*", vec![api]), ("proved.example.com", vec![])];
    yaml(&ingress(&IngressForm {
        owner: &owner(),
        name: "www-acme-0123456789".into(),
        class: "istio",
        is_annotated,
        hosts: &hosts.map(|(host, challenges)| (host.to_owned(), challenges)).into(),
        responder: &responder(),
    }))
}

#[test]
fn of_a_class() {
    assert_snapshot!(rendered(false));
}

#[test]
fn of_a_class_by_annotation() {
    assert_snapshot!(rendered(true));
}
