//! Migrating what a real API server has: it tells the kinds, gives pages and fills in defaults.

use crate::Outcome;
use crate::world::World;
use gatecert_testkit::cluster::namespace;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;

/// The definitions of cert-manager's kinds, as far as an API server needs them to keep objects.
fn definitions(group: &str, version: &str) -> String {
    let kinds = [
        ("ClusterIssuer", "clusterissuers", "Cluster"),
        ("Issuer", "issuers", "Namespaced"),
        ("Certificate", "certificates", "Namespaced"),
    ];
    let one = |(kind, plural, scope): (&str, &str, &str)| {
        format!(
            "---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}{APPROVED}}}
spec:
  group: {group}
  scope: {scope}
  names: {{kind: {kind}, plural: {plural}, singular: {}}}
  versions:
  - name: {version}
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
",
            kind.to_lowercase()
        )
    };
    kinds.map(one).concat()
}

/// Groups below `k8s.io` are guarded since Kubernetes 1.16; those of 2018 were there before.
const APPROVED: &str =
    ", annotations: {api-approved.kubernetes.io: 'unapproved, from before there were approvals'}";

/// What comes out is what comes out of the same manifests in a file.
pub async fn what_a_cluster_has(world: &World) -> Outcome {
    let directory = tempfile::TempDir::new()?;
    let mut all = String::new();
    for (group, version) in [("cert-manager.io", "v1"), ("certmanager.k8s.io", "v1alpha1")] {
        world.apply(&definitions(group, version)).await?;
    }
    for fixture in ["cert-manager-v1", "istio-annotated", "year-2018"] {
        let path = format!("{}/../../fixtures/migrate/{fixture}/input.yaml", env!("CARGO_MANIFEST_DIR"));
        let input = std::fs::read_to_string(path)?;
        // Ingresses of 2018 are of a version that no API server serves any more.
        let is_kept = |document: &&str| {
            let has = |line: &str| document.lines().any(|one| one == line);
            !["apiVersion: extensions/v1beta1", "kind: CertificateRequest", "kind: Deployment"]
                .iter()
                .any(|line| has(line))
        };
        let kept: Vec<_> = input.split("\n---\n").filter(is_kept).collect();
        assert!(kept.len() > 2, "{fixture} has {}", kept.len());
        all = format!("{all}\n---\n{}", kept.join("\n---\n"));
    }
    world.apply(&namespace("shop")).await?;
    world.apply(&all).await?;
    let file = directory.path().join("all.yaml");
    std::fs::write(&file, &all)?;
    let of_cluster =
        migrated(&["--cluster", "-A", "--kubeconfig", &world.kubeconfig.display().to_string()]).await?;
    let of_file = migrated(&["-f", &file.display().to_string()]).await?;
    assert!(of_file.len() > 6, "{of_file:#?}");
    // Other tests have left objects of their own.
    for (name, spec) in of_file {
        assert_eq!(of_cluster.get(&name), Some(&spec), "{name}");
    }
    Ok(())
}

/// The specs of gatecert's objects, by kind, namespace and name. Of Gateways there is the name alone: the API server has
/// filled in their defaults.
async fn migrated(arguments: &[&str]) -> Result<BTreeMap<String, Value>, Box<dyn Error + Send + Sync>> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gatecert"));
    let output = command.arg("migrate").args(arguments).args(["-o", "json"]).output().await?;
    let text = String::from_utf8(output.stdout)?;
    let printed: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)))?;
    let items = printed["items"].as_array().cloned().ok_or_else(|| format!("no items: {printed}"))?;
    let name = |item: &Value| {
        let of = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
        format!("{} {}/{}", item["kind"].as_str().unwrap_or_default(), of("namespace"), of("name"))
    };
    let spec = |item: &Value| match item["apiVersion"].as_str() {
        Some("gatecert.dev/v1") => item["spec"].clone(),
        _ => Value::Null,
    };
    Ok(items.iter().map(|item| (name(item), spec(item))).collect())
}
