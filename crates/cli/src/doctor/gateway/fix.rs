//! Commands that mend what keeps a challenge from a gateway.

use super::listeners::{self, API_GATEWAYS};
use super::{GatewayFacts, plain};
use crate::doctor::certificate::{ISSUER, created};
use crate::doctor::cluster::name_of;
use crate::doctor::inside::SERVICE_NAME;
use crate::doctor::report::{patched, quoted};
use gatecert_controller::route::{Door, GatewayName, Refusal, RefusalReason, ServerHost, Subject};
use gatecert_render::ObjectName;
use gatecert_render::istio::{self, Server};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Istio's Gateways, as kubectl names them.
pub(super) const ISTIO_GATEWAYS: &str = "gateways.networking.istio.io";

/// The command for a refusal, where what is known is enough to write it.
pub(super) fn refused(facts: &GatewayFacts, refusal: &Refusal) -> Option<String> {
    match refusal.reason {
        RefusalReason::NotAllowed => allowed(facts, refusal),
        RefusalReason::GatewayNotReady => examined(facts, refusal),
        RefusalReason::RedirectWithoutHttps => behind_redirect(facts),
        RefusalReason::NoGateway => plain::added(facts, refusal),
        _ => None,
    }
}

/// Takes the host out of the Gateways that are passed over, from which no client gets anything. A command for each.
pub(super) fn without_host(facts: &GatewayFacts, door: &Door) -> Option<String> {
    let younger = door.gateways.iter().skip(1).filter_map(|title| istio_gateway(facts, title));
    joined(younger.filter_map(|gateway| {
        let (name, servers) = (name_of(gateway), &gateway.spec.servers);
        let mut https = servers.iter().enumerate().filter(|(_, server)| server.is_https());
        let (at, entry) = https.find_map(|(at, server)| Some((at, place_of(server, &door.host)?)))?;
        let hosts = &servers.get(at)?.hosts;
        let (path, tested) = match (hosts.len(), servers.len()) {
            (1, 1) => {
                return Some(format!("kubectl -n {} delete {ISTIO_GATEWAYS} {}", name.namespace, name.name));
            }
            (1, _) => (format!("/spec/servers/{at}"), format!("/spec/servers/{at}/hosts/0")),
            _ => {
                let path = format!("/spec/servers/{at}/hosts/{entry}");
                (path.clone(), path)
            }
        };
        // Whoever has changed the Gateway in the meantime has moved what is there.
        let test = json!({"op": "test", "path": tested, "value": hosts.get(entry)?});
        Some(patched(
            ISTIO_GATEWAYS,
            &name,
            gateway.metadata.generation,
            &[test, json!({"op": "remove", "path": path})],
        ))
    }))
}

/// One text of all commands; nothing where there is none.
fn joined(commands: impl Iterator<Item = String>) -> Option<String> {
    let commands: Vec<_> = commands.collect();
    (!commands.is_empty()).then(|| commands.join("\n"))
}

/// The Istio Gateway that a door names.
pub(super) fn istio_gateway<'a>(
    facts: &'a GatewayFacts,
    gateway: &GatewayName,
) -> Option<&'a istio::Gateway> {
    let GatewayName::Istio(name) = gateway else { return None };
    facts.istio_gateways.iter().map(AsRef::as_ref).find(|one: &&istio::Gateway| name_of(*one) == *name)
}

/// Where a server lists a host.
fn place_of(server: &Server, host: &str) -> Option<usize> {
    server.hosts.iter().position(|entry| ServerHost::parse(entry).host.eq_ignore_ascii_case(host))
}

/// Whether an entry is one by which the name comes in.
fn is_of_name(facts: &GatewayFacts, entry: &str) -> bool {
    facts.doors.iter().any(|door| ServerHost::parse(entry).host.eq_ignore_ascii_case(&door.host))
}

/// Lets the namespace ask for the name.
fn allowed(facts: &GatewayFacts, refusal: &Refusal) -> Option<String> {
    let namespace = facts.namespace.as_deref()?;
    match &refusal.subject {
        Subject::Issuer => in_issuer(facts, namespace),
        Subject::Listener { holder, name } => {
            let listener = listeners::find(facts, holder, name);
            let admitted = listener.and_then(|one| one.admitting(namespace, facts.labels.as_ref()));
            admitted.or_else(|| beside_route(facts))
        }
        _ => on_servers(facts, namespace)
            .or_else(|| in_issuer(facts, namespace))
            .or_else(|| beside_route(facts)),
    }
}

/// An entry more in the ClusterIssuer that says whom it is for. One without such a list is for all, whom a first entry
/// would keep out.
fn in_issuer(facts: &GatewayFacts, namespace: &str) -> Option<String> {
    let issuer = facts.issuer.as_ref().filter(|issuer| issuer.namespace.is_none())?;
    issuer.found.as_ref()?.0.allow.as_ref()?;
    let entry = json!({"dnsNames": [facts.host], "namespaces": {"names": [namespace]}});
    let name = ObjectName::new("", &issuer.reference.name);
    let operations = [json!({"op": "add", "path": "/spec/acme/allow/-", "value": entry})];
    Some(patched("clusterissuers.gatecert.dev", &name, None, &operations))
}

/// An entry more in the servers of Istio Gateways that list the name for other namespaces only.
fn on_servers(facts: &GatewayFacts, namespace: &str) -> Option<String> {
    let titles: BTreeSet<_> = facts.doors.iter().flat_map(|door| &door.gateways).collect();
    joined(titles.into_iter().filter_map(|title| {
        let gateway = istio_gateway(facts, title)?;
        let name = name_of(gateway);
        let closed = gateway.spec.servers.iter().enumerate().filter(|(_, server)| {
            let entries: Vec<_> = server.hosts.iter().filter(|entry| is_of_name(facts, entry)).collect();
            !entries.is_empty()
                && !entries.iter().any(|entry| ServerHost::parse(entry).admits(namespace, &name.namespace))
        });
        let entry = format!("{namespace}/{}", facts.host);
        let operations: Vec<_> = closed
            .map(
                |(at, _)| json!({"op": "add", "path": format!("/spec/servers/{at}/hosts/-"), "value": entry}),
            )
            .collect();
        (!operations.is_empty())
            .then(|| patched(ISTIO_GATEWAYS, &name, gateway.metadata.generation, &operations))
    }))
}

/// A Certificate in the namespace of the route that has the name.
fn beside_route(facts: &GatewayFacts) -> Option<String> {
    let home = &facts.doors.iter().flat_map(|door| &door.routes).next()?.name.namespace;
    let secret = facts.secret.as_ref()?;
    // Where it was beside the Certificate, it goes with it.
    let is_beside = facts.namespace.as_ref() == Some(&secret.namespace);
    let place = if is_beside { home } else { &secret.namespace };
    let issuer = facts.issuer.as_ref().filter(|issuer| issuer.namespace.is_none());
    let issuer = issuer.map_or(ISSUER, |issuer| issuer.reference.name.as_str());
    let name = ObjectName::new(home, &secret.name);
    Some(created(&name, &ObjectName::new(place, &secret.name), &facts.host, issuer))
}

/// Shows the Pods that should be asked, and what leads to them.
fn examined(facts: &GatewayFacts, refusal: &Refusal) -> Option<String> {
    let Subject::SilentGateway { gateway, pods: labels } = &refusal.subject else { return None };
    let door = facts.doors.iter().find(|door| door.gateways.contains(gateway));
    let pods = door.into_iter().flat_map(|door| &door.pods);
    let mut commands: Vec<_> = pods.filter_map(|(home, labels)| pods_in(home, labels)).collect();
    commands.extend(door.into_iter().flat_map(|door| &door.services).map(|service| {
        let ObjectName { namespace, name } = service;
        format!("kubectl -n {namespace} get endpointslices -l {SERVICE_NAME}={name}")
    }));
    if commands.is_empty() {
        commands.push(unserved(facts, gateway, labels)?);
    }
    Some(commands.join("\n"))
}

fn pods_in(home: &str, labels: &BTreeMap<String, String>) -> Option<String> {
    let labels = selector(labels)?;
    Some(format!("kubectl -n {home} get pods -l {labels}"))
}

/// Labels as kubectl takes them; nothing where there are none.
fn selector(labels: &BTreeMap<String, String>) -> Option<String> {
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!labels.is_empty()).then(|| quoted(&labels.join(",")))
}

/// Shows what could lead to a gateway that no Service leads to.
fn unserved(
    facts: &GatewayFacts,
    gateway: &GatewayName,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let pods = selector(labels).map(|labels| format!("kubectl get pods --all-namespaces -l {labels}"));
    match gateway {
        GatewayName::Istio(_) => {
            let services = "kubectl get services --all-namespaces -o wide".to_owned();
            joined(pods.into_iter().chain([services]))
        }
        GatewayName::IngressClass(class) => {
            let is_there = facts.ingress_classes.contains(class);
            let class = is_there.then(|| format!("kubectl describe ingressclasses/{class}"));
            let all = "kubectl get ingresses,services --all-namespaces -o wide".to_owned();
            joined(class.into_iter().chain([all]).chain(pods))
        }
        GatewayName::GatewayApi(ObjectName { namespace, name }) => {
            Some(format!("kubectl -n {namespace} describe {API_GATEWAYS} {name}"))
        }
        _ => None,
    }
}

/// Gives the name a server behind the redirect, or takes the redirect away where there is one that refuses the CA.
fn behind_redirect(facts: &GatewayFacts) -> Option<String> {
    let mut titles = facts.doors.iter().flat_map(|door| &door.redirecting);
    let gateway = titles.find_map(|title| istio_gateway(facts, title))?;
    let name = name_of(gateway);
    if facts.doors.iter().any(|door| door.port == 443) {
        let is_it = |server: &Server| {
            server.is_redirecting() && server.hosts.iter().any(|entry| is_of_name(facts, entry))
        };
        let at = gateway.spec.servers.iter().position(is_it)?;
        let path = format!("/spec/servers/{at}/tls/httpsRedirect");
        let command = patched(
            ISTIO_GATEWAYS,
            &name,
            gateway.metadata.generation,
            &[json!({"op": "remove", "path": path})],
        );
        return Some(format!(
            "let the routes redirect what is no challenge before you take it away:\n{command}"
        ));
    }
    let port = plain::free_name("https", gateway.spec.servers.iter().map(|server| &server.port.name));
    let secret = facts.secret.as_ref().map_or("www-tls", |secret| secret.name.as_str());
    let server = json!({
        "port": {"number": 443, "name": port, "protocol": "HTTPS"},
        "hosts": [facts.host],
        "tls": {"mode": "SIMPLE", "credentialName": secret},
    });
    let operation = json!({"op": "add", "path": "/spec/servers/-", "value": server});
    Some(patched(ISTIO_GATEWAYS, &name, gateway.metadata.generation, &[operation]))
}
