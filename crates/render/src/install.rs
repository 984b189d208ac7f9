//! The manifests that install the controller.

mod rights;
mod workload;

pub use rights::{RIGHTS, Right};

use gatecert_api::annotation;
use serde_json::{Value, json};

/// How the controller is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallOptions {
    /// The controller's namespace.
    pub namespace: String,
    /// The controller's image.
    pub image: String,
    /// How many replicas run. One leads, all answer challenges.
    pub replicas: u32,
    /// The one namespace that it serves; none is all of them.
    pub only_namespace: Option<String>,
    /// Whether a mesh with mutual TLS is told to speak plain HTTP to the responder.
    pub istio: bool,
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self {
            namespace: "gatecert-system".to_owned(),
            image: concat!("ghcr.io/gatecert/gatecert-controller:", env!("CARGO_PKG_VERSION")).to_owned(),
            replicas: 2,
            only_namespace: None,
            istio: true,
        }
    }
}

/// The name of the ServiceAccount, the Deployment, and what belongs to them.
const NAME: &str = "gatecert";

/// Everything that is installed, in the order in which it is applied.
pub fn install(options: &InstallOptions) -> Vec<Value> {
    let mut objects = definitions();
    // A namespace that is served is there already, and its other Pods need not bear what is enforced for gatecert's.
    objects.extend((options.only_namespace.as_ref() != Some(&options.namespace)).then(|| namespace(options)));
    objects.extend(rights::objects(options));
    objects.extend(workload::objects(options));
    objects
}

/// The definitions of gatecert's resources alone.
pub fn definitions() -> Vec<Value> {
    // A definition is plain data.
    gatecert_api::definitions()
        .iter()
        .filter_map(|definition| serde_json::to_value(definition).ok())
        .collect()
}

/// What uninstalling deletes, in that order: everything but the definitions, with which all Issuers and Certificates
/// would go, and the namespace, with which the accounts' keys would.
pub fn uninstall(options: &InstallOptions) -> Vec<Value> {
    let keeps =
        |object: &Value| matches!(object["kind"].as_str(), Some("CustomResourceDefinition" | "Namespace"));
    let mut objects: Vec<_> = install(options).into_iter().filter(|object| !keeps(object)).collect();
    objects.reverse();
    objects
}

fn namespace(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": options.namespace,
            "labels": {
                "kubernetes.io/metadata.name": options.namespace,
                "pod-security.kubernetes.io/enforce": "restricted",
            },
        },
    })
}

/// Labels of everything that is installed. Not those of what the controller makes, so that a sweep of the one never
/// takes the other.
fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": annotation::MANAGER})
}

fn metadata(options: &InstallOptions, name: &str) -> Value {
    json!({"name": name, "namespace": options.namespace, "labels": labels()})
}
