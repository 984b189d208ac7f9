//! The chart's values: what each is for, what it is unless it is set, and what it may be.

use super::{NOTE, document};
use anyhow::Result;
use gatecert_render::{InstallOptions, install};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What is taken as an image: the characters of its reference, none of which could end a quoted text.
const IMAGE: &str = r"^[\w.:/@\[\]-]+$";

/// What is taken as a namespace: a DNS label, or nothing.
const NAMESPACE: &str = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$";

/// One value.
struct ChartValue {
    name: &'static str,
    about: &'static str,
    default: Value,
    /// What it may be, in the words of JSON Schema.
    schema: Value,
}

/// `values.yaml`
pub(super) fn yaml() -> Result<String> {
    let mut text = NOTE.to_owned();
    for value in values() {
        let about = value.about.replace('\n', "\n# ");
        write!(text, "\n# {about}\n{}", serde_saphyr::to_string(&json!({value.name: value.default}))?)?;
    }
    Ok(text)
}

/// `values.schema.json`, by which Helm refuses a value that is misspelt or of another type.
pub(super) fn schema() -> Result<String> {
    let mut properties = Map::new();
    for value in values() {
        properties.insert(value.name.to_owned(), described(value.schema, value.about));
    }
    // Helm and the charts that depend on this one add values of their own.
    for (name, schema, about) in [
        (
            "global",
            json!({"type": "object"}),
            "What a chart gives to all charts that it depends on. Not read.",
        ),
        (
            "enabled",
            json!({"const": true}),
            "For the `condition` of a chart that depends on this one, which then leaves all of it out.",
        ),
    ] {
        properties.insert(name.to_owned(), described(schema, about));
    }
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": NOTE.trim_start_matches("# ").trim_end(),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.replace('\n', " ").into();
    schema
}

fn values() -> [ChartValue; 10] {
    let options = InstallOptions::default();
    let switch = json!({"type": "boolean"});
    let namespace = json!({"type": "string", "pattern": NAMESPACE});
    let quantities = json!({"type": "object", "additionalProperties": {"type": ["string", "number"]}});
    let value = |name, about, default, schema| ChartValue { name, about, default, schema };
    [
        value(
            "image",
            "The controller's image.",
            options.image.as_str().into(),
            json!({"type": "string", "pattern": IMAGE}),
        ),
        value(
            "replicas",
            "How many replicas run: one leads, all answer challenges.",
            options.replicas.into(),
            json!({"type": "integer", "minimum": 0}),
        ),
        value(
            "resources",
            "What a replica needs and may take.",
            resources(&options),
            json!({
                "type": "object",
                "properties": {"limits": quantities, "requests": quantities},
                "additionalProperties": false,
            }),
        ),
        value(
            "namespace",
            "The controller's namespace; without one, the release's.",
            "".into(),
            namespace.clone(),
        ),
        value(
            "createNamespace",
            "Makes that namespace, unless it is the one that is served (onlyNamespace), which is there already. It stays\n\
             when the release goes, and with it the keys of accounts with CAs. For the release's own,\n\
             `helm install --create-namespace` does.",
            false.into(),
            switch.clone(),
        ),
        value(
            "onlyNamespace",
            "Serves one namespace alone, with rights in that one alone. ClusterIssuers are passed over then.",
            "".into(),
            namespace,
        ),
        value(
            "extraArgs",
            "Further arguments of the controller, such as --log-json.",
            json!([]),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        value(
            "istio",
            "Tells a mesh with mutual TLS to speak plain HTTP to the responder. Needs Istio's definitions.",
            options.istio.into(),
            switch.clone(),
        ),
        value(
            "crds",
            "Installs the definitions of the resources. They stay when the release goes, and with them all Issuers and\n\
             Certificates.",
            true.into(),
            switch.clone(),
        ),
        value(
            "metrics",
            "A dashboard in a ConfigMap that Grafana's sidecar finds, and alerts in a PrometheusRule, which needs the definitions\n\
             of the Prometheus Operator. Both get these labels beside their own.",
            json!({"dashboard": false, "alerts": false, "labels": {}}),
            json!({
                "type": "object",
                "properties": {
                    "dashboard": switch,
                    "alerts": switch,
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
                "additionalProperties": false,
            }),
        ),
    ]
}

/// The resources of the controller's container.
fn resources(options: &InstallOptions) -> Value {
    let objects = install(options);
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
    deployment.and_then(|deployment| deployment.pointer(document::RESOURCES)).cloned().unwrap_or_default()
}
