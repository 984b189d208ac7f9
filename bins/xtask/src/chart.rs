//! The Helm chart: the objects of `gatecert render install`, with blanks where a chart has values.

mod blank;
mod document;
mod monitoring;
mod values;

use anyhow::{Result, ensure};
use document::{Document, documents};
use gatecert_render::definitions;
use serde_json::Value;
use std::fmt::Write as _;

/// The folder of the chart in the workspace.
const FOLDER: &str = "charts/gatecert";

/// What is said at the head of every file, in JSON within it.
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
        ("values.yaml", values::yaml()?),
        ("values.schema.json", values::schema()?),
        ("templates/crds.yaml", crds()?),
        ("templates/namespace.yaml", of(&["Namespace"])?),
        ("templates/rights.yaml", of(&rights)?),
        ("templates/workload.yaml", of(&workload)?),
        ("templates/monitoring.yaml", monitoring::template()),
    ];
    let kinds = [&rights[..], &workload[..], &["Namespace"]].concat();
    for document in &documents {
        ensure!(kinds.contains(&document.kind()), "no file of the chart has objects of {}", document.kind());
    }
    let all = files.into_iter().chain(monitoring::files()?);
    Ok(all.map(|(name, text)| (format!("{FOLDER}/{name}"), text)).collect())
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
