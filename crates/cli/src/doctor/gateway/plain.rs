//! Commands that have a name come in on port 80.

use super::GatewayFacts;
use super::fix::{ISTIO_GATEWAYS, istio_gateway};
use super::listeners::Holder;
use crate::doctor::cluster::name_of;
use crate::doctor::report::patched;
use gatecert_controller::route::{GatewayName, Refusal, Subject};
use gatecert_render::ObjectName;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The port that the CA asks (RFC 8555 section 8.3).
const HTTP: u16 = 80;

/// The command for the gateway that the solver names, that has the name on another port, or that is the only one; or for the
/// issuer, where none of its solvers is for the name.
pub(super) fn added(facts: &GatewayFacts, refusal: &Refusal) -> Option<String> {
    match &refusal.subject {
        Subject::Issuer => with_solver(facts),
        Subject::Named(gateway) => on(facts, gateway),
        // Elsewhere on port 80 it is on a gateway that the solver is not for.
        _ if facts.doors.iter().any(|door| door.port == HTTP) => None,
        _ => {
            let mut having = facts.doors.iter().flat_map(|door| &door.gateways);
            having.find_map(|gateway| on(facts, gateway)).or_else(|| on(facts, &only(facts)?))
        }
    }
}

/// A solver more in the issuer, for this name.
fn with_solver(facts: &GatewayFacts) -> Option<String> {
    let issuer = facts.issuer.as_ref()?;
    let (resource, namespace) = match issuer.namespace.as_deref() {
        None => ("clusterissuers.gatecert.dev", ""),
        Some(namespace) => ("issuers.gatecert.dev", namespace),
    };
    let solver = json!({"selector": {"dnsNames": [facts.host]}, "http01": {"auto": {}}});
    let operations = [json!({"op": "add", "path": "/spec/acme/solvers/-", "value": solver})];
    Some(patched(resource, &ObjectName::new(namespace, &issuer.reference.name), None, &operations))
}

/// The Gateway, where there is no other.
fn only(facts: &GatewayFacts) -> Option<GatewayName> {
    let of_istio = facts.istio_gateways.iter().map(|one| GatewayName::Istio(name_of(&**one)));
    let mut all = of_istio.chain(facts.gateways.iter().map(|one| GatewayName::GatewayApi(name_of(&**one))));
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn on(facts: &GatewayFacts, gateway: &GatewayName) -> Option<String> {
    match gateway {
        GatewayName::Istio(name) => on_server(facts, gateway, name),
        GatewayName::GatewayApi(_) | GatewayName::ListenerSet(_) => on_listener(facts, gateway),
        _ => None,
    }
}

/// A host more for its plain server, or a server where it has none.
fn on_server(facts: &GatewayFacts, gateway: &GatewayName, name: &ObjectName) -> Option<String> {
    let gateway = istio_gateway(facts, gateway)?;
    let servers = &gateway.spec.servers;
    let is_plain =
        servers.iter().position(|server| server.is_http() && server.port.number == u32::from(HTTP));
    let operation = match is_plain {
        Some(at) => json!({"op": "add", "path": format!("/spec/servers/{at}/hosts/-"), "value": facts.host}),
        None => {
            let port = free_name("http", servers.iter().map(|server| &server.port.name));
            let server = json!({
                "port": {"number": HTTP, "name": port, "protocol": "HTTP"},
                "hosts": [facts.host],
            });
            json!({"op": "add", "path": "/spec/servers/-", "value": server})
        }
    };
    Some(patched(ISTIO_GATEWAYS, name, gateway.metadata.generation, &[operation]))
}

/// A listener more, which takes the routes that the name's other listener takes.
fn on_listener(facts: &GatewayFacts, gateway: &GatewayName) -> Option<String> {
    let holder = Holder::find(facts, gateway)?;
    let name = free_name("http", holder.listeners.iter().map(|one| &one.name));
    let mut listener = json!({"name": name, "port": HTTP, "protocol": "HTTP"});
    if facts.host.parse::<IpAddr>().is_err() {
        listener["hostname"] = json!(facts.host);
    }
    let hosts: BTreeSet<_> = facts.doors.iter().map(|door| Some(door.host.as_str())).collect();
    let same = holder.listeners.iter().find(|one| hosts.contains(&one.hostname.as_deref()));
    if let Some(allowed) = same.and_then(|one| one.allowed_routes.as_ref()) {
        listener["allowedRoutes"] = json!({"namespaces": allowed.namespaces});
    }
    let operation = json!({"op": "add", "path": "/spec/listeners/-", "value": listener});
    Some(patched(holder.resource, &holder.name, holder.generation, &[operation]))
}

/// A name that none of these is.
pub(super) fn free_name<'a>(stem: &str, used: impl Iterator<Item = &'a String>) -> String {
    let used: BTreeSet<_> = used.map(String::as_str).collect();
    let mut number = 1;
    loop {
        let name = format!("{stem}-{number}");
        if !used.contains(name.as_str()) {
            return name;
        }
        number += 1;
    }
}
