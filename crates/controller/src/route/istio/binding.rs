//! Which VirtualServices bind to which servers of Gateways.

use super::super::host::{Fit, ServerHost, most_specific};
use super::super::others::{name_of, namespace_of};
use gatecert_render::istio::{Gateway, Server, VirtualService};
use std::collections::BTreeSet;

/// By how close an entry of a server on a Gateway in `home` VirtualServices of a namespace may take the name.
pub(super) fn admitted(server: &Server, home: &str, namespace: &str, host: &str) -> Option<Fit> {
    let entries = server.hosts.iter().map(|entry| ServerHost::parse(entry));
    let admitting = entries.filter(|entry| entry.admits(namespace, home));
    most_specific(admitting.map(|entry| entry.host), host).map(|(fit, _)| fit)
}

/// Whether a VirtualService names the Gateway and is seen by its Envoys, which are in these namespaces: istiod asks for
/// theirs, not for the Gateway's. `*` stands for all, where they are not known.
pub(super) fn is_bound(
    virtual_service: &VirtualService,
    gateway: &Gateway,
    envoys: &BTreeSet<String>,
) -> bool {
    let own = namespace_of(virtual_service);
    let exported = &virtual_service.spec.export_to;
    let is_seen = exported.is_empty()
        || exported.iter().any(|to| match to.as_str() {
            "*" => true,
            "~" => false,
            "." => envoys.contains(own) || envoys.contains("*"),
            to => envoys.contains(to) || envoys.contains("*"),
        });
    let name = (namespace_of(gateway), name_of(gateway));
    is_seen && virtual_service.spec.gateways.iter().any(|one| gateway_name(one, own) == name)
}

/// Namespace and name of the Gateway that a VirtualService in `own` means: `namespace/name`, `./name`, `name`, or the
/// name in the cluster's DNS that manifests of Istio's first versions have.
fn gateway_name<'a>(reference: &'a str, own: &'a str) -> (&'a str, &'a str) {
    if let Some((namespace, name)) = reference.split_once('/') {
        return (if namespace == "." { own } else { namespace }, name);
    }
    match reference.split_once('.') {
        Some((name, rest)) => (rest.split('.').next().unwrap_or(rest), name),
        None => (own, reference),
    }
}
