//! Each folder of `fixtures/migrate` has an `input.yaml`, and what is made of it: `expected.yaml` and
//! `expected-gateway-api.yaml`, or `errors.txt`. `SNAPSHOTS=overwrite cargo test -p gatecert-migrate` writes them anew.

use gatecert_api::{Certificate, ClusterIssuer, Issuer};
use gatecert_migrate::{Document, Migration, Options, Target, migrate};
use snapbox::{Assert, Data};
use std::fs;
use std::path::{Path, PathBuf};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/migrate");

/// The folders, sorted by name.
pub(crate) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(FIXTURES).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// Whether nothing comes of it but errors.
fn is_wrong(folder: &Path) -> bool {
    folder.join("errors.txt").exists()
}

fn migrated(text: &str, to: Target) -> Migration {
    let documents = Document::read("input.yaml", text).unwrap();
    migrate(&documents, &Options { to, ..Options::default() })
}

fn errors(migration: &Migration) -> String {
    let lines = migration.errors.iter().map(|error| match &error.hint {
        Some(hint) => format!("{error}\n  hint: {hint}\n"),
        None => format!("{error}\n"),
    });
    lines.collect()
}

#[test]
fn every_input_gives_what_is_expected() {
    let assert = Assert::new().action_env("SNAPSHOTS").normalize_paths(false);
    let folders = folders();
    assert!(folders.len() >= 7, "{folders:?}");
    for folder in folders {
        let text = fs::read_to_string(folder.join("input.yaml")).unwrap();
        let is_wrong = is_wrong(&folder);
        for (to, name) in
            [(Target::Istio, "expected.yaml"), (Target::GatewayApi, "expected-gateway-api.yaml")]
        {
            let migration = migrated(&text, to);
            let (name, actual) = match is_wrong {
                true => ("errors.txt", errors(&migration)),
                false => {
                    assert_eq!(errors(&migration), "", "{}", folder.display());
                    (name, migration.to_yaml().unwrap())
                }
            };
            assert.eq(actual, Data::read_from(&folder.join(name), None).raw());
        }
    }
}

/// Two of one name can not become one; out of a cluster they come from both groups of cert-manager's.
#[test]
fn one_that_is_there_twice_is_told() {
    let text = |group: &str| {
        format!(
            "apiVersion: {group}
kind: Certificate
metadata: {{name: www, namespace: shop}}
spec: {{secretName: www, dnsNames: [www.example.com], issuerRef: {{name: letsencrypt}}}}
"
        )
    };
    let both = [text("cert-manager.io/v1"), text("certmanager.k8s.io/v1alpha1")].join("---\n");
    assert_eq!(
        errors(&migrated(&both, Target::Istio)),
        "input.yaml:6:1: Certificate shop/www is here a second time: the first is input.yaml:1
  hint: give the one alone that is meant
"
    );
    let values: Vec<serde_json::Value> = serde_saphyr::from_multiple(&both).unwrap();
    let documents: Vec<_> =
        values.into_iter().map(|value| Document::from_value("the cluster", value)).collect();
    let migration = migrate(&documents, &Options::default());
    assert_eq!((migration.objects.len(), migration.is_complete()), (1, false), "{migration:?}");
}

/// Whoever names a file without a manifest meant another one; beside manifests, as in a directory, it is passed over.
#[test]
fn a_text_without_any_object_is_an_error() {
    for text in ["hello", "a: b\n---\n- c\n", "1"] {
        assert_eq!(
            errors(&migrated(text, Target::Istio)),
            "input.yaml:1:1: there is no Kubernetes object in it
  hint: give manifests: what has `apiVersion` and `kind`
"
        );
    }
    for text in ["", "# nothing", "hello\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"] {
        let migration = migrated(text, Target::Istio);
        assert_eq!(errors(&migration), "", "{text}");
        assert!(migration.is_complete(), "{text}");
    }
}

/// What gets no certificate of gatecert's keeps cert-manager's, and is handed over in no part.
#[test]
fn a_gateway_of_wildcards_alone_stays_as_it_is() {
    let text = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wild, namespace: shop, annotations: {cert-manager.io/cluster-issuer: letsencrypt}}
spec:
  gatewayClassName: istio
  listeners:
  - {name: a, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: {certificateRefs: [{name: wild}]}}
";
    // Applied, its manifest would take cert-manager's annotations away.
    let migration = migrated(text, Target::Istio);
    assert!(migration.objects.is_empty() && !migration.is_complete(), "{migration:?}");
    assert!(migration.notes.iter().all(|note| note.command.is_none()), "{migration:?}");
}

/// What is printed is what was made, and of gatecert's types.
#[test]
fn the_text_is_the_objects() {
    let mut kinds = Vec::new();
    for folder in folders() {
        let text = fs::read_to_string(folder.join("input.yaml")).unwrap();
        for to in [Target::Istio, Target::GatewayApi] {
            let migration = migrated(&text, to);
            let objects: Vec<_> = migration.objects.iter().map(|migrated| migrated.object.clone()).collect();
            let printed: Vec<serde_json::Value> =
                serde_saphyr::from_multiple(&migration.to_yaml().unwrap()).unwrap();
            assert_eq!(printed, objects, "{}", folder.display());
            assert_eq!(migration.to_json()["items"], serde_json::Value::from(objects.clone()));
            for object in objects {
                let again = match object["kind"].as_str().unwrap() {
                    "Certificate" => as_it_is::<Certificate>(&object),
                    "Issuer" => as_it_is::<Issuer>(&object),
                    "ClusterIssuer" => as_it_is::<ClusterIssuer>(&object),
                    _ => object.clone(),
                };
                assert_eq!(again, object);
                kinds.push(object["kind"].as_str().unwrap().to_owned());
            }
        }
    }
    for kind in ["Certificate", "ClusterIssuer", "Gateway", "HTTPRoute", "Ingress", "Issuer", "ListenerSet"] {
        assert!(kinds.iter().any(|other| other == kind), "no {kind}");
    }
}

fn as_it_is<T: serde::Serialize + serde::de::DeserializeOwned>(
    object: &serde_json::Value,
) -> serde_json::Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// Migrating what was migrated gives nothing: nothing of cert-manager's is left in it.
#[test]
fn nothing_is_left_to_migrate() {
    for folder in folders().iter().filter(|folder| !is_wrong(folder)) {
        let text = fs::read_to_string(folder.join("input.yaml")).unwrap();
        for to in [Target::Istio, Target::GatewayApi] {
            let again = migrated(&migrated(&text, to).to_yaml().unwrap(), to);
            assert_eq!(errors(&again), "", "{}", folder.display());
            assert!(again.objects.is_empty() && again.is_complete(), "{}: {again:?}", folder.display());
        }
    }
}
