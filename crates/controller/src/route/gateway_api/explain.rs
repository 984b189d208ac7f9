//! What takes a name on Gateways of the Gateway API.

use super::super::explain::{Door, TakenRoute};
use super::*;

/// The port that HTTPS is on.
const HTTPS: u16 = 443;

/// The ports of Gateways that have a listener for the name.
pub(in super::super) fn doors(ask: &Ask<'_>) -> Vec<Door> {
    let choice = Choice { parents: None, addresses: None };
    let listening = ask.others.gateways.iter().map(|gateway| Listening::new(ask, &choice, gateway));
    listening.flat_map(|one| [one.door(HTTP, "HTTP"), one.door(HTTPS, "HTTPS")]).flatten().collect()
}

impl Listening<'_> {
    fn door(&self, port: u16, protocol: &str) -> Option<Door> {
        let is_here =
            |site: &&Site<'_>| site.listener.port == u32::from(port) && site.listener.protocol == protocol;
        let sites: Vec<_> = self.sites.iter().filter(is_here).collect();
        let closest = sites.iter().max_by_key(|site| site.fit)?;
        let mut all: Vec<_> = sites.iter().flat_map(|site| self.attached(site)).collect();
        all.sort_by_key(|one| one.route.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let best = all.iter().map(|one| one.fit).max();
        let (taken, hidden): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| Some(one.fit) == best);
        let services = self.services();
        let of_status = self.gateway.status.iter().flat_map(|status| &status.addresses);
        Some(Door {
            gateways: vec![GatewayName::GatewayApi(object_name(self.gateway))],
            port,
            host: closest.listener.hostname.clone().unwrap_or_else(|| "*".to_owned()),
            redirecting: Vec::new(),
            routes: routes(taken),
            hidden: routes(hidden),
            secrets: sites.iter().flat_map(|site| secrets(site)).collect(),
            pods: services
                .iter()
                .map(|service| (namespace_of(*service).to_owned(), service.spec.selector.clone()))
                .collect(),
            services: services.iter().map(|service| object_name(*service)).collect(),
            addresses: of_status.map(|address| address.value.clone()).collect(),
        })
    }
}

fn routes(all: Vec<Attached<'_>>) -> Vec<TakenRoute> {
    let mut routes = Vec::new();
    for one in all {
        let route = TakenRoute {
            kind: "HTTPRoute",
            name: object_name(one.route),
            host: one.pattern.to_owned(),
            // A path that is matched exactly comes before any other.
            is_before_challenges: false,
        };
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    routes
}

fn secrets(site: &Site<'_>) -> Vec<(String, ObjectName)> {
    let name = site.holder.name();
    let title = site.holder.gateway_name().to_string();
    let references = site.listener.tls.iter().flat_map(|tls| &tls.certificate_refs);
    let secrets = references.filter(|one| one.kind.as_deref().is_none_or(|kind| kind == "Secret"));
    let secrets =
        secrets.map(|one| ObjectName::new(one.namespace.as_deref().unwrap_or(&name.namespace), &one.name));
    secrets.map(|secret| (title.clone(), secret)).collect()
}
