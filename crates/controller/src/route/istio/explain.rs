//! What takes a name on Istio Gateways.

use super::super::explain::{Door, TakenRoute};
use super::*;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The ports of the Envoys that list the name.
pub(in super::super) fn doors(ask: &Ask<'_>) -> Vec<Door> {
    let choice = Choice { gateways: None, answer: Answer::Direct, addresses: None, export_to: None };
    let mut doors = Vec::new();
    for (selector, gateways) in by_selector(ask.others) {
        let workload = Workload::new(ask, &choice, selector, gateways);
        doors.extend(workload.door(HTTP, Server::is_http));
        doors.extend(workload.door(HTTPS, Server::is_https));
    }
    doors
}

impl Workload<'_> {
    fn door(&self, port: u16, is_wanted: fn(&Server) -> bool) -> Option<Door> {
        let mut listed = self.listed(port, is_wanted);
        listed.sort_by_key(|one| age(&one.gateway.metadata));
        if port == HTTPS {
            // The server is chosen by the name in the TLS handshake, and only its own routes are asked.
            let closest = listed.iter().map(|one| one.fit).max();
            listed.retain(|one| Some(one.fit) == closest);
        }
        let closest = listed.iter().max_by_key(|one| one.fit)?;
        let (routes, hidden) = self.taken(&listed);
        let redirecting = listed.iter().filter(|one| one.server.is_redirecting());
        Some(Door {
            gateways: names(listed.iter()),
            port,
            host: entry(closest, self.ask.host),
            redirecting: names(redirecting),
            routes,
            hidden,
            secrets: listed.iter().flat_map(|one| self.secrets(one)).collect(),
            pods: self.pods(),
            services: self.services.iter().map(|service| object_name(*service)).collect(),
            addresses: BTreeSet::new(),
        })
    }

    /// The routes that Envoy asks, and those that it does not.
    fn taken(&self, listed: &[Listed<'_>]) -> (Vec<TakenRoute>, Vec<TakenRoute>) {
        let mut all = Vec::new();
        for one in listed {
            let mut routed: Vec<_> = self.all_routed(one).collect();
            routed.sort_by_key(|routed| {
                (exposure(routed.virtual_service), age(&routed.virtual_service.metadata))
            });
            all.extend(routed);
        }
        let closest = all.iter().map(|routed| routed.fit).max();
        let (mut routes, mut hidden) = (Vec::new(), Vec::new());
        for routed in all {
            let route = TakenRoute {
                kind: "VirtualService",
                name: object_name(routed.virtual_service),
                host: routed.pattern.to_owned(),
                is_before_challenges: exposure(routed.virtual_service) != Exposure::Public,
            };
            let list = if Some(routed.fit) == closest { &mut routes } else { &mut hidden };
            if !list.contains(&route) {
                list.push(route);
            }
        }
        (routes, hidden)
    }

    fn secrets(&self, listed: &Listed<'_>) -> Vec<(String, ObjectName)> {
        let names = listed.server.tls.iter().flat_map(ServerTls::credentials);
        let known = self.envoys.iter().filter(|namespace| *namespace != "*");
        let known: Vec<_> = known.collect();
        let each = names.flat_map(|name| {
            known
                .iter()
                .map(move |namespace| (named(listed.gateway).to_string(), ObjectName::new(*namespace, name)))
        });
        each.collect()
    }

    fn pods(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let known = self.envoys.iter().filter(|namespace| *namespace != "*");
        known.map(|namespace| (namespace.clone(), self.selector.clone())).collect()
    }
}

/// Who sees a VirtualService: istiod gives Envoy those first that few see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exposure {
    Private,
    Exported,
    Public,
}

fn exposure(virtual_service: &VirtualService) -> Exposure {
    let to = &virtual_service.spec.export_to;
    match () {
        () if to.is_empty() || to.iter().any(|one| one == "*") => Exposure::Public,
        () if to.iter().any(|one| one == ".") => Exposure::Private,
        () => Exposure::Exported,
    }
}

/// The oldest first; of one second by name.
fn age(metadata: &ObjectMeta) -> (Option<Timestamp>, Option<String>, Option<String>) {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, metadata.name.clone(), metadata.namespace.clone())
}

fn names<'a>(listed: impl Iterator<Item = &'a Listed<'a>>) -> Vec<GatewayName> {
    let mut names = Vec::new();
    for one in listed.map(|one| named(one.gateway)) {
        if !names.contains(&one) {
            names.push(one);
        }
    }
    names
}

fn entry(listed: &Listed<'_>, host: &str) -> String {
    let hosts = listed.server.hosts.iter().map(|entry| ServerHost::parse(entry).host);
    most_specific(hosts, host).map(|(_, entry)| entry.to_owned()).unwrap_or_default()
}
