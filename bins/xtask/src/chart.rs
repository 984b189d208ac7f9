//! The Helm chart: the objects of `gatecert render install`, with blanks where a chart has values.

mod blank;
mod document;

use anyhow::{Result, ensure};
use document::{Document, documents};
use gatecert_render::{InstallOptions, definitions, install};
use serde_json::Value;
use std::fmt::Write as _;

/// The folder of the chart in the workspace.
const FOLDER: &str = "charts/gatecert";

/// What is said at the head of every file.
const NOTE: &str = "# Generated from the program by `cargo xtask codegen`.\n";

/// The files of the chart: their paths in the workspace, and their texts.
pub(crate) fn files() -> Result<Vec<(String, String)>> {
    let documents = documents();
    let of = |kinds: &[&str]| -> Result<String> {
        let is_one = |document: &&Document| kinds.contains(&document.kind());
        let texts = documents.iter().filter(is_one).map(Document::template);
        Ok(NOTE.to_owned() + &texts.collect::<Result<String>>()?)
    };
    let rights = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    let workload = ["Deployment", "PodDisruptionBudget", "Service", "DestinationRule", "NetworkPolicy"];
    let files = [
        ("Chart.yaml", chart()),
        ("values.yaml", values()?),
        ("templates/crds.yaml", crds()?),
        ("templates/namespace.yaml", of(&["Namespace"])?),
        ("templates/rights.yaml", of(&rights)?),
        ("templates/workload.yaml", of(&workload)?),
    ];
    let kinds = [&rights[..], &workload[..], &["Namespace"]].concat();
    for document in &documents {
        ensure!(kinds.contains(&document.kind()), "no file of the chart has objects of {}", document.kind());
    }
    Ok(files.map(|(name, text)| (format!("{FOLDER}/{name}"), text)).into())
}

fn chart() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{NOTE}apiVersion: v2
name: gatecert
description: Let's Encrypt certificates for Istio and Envoy gateways
type: application
version: {version}
appVersion: {version}
kubeVersion: '>= 1.31.0-0'
"
    )
}

fn values() -> Result<String> {
    let options = InstallOptions::default();
    let mut resources = String::new();
    for line in serde_saphyr::to_string(&resources_of(&install(&options)))?.lines() {
        write!(resources, "\n  {line}")?;
    }
    Ok(format!(
        r#"{NOTE}
# The controller's image.
image: {}

# How many replicas run: one leads, all answer challenges.
replicas: {}

# What a replica needs and may take.
resources:{resources}

# The controller's namespace; without one, the release's.
namespace: ""

# Makes that namespace. For the release's own, `helm install --create-namespace` does.
createNamespace: false

# Serves one namespace alone, with rights in that one alone. ClusterIssuers are passed over then.
onlyNamespace: ""

# Further arguments of the controller, such as --log-json.
extraArgs: []

# Tells a mesh with mutual TLS to speak plain HTTP to the responder. Needs Istio's definitions.
istio: {}

# Installs the definitions of the resources. They stay when the release goes, and with them all Issuers and
# Certificates.
crds: true
"#,
        options.image, options.replicas, options.istio
    ))
}

/// The resources of the controller's container.
fn resources_of(objects: &[Value]) -> Value {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
    deployment.and_then(|deployment| deployment.pointer(document::RESOURCES)).cloned().unwrap_or_default()
}

fn crds() -> Result<String> {
    let mut text = format!("{NOTE}{{{{- if .Values.crds }}}}\n");
    for mut definition in definitions() {
        definition["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep".into();
        let yaml = serde_saphyr::to_string(&definition)?;
        ensure!(!yaml.contains("{{"), "a definition has braces in it, which a chart has to quote");
        write!(text, "---\n{}\n", yaml.trim_end())?;
    }
    Ok(text + "{{- end }}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of what changes the list of objects.
    fn combinations() -> Vec<InstallOptions> {
        let of = |namespace: &str, only: Option<&str>, istio: bool| InstallOptions {
            namespace: namespace.to_owned(),
            image: "registry.test/controller:1".to_owned(),
            replicas: 3,
            only_namespace: only.map(str::to_owned),
            istio,
        };
        let scopes = [("system", None), ("system", Some("shop")), ("shop", Some("shop"))];
        scopes
            .iter()
            .flat_map(|(namespace, only)| [true, false].map(|istio| of(namespace, *only, istio)))
            .collect()
    }

    #[test]
    fn a_filled_chart_is_what_the_program_renders() {
        for options in combinations() {
            let rendered: Vec<_> = install(&options).split_off(definitions().len());
            let resources = resources_of(&rendered);
            let documents = documents();
            let needed = documents.iter().filter(|document| document.is_needed(&options));
            let filled: Vec<_> = needed.map(|document| document.filled(&options, &resources)).collect();
            assert_eq!(filled, rendered, "{options:?}");
        }
    }

    #[test]
    fn no_blank_is_left() {
        for (name, text) in files().unwrap() {
            assert!(!text.contains(blank::MARK), "{name}");
            assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{name}");
            let begins = ["{{- if ", "{{- range "].map(|begin| text.matches(begin).count());
            assert_eq!(begins.iter().sum::<usize>(), text.matches("{{- end }}").count(), "{name}");
        }
    }

    #[test]
    fn every_value_is_used() {
        let files = files().unwrap();
        let templates: String = files
            .iter()
            .filter(|(name, _)| name.contains("templates/"))
            .map(|(_, text)| text.as_str())
            .collect();
        let values: Value = serde_saphyr::from_str(&values().unwrap()).unwrap();
        for name in values.as_object().unwrap().keys() {
            assert!(templates.contains(&format!(".Values.{name}")), "{name}");
        }
    }
}
