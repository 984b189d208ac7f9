//! The Helm chart, made from the objects of `gatecert render install`: words that stand for values are put in before
//! rendering, and taken for template expressions after it.

use anyhow::Result;
use gatecert_render::{InstallOptions, install};
use serde_json::Value;
use std::fmt::Write as _;

/// Words that stand for values, and the expressions that they become.
const VALUES: [(&str, &str); 4] = [
    ("chart-namespace", "{{ .Release.Namespace }}"),
    ("chart-image", "{{ .Values.image }}"),
    ("424242", "{{ .Values.replicas }}"),
    ("chart-only", "{{ .Values.onlyNamespace }}"),
];

const RIGHTS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// The files of the chart, by their paths in the workspace.
pub(crate) fn files() -> Result<Vec<(&'static str, String)>> {
    let everywhere = objects(None);
    let one = objects(Some("chart-only"));
    let of = |objects: &[Value], is_wanted: &dyn Fn(&str) -> bool| -> Vec<Value> {
        let kind = |object: &&Value| object["kind"].as_str().is_some_and(is_wanted);
        objects.iter().filter(kind).cloned().collect()
    };
    let is_right = |kind: &str| RIGHTS.contains(&kind);
    let is_definition = |kind: &str| kind == "CustomResourceDefinition";
    let is_workload = |kind: &str| {
        !is_right(kind) && !is_definition(kind) && !matches!(kind, "Namespace" | "DestinationRule")
    };
    let definitions = keeping(of(&everywhere, &is_definition));
    let (rights, rights_of_one) = (template(&of(&everywhere, &is_right))?, template(&of(&one, &is_right))?);
    let rights = format!(
        "{{{{- if not .Values.onlyNamespace }}}}\n{rights}{{{{- else }}}}\n{rights_of_one}{{{{- end }}}}\n"
    );
    let rule = template(&of(&everywhere, &|kind| kind == "DestinationRule"))?;
    Ok(vec![
        ("charts/gatecert/Chart.yaml", chart()),
        ("charts/gatecert/values.yaml", values()),
        ("charts/gatecert/templates/crds.yaml", wrapped(".Values.crds", &template(&definitions)?)),
        ("charts/gatecert/templates/rights.yaml", rights),
        ("charts/gatecert/templates/controller.yaml", optional_argument(&template(&of(&one, &is_workload))?)),
        ("charts/gatecert/templates/istio.yaml", wrapped(".Values.istio", &rule)),
    ])
}

fn objects(only_namespace: Option<&str>) -> Vec<Value> {
    install(&InstallOptions {
        namespace: "chart-namespace".to_owned(),
        image: "chart-image".to_owned(),
        replicas: 424_242,
        only_namespace: only_namespace.map(str::to_owned),
        istio: true,
    })
}

/// Definitions outlive the release: with them all Issuers and Certificates would go.
fn keeping(mut definitions: Vec<Value>) -> Vec<Value> {
    for definition in &mut definitions {
        definition["metadata"]["annotations"] = serde_json::json!({"helm.sh/resource-policy": "keep"});
    }
    definitions
}

fn template(objects: &[Value]) -> Result<String> {
    let mut text = String::new();
    for object in objects {
        write!(text, "---\n{}\n", serde_saphyr::to_string(object)?.trim_end())?;
    }
    for (word, expression) in VALUES {
        text = text.replace(word, expression);
    }
    Ok(text)
}

fn wrapped(condition: &str, text: &str) -> String {
    format!("{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n")
}

/// The line that is there for one namespace alone.
fn optional_argument(text: &str) -> String {
    let lines = text.lines().map(|line| match line.contains("--only-namespace=") {
        true => format!("{{{{- if .Values.onlyNamespace }}}}\n{line}\n{{{{- end }}}}\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

fn chart() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "apiVersion: v2
name: gatecert
description: Let's Encrypt certificates for Istio and Envoy gateways
type: application
version: {version}
appVersion: {version}
kubeVersion: '>= 1.31.0-0'
"
    )
}

fn values() -> String {
    let InstallOptions { image, replicas, .. } = InstallOptions::default();
    format!(
        "# The controller's image.
image: {image}
# One leads, all answer challenges.
replicas: {replicas}
# Serves one namespace alone, with rights in that one alone.
onlyNamespace: ''
# Installs the definitions of the resources. They stay when the release goes.
crds: true
# Tells a mesh with mutual TLS to speak plain HTTP to the responder.
istio: true
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the templates give for the defaults, as far as that takes no more than leaving conditions out.
    fn filled(only: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        for (name, text) in files().unwrap() {
            if !name.contains("/templates/") {
                continue;
            }
            let chosen = match text.split_once("{{- else }}\n") {
                Some((everywhere, one)) => if only.is_empty() { everywhere } else { one }.to_owned(),
                None => text,
            };
            let mut lines: Vec<_> = chosen.lines().filter(|line| !line.starts_with("{{-")).collect();
            lines.retain(|line| !(only.is_empty() && line.contains("--only-namespace=")));
            let mut text = lines.join("\n");
            let defaults = InstallOptions::default();
            let values = [defaults.namespace, defaults.image, defaults.replicas.to_string(), only.to_owned()];
            for ((_, expression), value) in VALUES.iter().zip(values) {
                text = text.replace(expression, &value);
            }
            objects.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
        }
        objects
    }

    #[test]
    fn the_chart_installs_what_the_command_prints() {
        for only in ["", "shop"] {
            let only_namespace = (!only.is_empty()).then(|| only.to_owned());
            let mut wanted = install(&InstallOptions { only_namespace, ..InstallOptions::default() });
            // Helm makes the namespace of a release.
            wanted.retain(|object| object["kind"] != "Namespace");
            let wanted: Vec<_> = wanted.into_iter().map(without_policy).collect();
            let filled: Vec<_> = filled(only).into_iter().map(without_policy).collect();
            assert_eq!(filled.len(), wanted.len());
            for object in &wanted {
                assert!(filled.contains(object), "{object:#}");
            }
        }
    }

    fn without_policy(mut object: Value) -> Value {
        if object["kind"] == "CustomResourceDefinition"
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
        object
    }
}
