//! What the controller may do: the least that works. The tests of the controller run with nothing more.

use super::{InstallOptions, NAME, labels, metadata};
use serde_json::{Value, json};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resources.
    pub resources: &'static [&'static str],
    /// What may be done with them.
    pub verbs: &'static [&'static str],
    /// Whether they belong to no namespace, so that a controller of one namespace does without.
    pub is_of_cluster: bool,
}

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

const fn of(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resources, verbs, is_of_cluster: false }
}

const fn of_cluster(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resources, verbs, is_of_cluster: true }
}

/// All rights but those in the controller's own namespace.
///
/// Secrets: a gateway reads its certificate where its Pods are, which may be any namespace. The controller watches those
/// with its own label alone, and reads another one only where a Certificate or an issuer names it.
pub const RIGHTS: &[Right] = &[
    of("gatecert.dev", &["certificates"], WRITE),
    of("gatecert.dev", &["certificates/status", "issuers/status"], &["patch"]),
    of("gatecert.dev", &["issuers"], READ),
    of_cluster("gatecert.dev", &["clusterissuers"], READ),
    of_cluster("gatecert.dev", &["clusterissuers/status"], &["patch"]),
    of("", &["secrets"], WRITE),
    of("", &["services"], READ),
    of_cluster("", &["namespaces"], READ),
    of("discovery.k8s.io", &["endpointslices"], READ),
    of("events.k8s.io", &["events"], &["create", "patch"]),
    of("networking.istio.io", &["gateways", "virtualservices"], WRITE),
    of("security.istio.io", &["authorizationpolicies", "requestauthentications"], &["list"]),
    of("gateway.networking.k8s.io", &["gateways", "listenersets"], READ),
    of("gateway.networking.k8s.io", &["httproutes", "referencegrants"], WRITE),
    of("networking.k8s.io", &["ingresses"], WRITE),
    of_cluster("networking.k8s.io", &["ingressclasses"], READ),
];

/// Rights in the controller's own namespace: its Lease.
const OWN_RIGHTS: &[Right] = &[of("coordination.k8s.io", &["leases"], &["get", "create", "update"])];

/// Rights in the controller's own namespace where it serves another one alone: an Ingress reaches Services of its own
/// namespace only, and the consent to reach the responder from elsewhere is given beside it.
const RIGHTS_BESIDE_RESPONDER: &[Right] = &[
    of("networking.k8s.io", &["ingresses"], &["create", "patch", "delete"]),
    of("gateway.networking.k8s.io", &["referencegrants"], &["create", "patch"]),
];

pub(super) fn objects(options: &InstallOptions) -> Vec<Value> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(options, NAME),
    });
    let mut objects = vec![account];
    match &options.only_namespace {
        None => objects.extend(cluster_wide(options)),
        Some(namespace) => {
            let rights: Vec<_> = RIGHTS.iter().filter(|right| !right.is_of_cluster).collect();
            objects.extend(within(options, namespace, NAME, &rights));
            if *namespace != options.namespace {
                let rights: Vec<_> = RIGHTS_BESIDE_RESPONDER.iter().collect();
                objects.extend(within(options, &options.namespace, "gatecert-responder", &rights));
            }
        }
    }
    let own: Vec<_> = OWN_RIGHTS.iter().collect();
    objects.extend(within(options, &options.namespace, "gatecert-leader", &own));
    objects
}

fn cluster_wide(options: &InstallOptions) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let rights: Vec<_> = RIGHTS.iter().collect();
    [
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "ClusterRole",
            "metadata": {"name": NAME, "labels": labels()},
            "rules": rules(&rights),
        }),
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME, "labels": labels()},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": subjects(options),
        }),
    ]
}

fn within(options: &InstallOptions, namespace: &str, name: &str, rights: &[&Right]) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels()});
    [
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "Role",
            "metadata": metadata,
            "rules": rules(rights),
        }),
        json!({
            "apiVersion": format!("{group}/v1"),
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": subjects(options),
        }),
    ]
}

fn rules(rights: &[&Right]) -> Value {
    let rules = rights
        .iter()
        .map(|right| json!({"apiGroups": [right.group], "resources": right.resources, "verbs": right.verbs}));
    rules.collect()
}

fn subjects(options: &InstallOptions) -> Value {
    json!([{"kind": "ServiceAccount", "name": NAME, "namespace": options.namespace}])
}
