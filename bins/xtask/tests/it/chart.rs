//! The chart, judged by Helm: what it gives is what the program installs.

use gatecert_render::{InstallOptions, install};
use gatecert_testkit::tools::{Tool, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/gatecert");

/// The arguments of the controller's container.
const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";

/// Its resources.
const RESOURCES: &str = "/spec/template/spec/containers/0/resources";

/// Objects by kind, namespace and name: Helm applies them in an order of its own.
type Objects = BTreeMap<(String, String, String), Value>;

/// What Helm prints, or what it has against it.
fn helm(arguments: &[&str], chart: &Path, values: &Value) -> Result<String, String> {
    let program = ensure(Tool::Helm).unwrap();
    let home = TempDir::new().unwrap();
    // JSON is YAML.
    let file = home.path().join("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    // Without the settings, plugins and clusters of whoever runs the test.
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home.path()).args(arguments).arg(chart).arg("--values").arg(file);
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if output.status.success() { Ok(stdout) } else { Err(stdout + &stderr) }
}

/// The chart's objects for a release in this namespace. Every chart that is filled is a chart that is linted.
fn filled(namespace: &str, values: &Value) -> Objects {
    let chart = Path::new(CHART);
    let lint = helm(&["lint", "--strict", "--namespace", namespace], chart, values);
    assert!(lint.is_ok(), "{values}: {lint:?}");
    let text = helm(&["template", "gatecert", "--namespace", namespace], chart, values);
    parsed(&text.unwrap_or_else(|error| panic!("{values}: {error}")))
}

fn parsed(yaml: &str) -> Objects {
    let documents: Vec<Option<Value>> = serde_saphyr::from_multiple(yaml).unwrap();
    by_name(documents.into_iter().flatten())
}

/// What the program installs. What it does not delete, Helm is told to keep.
fn installed(options: &InstallOptions) -> Objects {
    let kept = |mut object: Value| {
        if ["CustomResourceDefinition", "Namespace"].contains(&object["kind"].as_str().unwrap()) {
            object["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep".into();
        }
        object
    };
    by_name(install(options).into_iter().map(kept))
}

fn by_name(objects: impl Iterator<Item = Value>) -> Objects {
    let mut all = Objects::new();
    for object in objects {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        assert!(all.insert(key.clone(), object).is_none(), "{key:?} is there twice");
    }
    all
}

#[track_caller]
fn assert_same(chart: &Objects, program: &Objects) {
    assert_eq!(chart.keys().collect::<Vec<_>>(), program.keys().collect::<Vec<_>>());
    for (key, object) in chart {
        assert_eq!(object, &program[key], "{key:?}");
    }
}

fn options(namespace: &str) -> InstallOptions {
    InstallOptions { namespace: namespace.to_owned(), ..InstallOptions::default() }
}

fn deployment(objects: &mut Objects) -> &mut Value {
    objects.values_mut().find(|object| object["kind"] == "Deployment").unwrap()
}

#[test]
fn without_values_it_is_the_default_in_the_namespace_of_the_release() {
    let mut expected = installed(&options("of-the-release"));
    expected.retain(|_, object| object["kind"] != "Namespace");
    assert_same(&filled("of-the-release", &json!({})), &expected);
}

/// Every combination of what changes the list of objects.
#[test]
fn every_kind_of_installation_is_what_the_program_installs() {
    // A namespace may look like a number; a text it stays.
    for (namespace, only) in [("system", None), ("system", Some("123")), ("123", Some("123"))] {
        for istio in [true, false] {
            let options = InstallOptions {
                namespace: namespace.to_owned(),
                image: "registry.test:5000/controller@sha256:0123".to_owned(),
                replicas: 3,
                only_namespace: only.map(str::to_owned),
                istio,
            };
            let values = json!({
                "namespace": namespace,
                "createNamespace": true,
                "image": options.image,
                "replicas": options.replicas,
                "onlyNamespace": only.unwrap_or_default(),
                "istio": istio,
            });
            assert_same(&filled("default", &values), &installed(&options));
        }
    }
}

#[test]
fn the_namespace_of_the_release_can_be_the_one_that_is_served() {
    let options = InstallOptions { only_namespace: Some("shop".to_owned()), ..options("shop") };
    let values = json!({"onlyNamespace": "shop", "createNamespace": true});
    assert_same(&filled("shop", &values), &installed(&options));
}

#[test]
fn definitions_can_be_left_to_others() {
    let mut expected = installed(&options("system"));
    expected.retain(|_, object| {
        !["CustomResourceDefinition", "Namespace"].contains(&object["kind"].as_str().unwrap())
    });
    assert_same(&filled("system", &json!({"crds": false})), &expected);
}

/// They are texts, whatever is in them.
#[test]
fn further_arguments_come_after_its_own() {
    let further =
        json!(["--log-json", "--log=info,kube=\"warn\"", "--max-issuances=5", "{{ .Values }}", "7", "on"]);
    let mut expected = installed(&options("system"));
    let arguments = deployment(&mut expected).pointer_mut(ARGUMENTS).unwrap().as_array_mut().unwrap();
    arguments.extend(further.as_array().unwrap().iter().cloned());
    let values = json!({"createNamespace": true, "extraArgs": further});
    assert_same(&filled("system", &values), &expected);
}

/// Helm merges them with those that the chart has: `null` takes one away.
#[test]
fn resources_are_merged_with_the_default() {
    let mut expected = installed(&options("system"));
    let resources = deployment(&mut expected).pointer_mut(RESOURCES).unwrap();
    resources["requests"]["cpu"] = "1".into();
    resources["limits"]["cpu"] = 2.into();
    resources["limits"].as_object_mut().unwrap().remove("memory").unwrap();
    let values = json!({
        "createNamespace": true,
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": 2, "memory": null}},
    });
    assert_same(&filled("system", &values), &expected);
}

#[test]
fn a_wrong_value_is_named() {
    for (values, said) in [
        (json!({"replica": 3}), "at '': additional properties 'replica' not allowed"),
        (json!({"resources": {"limit": {}}}), "at '/resources': additional properties 'limit' not allowed"),
        (json!({"replicas": "many"}), "at '/replicas': got string, want integer"),
        (json!({"replicas": -1}), "at '/replicas': minimum: got -1, want 0"),
        (json!({"image": ""}), "at '/image': '' does not match pattern"),
        (json!({"image": "a\"\n  b: c"}), "at '/image': 'a\"\\n  b: c' does not match pattern"),
        (json!({"namespace": "My_Namespace"}), "at '/namespace': 'My_Namespace' does not match pattern"),
        (json!({"onlyNamespace": ["a", "b"]}), "at '/onlyNamespace': got array, want string"),
        (json!({"istio": "false"}), "at '/istio': got string, want boolean"),
        (json!({"extraArgs": "--log-json"}), "at '/extraArgs': got string, want array"),
        (json!({"metrics": {"alert": true}}), "at '/metrics': additional properties 'alert' not allowed"),
        (json!({"extraArgs": [7]}), "at '/extraArgs/0': got number, want string"),
        // It is of charts that depend on this one, and would be passed over here.
        (json!({"enabled": false}), "at '/enabled': value must be true"),
    ] {
        for task in ["template", "lint"] {
            let error = helm(&[task], Path::new(CHART), &values).expect_err(&values.to_string());
            assert!(error.contains(said), "{task} {values}: {error}");
        }
    }
}

/// They hold what the program renders, whatever braces are in it, and nothing of it comes unasked.
#[test]
fn a_dashboard_and_alerts_come_where_they_are_wanted() {
    let values = json!({
        "createNamespace": true, "metrics": {"dashboard": true, "alerts": true, "labels": {"release": "prometheus"}},
    });
    let mut all = filled("system", &values);
    let mut take = |kind: &str, name: &str| {
        let object = all.remove(&(kind.to_owned(), "system".to_owned(), name.to_owned())).unwrap();
        assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
        object
    };
    let dashboard = take("ConfigMap", "gatecert-dashboard");
    assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = dashboard["data"]["gatecert.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), gatecert_render::dashboard());
    assert_eq!(take("PrometheusRule", "gatecert")["spec"], gatecert_render::alerts());
    assert_same(&all, &installed(&options("system")));
}

/// Prometheus takes every rule, and every query of the dashboard.
#[test]
fn prometheus_reads_alerts_and_queries() {
    let dashboard = gatecert_render::dashboard();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets.map(|target| json!({"record": "query", "expr": target["expr"]})).collect();
    let folder = TempDir::new().unwrap();
    let (of_dashboard, wrong) = (folder.path().join("dashboard.yaml"), folder.path().join("wrong.yaml"));
    let group = |rules: &[Value]| json!({"groups": [{"name": "queries", "rules": rules}]}).to_string();
    fs::write(&of_dashboard, group(&queries)).unwrap();
    fs::write(&wrong, group(&[json!({"record": "query", "expr": "sum by (a) (b"})])).unwrap();
    let check = |file: &Path| {
        let mut promtool = Command::new(ensure(Tool::Promtool).unwrap());
        // Queries may be alike, which rules should not be.
        promtool.args(["check", "rules", "--lint=none"]).arg(file).output().unwrap()
    };
    for file in [Path::new(CHART).join("files/alerts.yaml"), of_dashboard] {
        let output = check(&file);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("rules found"), "{output:?}");
    }
    assert!(!check(&wrong).status.success());
}

/// No value is without a type.
#[test]
fn every_value_is_checked() {
    let values = fs::read_to_string(Path::new(CHART).join("values.yaml")).unwrap();
    let values: BTreeMap<String, Value> = serde_saphyr::from_str(&values).unwrap();
    assert!(!values.is_empty());
    for name in values.keys() {
        let error =
            helm(&["template"], Path::new(CHART), &json!({name: {"nonsense": true}})).expect_err(name);
        assert!(error.contains(&format!("at '/{name}'")), "{error}");
    }
}

#[test]
fn a_cluster_that_is_too_old_is_refused() {
    let of = |version| helm(&["template", "--kube-version", version], Path::new(CHART), &json!({}));
    assert!(of("1.30.9").unwrap_err().contains("requires kubeVersion: >= 1.31.0-0"));
    // What a cloud calls its own.
    of("v1.31.2-gke.100").unwrap();
}

/// A chart that depends on this one gives it values of its own, which are not misspelt ones.
#[test]
fn another_chart_can_depend_on_it() {
    let folder = TempDir::new().unwrap();
    let outer = "apiVersion: v2\nname: outer\nversion: 1.0.0\ndependencies:\n- name: gatecert\n  version: '*'\n  \
                 condition: gatecert.enabled\n";
    fs::write(folder.path().join("Chart.yaml"), outer).unwrap();
    copy(Path::new(CHART), &folder.path().join("charts/gatecert"));
    let of = |enabled: bool| {
        let values = json!({"global": {"region": "here"}, "gatecert": {"enabled": enabled, "replicas": 5}});
        parsed(&helm(&["template", "outer", "--namespace", "system"], folder.path(), &values).unwrap())
    };
    let mut expected = installed(&InstallOptions { replicas: 5, ..options("system") });
    expected.retain(|_, object| object["kind"] != "Namespace");
    assert_same(&of(true), &expected);
    assert_same(&of(false), &Objects::new());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
