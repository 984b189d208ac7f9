//! Commands that have a name come in on port 80.

use super::GatewayFacts;
use super::fix::{ISTIO_GATEWAYS, istio_gateway};
use super::listeners::Holder;
use crate::doctor::cluster::name_of;
use crate::doctor::report::patched;
use gatecert_controller::route::{GatewayName, Refusal, SolverKind, Subject};
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::Listener;
use gatecert_render::istio::Server;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The port that the CA asks (RFC 8555 section 8.3).
const HTTP: u16 = 80;

/// The class of Istio's Gateways inside a mesh, by which no client from outside comes.
const WAYPOINT: &str = "istio-waypoint";

/// The command for the gateway that the solver names, that has the name on another port, or that is the only one; or for the
/// issuer, where none of its solvers is for the name.
pub(super) fn added(facts: &GatewayFacts, refusal: &Refusal) -> Option<String> {
    match &refusal.subject {
        Subject::Issuer => with_solver(facts),
        Subject::Named(gateway) => on(facts, gateway),
        Subject::Nowhere(kind) => {
            let is_fitting = |gateway: &&GatewayName| is_for(*kind, gateway);
            let mut having = facts.doors.iter().flat_map(|door| &door.gateways).filter(is_fitting);
            let having = having.find_map(|gateway| on(facts, gateway));
            having.or_else(|| on_only(facts, *kind)).or_else(|| in_words(facts, *kind))
        }
        _ => None,
    }
}

/// Whether a solver puts challenges there.
fn is_for(kind: SolverKind, gateway: &GatewayName) -> bool {
    match gateway {
        GatewayName::Istio(_) => matches!(kind, SolverKind::Istio | SolverKind::Auto),
        GatewayName::GatewayApi(_) | GatewayName::ListenerSet(_) => {
            matches!(kind, SolverKind::GatewayApi | SolverKind::Auto)
        }
        _ => false,
    }
}

/// The command for the only Gateway. Whether clients come in by it nobody has said.
fn on_only(facts: &GatewayFacts, kind: SolverKind) -> Option<String> {
    let of_istio = facts.istio_gateways.iter().map(|one| GatewayName::Istio(name_of(&**one)));
    let of_api = facts.gateways.iter().filter(|one| one.spec.gateway_class_name != WAYPOINT);
    let of_api = of_api.map(|one| GatewayName::GatewayApi(name_of(&**one)));
    let mut all = of_istio.chain(of_api).filter(|gateway| is_for(kind, gateway));
    let (first, None) = (all.next()?, all.next()) else { return None };
    Some(format!("if clients come in by {first}:\n{}", on(facts, &first)?))
}

/// What to write, where nobody but the reader knows into which Gateway.
fn in_words(facts: &GatewayFacts, kind: SolverKind) -> Option<String> {
    // YAML has another use for an asterisk.
    let host = match host_of_server(facts) {
        "*" => "'*'",
        host => host,
    };
    let is_istio = matches!(kind, SolverKind::Istio | SolverKind::Auto);
    is_istio.then(|| {
        format!(
            "servers of an Istio Gateway:\n- port: {{number: 80, name: http, protocol: HTTP}}\n  hosts: [{host}]"
        )
    })
}

/// What Istio's Gateways list it by: no address.
fn host_of_server(facts: &GatewayFacts) -> &str {
    if facts.host.parse::<IpAddr>().is_ok() { "*" } else { &facts.host }
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

fn on(facts: &GatewayFacts, gateway: &GatewayName) -> Option<String> {
    match gateway {
        GatewayName::Istio(name) => on_server(facts, gateway, name),
        GatewayName::GatewayApi(_) | GatewayName::ListenerSet(_) => on_listener(facts, gateway),
        _ => None,
    }
}

/// A host more for its plain server, or a server where it has none that does not redirect.
fn on_server(facts: &GatewayFacts, gateway: &GatewayName, name: &ObjectName) -> Option<String> {
    let gateway = istio_gateway(facts, gateway)?;
    let servers = &gateway.spec.servers;
    let host = host_of_server(facts);
    let is_plain = |server: &Server| {
        server.is_http() && !server.is_redirecting() && server.port.number == u32::from(HTTP)
    };
    let operation = match servers.iter().position(is_plain) {
        Some(at) => json!({"op": "add", "path": format!("/spec/servers/{at}/hosts/-"), "value": host}),
        None => {
            let port = free_name("http", servers.iter().map(|server| &server.port.name));
            let server = json!({"port": {"number": HTTP, "name": port, "protocol": "HTTP"}, "hosts": [host]});
            json!({"op": "add", "path": "/spec/servers/-", "value": server})
        }
    };
    Some(patched(ISTIO_GATEWAYS, name, gateway.metadata.generation, &[operation]))
}

/// A listener more beside the one that has the name, for the routes that it takes.
fn on_listener(facts: &GatewayFacts, gateway: &GatewayName) -> Option<String> {
    let hosts: BTreeSet<_> = facts.doors.iter().map(|door| door.host.as_str()).collect();
    let has = |one: &&Listener| hosts.contains(one.hostname.as_deref().unwrap_or("*"));
    let own = Holder::find(facts, gateway)?;
    // What is told to be the Gateway's may be of one of its ListenerSets.
    let sets = facts.listener_sets.iter().map(|one| GatewayName::ListenerSet(name_of(&**one)));
    let sets = sets.filter_map(|name| Holder::find(facts, &name));
    let is_own = hosts.is_empty() || own.listeners.iter().any(|one| has(&one));
    let of_set = (!is_own).then(|| sets.into_iter().find(|set| set.listeners.iter().any(|one| has(&one))));
    let holder = of_set.flatten().unwrap_or(own);

    let name = free_name("http", holder.listeners.iter().map(|one| &one.name));
    let mut listener = json!({"name": name, "port": HTTP, "protocol": "HTTP"});
    if facts.host.parse::<IpAddr>().is_err() {
        listener["hostname"] = json!(facts.host);
    }
    let allowed = holder.listeners.iter().find(has).and_then(|one| one.allowed_routes.as_ref());
    if let Some(allowed) = allowed {
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
