//! `gatecert render install` and `gatecert render uninstall`

use crate::args::{Install, Installation, Uninstall};
use gatecert_api::annotation::{
    MANAGED_BY, MANAGER, PART, PART_ACCOUNT_KEY, PART_CERTIFICATE, PART_CHALLENGE, PART_PENDING_KEY,
    PART_PLACEHOLDER,
};
use gatecert_render::InstallOptions;
use serde_json::Value;

/// What challenge routes are, each kind by its group, since a cluster may lack some of them.
const ROUTES: [&str; 3] = [
    "virtualservices.networking.istio.io,gateways.networking.istio.io",
    "httproutes.gateway.networking.k8s.io",
    "ingresses.networking.k8s.io",
];

fn options(installation: &Installation) -> InstallOptions {
    InstallOptions {
        namespace: installation.namespace.clone(),
        image: installation.image.clone(),
        replicas: installation.replicas,
        only_namespace: installation.only_namespace.clone(),
        istio: !installation.without_istio,
    }
}

pub(super) fn install(arguments: &Install) -> Vec<Value> {
    gatecert_render::install(&options(&arguments.installation))
}

pub(super) fn uninstall(arguments: &Uninstall) -> Vec<Value> {
    let mut objects = gatecert_render::uninstall(&options(&arguments.installation));
    if arguments.crds {
        objects.extend(gatecert_render::definitions());
    }
    objects
}

/// How what the controller has made is deleted, as comments.
pub(super) fn left(arguments: &Uninstall) -> String {
    let installation = &arguments.installation;
    let served = installation.only_namespace.as_deref();
    let place = served.map_or_else(|| "--all-namespaces".to_owned(), |name| format!("--namespace {name}"));
    let mut lines = vec!["# Challenge routes, where an issuance was under way:".to_owned()];
    lines
        .extend(ROUTES.map(|kinds| format!("#   kubectl delete {kinds} {place} -l {PART}={PART_CHALLENGE}")));
    lines.extend([
        format!(
            "#   kubectl delete referencegrants.gateway.networking.k8s.io {place} -l {MANAGED_BY}={MANAGER}"
        ),
        format!("#   kubectl delete secrets {place} -l '{PART} in ({PART_PENDING_KEY}, {PART_PLACEHOLDER})'"),
        "# The certificates, once no gateway serves them:".to_owned(),
        format!("#   kubectl delete secrets {place} -l {PART}={PART_CERTIFICATE}"),
        "# The keys of accounts with CAs, once no certificate is to be revoked by them:".to_owned(),
        format!("#   kubectl delete secrets {place} -l {PART}={PART_ACCOUNT_KEY}"),
    ]);
    if served != Some(&installation.namespace) {
        lines.push(format!("#   kubectl delete namespace {}", installation.namespace));
    }
    lines.join("\n") + "\n"
}
