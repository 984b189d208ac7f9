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

# Makes that namespace, unless it is the one that is served (onlyNamespace), which is there already. It stays
# when the release goes, and with it the keys of accounts with CAs. For the release's own,
# `helm install --create-namespace` does.
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
    for definition in definitions() {
        let yaml = serde_saphyr::to_string(&kept(definition))?;
        ensure!(!yaml.contains("{{"), "a definition has braces in it, which a chart has to quote");
        write!(text, "---\n{}\n", yaml.trim_end())?;
    }
    Ok(text + "{{- end }}\n")
}

/// An object that stays when the release goes.
fn kept(mut object: Value) -> Value {
    object["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep".into();
    object
}
