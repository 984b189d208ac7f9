//! The manifests of an installation.

use super::yaml;
use gatecert_render::{InstallOptions, install};
use insta::assert_snapshot;
use serde_json::Value;

fn kinds(objects: &[Value]) -> Vec<String> {
    objects
        .iter()
        .map(|object| {
            format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
        })
        .collect()
}

/// Everything but the definitions, which `deploy/crds.yaml` shows.
fn own(options: &InstallOptions) -> Vec<Value> {
    install(options).into_iter().filter(|object| object["kind"] != "CustomResourceDefinition").collect()
}

fn documents(objects: &[Value]) -> String {
    objects.iter().map(yaml).collect::<Vec<_>>().join("---\n")
}

/// What refers to something comes after it: a Deployment that starts before its rights would begin with failures.
#[test]
fn the_order_is_that_of_needs() {
    assert_snapshot!(kinds(&install(&InstallOptions::default())).join("\n"));
}

#[test]
fn for_the_whole_cluster() {
    assert_snapshot!(documents(&own(&InstallOptions { image: "gatecert:1".into(), ..Default::default() })));
}

#[test]
fn for_one_namespace_without_istio() {
    assert_snapshot!(documents(&own(&InstallOptions {
        namespace: "shop".into(),
        image: "gatecert:1".into(),
        replicas: 1,
        only_namespace: Some("shop".into()),
        istio: false,
    })));
}

/// A namespace of somebody's Pods is not made a restricted one.
#[test]
fn the_namespace_that_is_served_is_left_alone() {
    let has_namespace = |only: Option<&str>| {
        let only_namespace = only.map(str::to_owned);
        let options = InstallOptions { namespace: "shop".into(), only_namespace, ..Default::default() };
        kinds(&own(&options)).contains(&"Namespace shop".to_owned())
    };
    assert!(has_namespace(None) && has_namespace(Some("other")) && !has_namespace(Some("shop")));
}

/// Roles by namespace: where the controller is not in the namespace that it serves, some of its routes stand beside it.
#[test]
fn rights_are_where_they_are_used() {
    let roles = |namespace: &str| -> Vec<String> {
        let only_namespace = Some("shop".to_owned());
        let options = InstallOptions { namespace: namespace.into(), only_namespace, ..Default::default() };
        let objects = own(&options).into_iter().filter(|object| object["kind"] == "Role");
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap().to_owned();
        objects.map(|object| format!("{}/{}", text(&object, "namespace"), text(&object, "name"))).collect()
    };
    assert_eq!(roles("shop"), ["shop/gatecert", "shop/gatecert-leader"]);
    assert_eq!(roles("system"), ["shop/gatecert", "system/gatecert-responder", "system/gatecert-leader"]);
}
