//! Whatever is read, the answer is a result: no panic, the same each time, and text that is no more than was made.

use gatecert_migrate::{Document, Options, Target, migrate};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Words that matter somewhere, and anything.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "istio",
        "false",
        "true",
        "www.example.com",
        "*.example.com",
        "http",
        "/",
        "/a.*",
        "Issuer",
        "ClusterIssuer",
        "x\n---\nkind: Injected",
        "# x",
        "comment0",
        "letsencrypt",
        "https://acme-v01.api.letsencrypt.org/directory",
        "/.well-known/acme-challenge/x",
    ];
    prop_oneof![8 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Names of fields of all kinds.
fn field() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "secretName",
        "dnsNames",
        "issuerRef",
        "name",
        "kind",
        "acme",
        "server",
        "solvers",
        "http01",
        "dns01",
        "ingress",
        "class",
        "privateKey",
        "algorithm",
        "rules",
        "host",
        "paths",
        "path",
        "backend",
        "serviceName",
        "servicePort",
        "tls",
        "hosts",
        "http",
        "ports",
        "port",
        "listeners",
        "annotations",
        "privateKeySecretRef",
        "config",
    ];
    prop_oneof![20 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        word().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(field(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

const KINDS: [(&str, &str); 9] = [
    ("certmanager.k8s.io/v1alpha1", "Issuer"),
    ("certmanager.k8s.io/v1alpha1", "Certificate"),
    ("cert-manager.io/v1", "ClusterIssuer"),
    ("cert-manager.io/v1", "Certificate"),
    ("extensions/v1beta1", "Ingress"),
    ("networking.k8s.io/v1", "Ingress"),
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "ListenerSet"),
    ("v1", "Service"),
];

/// A Certificate or an Ingress of the right form, with any words.
fn well_formed() -> impl Strategy<Value = Value> {
    let certificate = (word(), word(), word()).prop_map(|(name, host, algorithm)| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a", "namespace": "shop"},
            "spec": {"secretName": "a", "dnsNames": [host], "issuerRef": {"name": "b", "kind": name},
                "privateKey": {"algorithm": algorithm}, "commonName": "www.example.com", "duration": name},
        })
    });
    let ingress = (word(), word(), word(), any::<bool>()).prop_map(|(host, path, service, is_plain)| {
        json!({
            "apiVersion": "extensions/v1beta1", "kind": "Ingress",
            "metadata": {"name": "a", "namespace": "shop", "annotations": {
                "kubernetes.io/ingress.class": "istio", "kubernetes.io/ingress.allow-http": is_plain.to_string(),
                "cert-manager.io/cluster-issuer": host,
            }},
            "spec": {"tls": [{"hosts": [host], "secretName": service}], "rules": [{"host": host,
                "http": {"paths": [{"path": path, "backend": {"serviceName": service, "servicePort": 80}}]}}]},
        })
    });
    prop_oneof![certificate, ingress]
}

fn object() -> impl Strategy<Value = Value> {
    let any = (0..KINDS.len(), value(), value()).prop_map(|(kind, metadata, spec)| {
        let (version, kind) = KINDS[kind];
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    });
    prop_oneof![any, well_formed()]
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        if let Ok(documents) = Document::read("f", &text) {
            migrate(&documents, &Options::default());
        }
    }

    #[test]
    fn any_objects(objects in proptest::collection::vec(object(), 1..5), is_istio in any::<bool>()) {
        let to = if is_istio { Target::Istio } else { Target::GatewayApi };
        let options = Options { to, ..Options::default() };
        let text: String =
            objects.iter().map(|object| format!("---\n{}", serde_saphyr::to_string(object).unwrap())).collect();
        let documents = Document::read("f", &text).unwrap();
        let migration = migrate(&documents, &options);
        prop_assert_eq!(&migrate(&documents, &options), &migration);
        let printed: Vec<Value> = serde_saphyr::from_multiple(&migration.to_yaml().unwrap()).unwrap();
        let made: Vec<_> = migration.objects.iter().map(|migrated| migrated.object.clone()).collect();
        prop_assert_eq!(printed, made);
        // Whoever can not correct them gets notes instead of errors.
        let documents: Vec<_> = objects.into_iter().map(|object| Document::from_value("c", object)).collect();
        migrate(&documents, &options);
    }
}
