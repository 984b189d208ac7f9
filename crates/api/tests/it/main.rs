//! The definitions as a cluster gets them.

use gatecert_api::{Certificate, ClusterIssuer, Issuer, definitions};
use kube::CustomResourceExt as _;
use serde_json::Value;

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
}

/// Calls `look` with the path of each part of a schema.
fn walk(path: &str, part: &Value, look: &mut dyn FnMut(&str, &Value)) {
    look(path, part);
    for (name, property) in part["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    if part["items"].is_object() {
        walk(&format!("{path}[]"), &part["items"], look);
    }
}

#[test]
fn every_field_is_documented_and_none_has_a_default() {
    for definition in definitions() {
        let definition = serde_json::to_value(definition).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        for part in ["spec", "status"] {
            walk(kind, &schema(&definition)[part], &mut |path, schema| {
                assert!(schema.get("default").is_none(), "{path} has a default");
                let is_root = !path.contains('.') || path.ends_with("[]");
                assert!(is_root || schema["description"].is_string(), "{path} has no description");
            });
        }
    }
}

#[test]
fn names_are_those_that_people_type() {
    assert_eq!(Certificate::crd_name(), "certificates.gatecert.dev");
    assert_eq!(Certificate::shortnames(), ["gcert", "gcerts"]);
    assert_eq!(Issuer::crd_name(), "issuers.gatecert.dev");
    assert_eq!(ClusterIssuer::crd_name(), "clusterissuers.gatecert.dev");
    let columns = serde_json::to_value(Certificate::crd()).unwrap();
    let columns = columns["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().clone();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Ready", "Secret", "Issuer", "Names", "Not after", "Renewal", "Step", "Age"]);
}

#[test]
fn what_a_person_writes_comes_back_the_same() {
    let text = "
apiVersion: gatecert.dev/v1
kind: Certificate
metadata: {name: www, namespace: shop}
spec:
  secretName: www-tls
  dnsNames: [www.example.com]
  issuerRef: {name: letsencrypt, kind: ClusterIssuer}
  privateKey: {algorithm: RSA, size: 3072, rotationPolicy: Never}
";
    let certificate: Certificate = serde_saphyr::from_str(text).unwrap();
    let again = serde_json::to_value(&certificate).unwrap();
    assert_eq!(again["spec"].as_object().unwrap().len(), 4, "nothing is added: {again}");
    assert_eq!(serde_json::from_value::<Certificate>(again).unwrap(), certificate);
}
