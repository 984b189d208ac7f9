//! The controller's Pods and the way to them.

use super::{InstallOptions, NAME, labels, metadata};
use serde_json::{Value, json};

/// The Service that challenge routes lead to.
const RESPONDER: &str = "gatecert-responder";

/// The port of the responder, on the Service and on the Pod.
const RESPONDER_PORT: u16 = 8089;

/// The port of `/healthz`, `/readyz` and `/metrics`.
const HEALTH_PORT: u16 = 8081;

pub(super) fn objects(options: &InstallOptions) -> Vec<Value> {
    let mut objects = vec![deployment(options), budget(options), service(options)];
    objects.extend(options.istio.then(|| destination_rule(options)));
    objects.push(network_policy(options));
    objects
}

fn selector() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

fn deployment(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(options, NAME),
        "spec": {
            "replicas": options.replicas,
            "selector": {"matchLabels": selector()},
            "template": {
                "metadata": {
                    // A sidecar with strict mutual TLS would keep the gateways out.
                    "labels": {"app.kubernetes.io/name": NAME, "sidecar.istio.io/inject": "false"},
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": HEALTH_PORT.to_string(),
                    },
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": selector()},
                        },
                    }]}},
                    "containers": [container(options)],
                },
            },
        },
    })
}

fn container(options: &InstallOptions) -> Value {
    let mut arguments =
        vec![format!("--responder-listen=:{RESPONDER_PORT}"), format!("--health-listen=:{HEALTH_PORT}")];
    arguments.extend(options.only_namespace.iter().map(|namespace| format!("--only-namespace={namespace}")));
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "health"}});
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    json!({
        "name": "controller",
        "image": options.image,
        "args": arguments,
        "env": [field("POD_NAMESPACE", "metadata.namespace"), field("POD_NAME", "metadata.name")],
        "ports": [
            {"name": "http01", "containerPort": RESPONDER_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
    })
}

fn budget(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(options, NAME),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector()}},
    })
}

fn service(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(options, RESPONDER),
        "spec": {
            "selector": selector(),
            "ports": [{"name": "http", "port": RESPONDER_PORT, "targetPort": "http01"}],
        },
    })
}

/// A mesh-wide rule for mutual TLS holds for the way from a gateway to the responder too, which has no sidecar
/// (istio#20589).
fn destination_rule(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": metadata(options, RESPONDER),
        "spec": {
            "host": format!("{RESPONDER}.{}.svc.cluster.local", options.namespace),
            "trafficPolicy": {"tls": {"mode": "DISABLE"}},
        },
    })
}

/// In: the gateways, wherever they are, and probes. Out is left open: the API server, the CA and the gateways have
/// addresses that no policy knows beforehand.
fn network_policy(options: &InstallOptions) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": options.namespace, "labels": labels()},
        "spec": {
            "podSelector": {"matchLabels": selector()},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": RESPONDER_PORT}, {"port": HEALTH_PORT}]}],
        },
    })
}
