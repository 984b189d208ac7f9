//! Migrating what is in a cluster, by a scripted API server: pages of one object, refusals, fields that are newer than this
//! program. What a real one has is migrated in `tests/cluster/migration.rs`.

use crate::setting::{Run, finish, gatecert};
use serde_json::{Value, json};
use std::process::Command;
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A group of an API: its name, its version, and its resources.
type Group<'a> = (&'a str, &'a str, &'a [Resource<'a>]);

/// A resource: its kind, its plural, and whether it is in namespaces.
type Resource<'a> = (&'a str, &'a str, bool);

/// An API server with these groups.
async fn server(groups: &[Group<'_>]) -> MockServer {
    let server = MockServer::start().await;
    let listed: Vec<_> = groups
        .iter()
        .map(|(name, version, _)| {
            let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        })
        .collect();
    get(&server, "/apis", &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})).await;
    for (name, version, resources) in groups {
        let resources: Vec<_> = resources
            .iter()
            .map(|(kind, plural, is_namespaced)| {
                json!({"name": plural, "singularName": "", "namespaced": is_namespaced, "kind": kind,
                    "verbs": ["get", "list"]})
            })
            .collect();
        let version = format!("{name}/{version}");
        let list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
        get(&server, &format!("/apis/{version}"), &list).await;
    }
    get(&server, "/api/v1/services", &list(&[])).await;
    get(&server, "/api/v1/namespaces/shop/services", &list(&[])).await;
    server
}

async fn get(server: &MockServer, at: &str, answer: &Value) {
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

/// Items of a list do not say what they are.
fn list(items: &[Value]) -> Value {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

fn certificate(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": "1", "resourceVersion": "7", "managedFields": []},
        "spec": {"secretName": name, "dnsNames": [format!("{name}.example.com")], "issuerRef": {"name": "letsencrypt"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn migrate(server: &MockServer, arguments: &[&str]) -> Run {
    let folder = tempfile::TempDir::new().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": server.uri()}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
    });
    std::fs::write(&kubeconfig, text.to_string()).unwrap();
    let mut command: Command = gatecert(&["migrate", "--cluster", "--kubeconfig"]);
    finish(command.arg(&kubeconfig).args(arguments))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_2018_is_read_page_by_page_and_not_written() {
    let kinds: &[_] = &[
        ("Certificate", "certificates", true),
        ("Issuer", "issuers", true),
        ("ClusterIssuer", "clusterissuers", false),
    ];
    let server = server(&[("certmanager.k8s.io", "v1alpha1", kinds)]).await;
    let base = "/apis/certmanager.k8s.io/v1alpha1";
    let mut first = list(&[certificate("a")]);
    first["metadata"]["continue"] = "next".into();
    let certificates = format!("{base}/certificates");
    for (token, page) in [(None, first), (Some("next"), list(&[certificate("b")]))] {
        let mock = Mock::given(method("GET")).and(path(certificates.clone()));
        let mock = match token {
            Some(token) => mock.and(query_param("continue", token)),
            None => mock.and(query_param_is_missing("continue")),
        };
        mock.respond_with(ResponseTemplate::new(200).set_body_json(page)).mount(&server).await;
    }
    let issuer = json!({
        "metadata": {"name": "letsencrypt", "namespace": "shop"},
        "spec": {"acme": {"server": "https://acme-v01.api.letsencrypt.org/directory", "http01": {},
            "privateKeySecretRef": {"name": "letsencrypt"}}},
    });
    get(&server, &format!("{base}/issuers"), &list(&[issuer])).await;
    get(&server, &format!("{base}/clusterissuers"), &list(&[])).await;

    let run = migrate(&server, &["-A", "-o", "json"]).expect(0);
    let printed = run.json();
    let names: Vec<_> = printed["items"].as_array().unwrap().iter().map(|item| &item["metadata"]).collect();
    let named = |name: &str| json!({"name": name, "namespace": "shop"});
    assert_eq!(names, [&named("letsencrypt"), &named("a"), &named("b")]);
    assert_eq!(printed["items"][0]["spec"]["acme"]["server"], "letsencrypt");
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method.as_str() == "GET"), "{requests:?}");
    assert!(requests.iter().all(|request| !request.url.path().contains("secrets")), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_namespace_is_read_and_what_is_newer_than_this_program_is_told() {
    let server = server(&[("cert-manager.io", "v1", &[("Certificate", "certificates", true)])]).await;
    let mut newer = certificate("a");
    newer["spec"]["postQuantum"] = true.into();
    get(&server, "/apis/cert-manager.io/v1/namespaces/shop/certificates", &list(&[newer])).await;
    let printed = migrate(&server, &["-o", "json"]).expect(3).json();
    let notes = printed["notes"].as_array().unwrap();
    let left = notes.iter().find(|note| note["kind"] == "notMigrated").unwrap();
    assert_eq!(
        left["message"],
        "unknown field `spec.postQuantum`, which this version of gatecert does not know"
    );
    assert_eq!(printed["items"][0]["spec"]["secretName"], "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_cert_manager_has_nothing() {
    let server = server(&[]).await;
    let run = migrate(&server, &["-n", "shop"]).expect(0);
    assert!(run.err.contains("nothing of cert-manager's was found"), "{}", run.err);
    assert_eq!(run.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_is_told_what() {
    let server = server(&[("cert-manager.io", "v1", &[("Certificate", "certificates", true)])]).await;
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "certificates.cert-manager.io is forbidden: User \"u\" cannot list"});
    let refused = ResponseTemplate::new(403).set_body_json(status);
    let at = path("/apis/cert-manager.io/v1/namespaces/shop/certificates");
    Mock::given(method("GET")).and(at).respond_with(refused).mount(&server).await;
    let run = migrate(&server, &[]).expect(1);
    assert!(run.err.contains("certificates can not be read") && run.err.contains("can-i"), "{}", run.err);
    assert_eq!(run.out, "");
}
