//! Istio Gateways that serve a name.

mod binding;
pub(super) mod explain;

use super::endpoints::{HTTP, HTTPS, is_reached, pods, services_of};
use super::entitlement::{Served, served_by_others};
use super::host::{Fit, ServerHost, fit, is_address, most_specific};
use super::others::{Others, namespace_of, object_name};
use super::place::{Ask, Found, Piece};
use super::{BypassPlace, GatewayName, Probe, Refusal, RefusalReason, endpoints};
use crate::cluster::Service;
use binding::{admitted, is_bound};
use gatecert_api::GatewayReference;
use gatecert_render::istio::{Gateway, Server, ServerTls, VirtualService};
use gatecert_render::{Answer, ObjectName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What a solver says of Istio Gateways.
pub(super) struct Choice<'a> {
    /// Those that count; `None` is all.
    pub(super) gateways: Option<&'a [GatewayReference]>,
    /// Who answers.
    pub(super) answer: Answer,
    /// Where to ask, in place of the Pods.
    pub(super) addresses: Option<&'a [String]>,
    /// The namespaces of the Envoys, in place of those of the Services.
    pub(super) export_to: Option<&'a [String]>,
}

/// The routes for a name on Istio Gateways.
pub(super) fn find(ask: &Ask<'_>, choice: &Choice<'_>) -> Found {
    let mut found = Found::default();
    for (selector, gateways) in by_selector(ask.others) {
        found.extend(Workload::new(ask, choice, selector, gateways).find());
    }
    if found.routes.is_empty() && found.refusals.is_empty() {
        found.refusals.extend(missing(ask, choice));
    }
    found
}

/// Why no Gateway on the Pods of these Services lets the namespace prove the name. `own` is how closely something else
/// of the namespace's has the name there: then only routes that are closer count, since Envoy looks nowhere else.
pub(super) fn refusal_at(ask: &Ask<'_>, services: &[&Service], own: Option<Fit>) -> Option<Refusal> {
    let choice = Choice { gateways: None, answer: Answer::Direct, addresses: None, export_to: None };
    let names: BTreeSet<_> = services.iter().map(|service| object_name(*service)).collect();
    let mut refusals = Vec::new();
    for (selector, gateways) in by_selector(ask.others) {
        let workload = Workload::new(ask, &choice, selector, gateways);
        if !workload.services.iter().any(|service| names.contains(&object_name(*service))) {
            continue;
        }
        let mut listed = workload.listed(HTTP, Server::is_http);
        listed.retain(|one| own.is_none() || workload.routed(one).map(|routed| routed.fit) > own);
        for one in &listed {
            refusals.push(workload.refusal(one)?);
        }
    }
    refusals.into_iter().next()
}

/// Of the Gateways that a solver names, those that are no help.
fn missing(ask: &Ask<'_>, choice: &Choice<'_>) -> Vec<Refusal> {
    let named = choice.gateways.unwrap_or_default().iter().map(|one| {
        let name = name_of_reference(ask, one);
        let is_there = ask.others.istio_gateways.iter().any(|gateway| object_name(*gateway) == name);
        let what = if is_there {
            format!("has no HTTP server on port 80 that lists {}: add it there", ask.host)
        } else {
            "does not exist: create it, or name another".to_owned()
        };
        ask.unhelpful(GatewayName::Istio(name), &what)
    });
    named.collect()
}

fn name_of_reference(ask: &Ask<'_>, reference: &GatewayReference) -> ObjectName {
    let namespace = reference.namespace.as_deref().unwrap_or(ask.question.namespace);
    ObjectName::new(namespace, &reference.name)
}

/// Gateways by selector. Those with one selector are one set of Envoys: their servers on a port are merged.
fn by_selector<'a>(others: &Others<'a>) -> BTreeMap<&'a BTreeMap<String, String>, Vec<&'a Gateway>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for gateway in &others.istio_gateways {
        all.entry(&gateway.spec.selector).or_default().push(*gateway);
    }
    all
}

/// The Envoys that a selector stands for, and what they serve.
struct Workload<'a> {
    ask: &'a Ask<'a>,
    choice: &'a Choice<'a>,
    selector: &'a BTreeMap<String, String>,
    gateways: Vec<&'a Gateway>,
    services: Vec<&'a Service>,
    /// The namespaces of the Envoys; `*` where they are not known.
    envoys: BTreeSet<String>,
}

/// A server that lists the name.
#[derive(Clone, Copy)]
struct Listed<'a> {
    gateway: &'a Gateway,
    server: &'a Server,
    /// By how close an entry.
    fit: Fit,
}

/// A host of a VirtualService that takes the name.
#[derive(Clone, Copy)]
struct Routed<'a> {
    virtual_service: &'a VirtualService,
    pattern: &'a str,
    /// What the host and the server's have in common is what Envoy has: the closer of both.
    fit: Fit,
}

impl<'a> Workload<'a> {
    fn new(
        ask: &'a Ask<'a>,
        choice: &'a Choice<'a>,
        selector: &'a BTreeMap<String, String>,
        gateways: Vec<&'a Gateway>,
    ) -> Self {
        let services = services_of(ask.others.cluster, selector);
        let seen: BTreeSet<_> = services.iter().map(|service| namespace_of(*service).to_owned()).collect();
        let named = || choice.export_to.map(|named| named.iter().cloned().collect());
        // Whose a name is does not hang on what an issuer says, where the Envoys can be seen.
        let envoys = match seen.is_empty() {
            true => named().unwrap_or_else(|| ["*".to_owned()].into()),
            false => seen,
        };
        Self { ask, choice, selector, gateways, services, envoys }
    }

    fn find(&self) -> Found {
        let listed = self.listed(HTTP, Server::is_http);
        if !listed.iter().any(|one| self.is_chosen(one.gateway)) {
            return Found::default();
        }
        let (redirecting, plain): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|one| one.server.is_redirecting());
        let served = plain.iter().filter_map(|one| Some(self.routed(one)?.fit)).max();
        // A redirecting server has a virtual host for each host that it lists, and one for each that is routed on it.
        let redirected = redirecting
            .iter()
            .flat_map(|one| [Some(one.fit), self.routed(one).map(|routed| routed.fit)])
            .max();
        match redirected.flatten() {
            None => self.plain(&plain, served),
            Some(redirected) if served > Some(redirected) => self.plain(&plain, served),
            // An address can not be a host of a Gateway, so it is never closer than the server that redirects it.
            Some(Fit::Exact) => self.https(&redirecting),
            Some(_) if is_address(self.ask.host) => self.https(&redirecting),
            Some(_) => self.bypass(&redirecting),
        }
    }

    /// The servers on a port that list the name.
    fn listed(&self, public: u16, is_wanted: fn(&Server) -> bool) -> Vec<Listed<'a>> {
        let is_here = |one: &Listed<'_>| {
            is_wanted(one.server)
                && is_reached(self.ask.others.cluster, &self.services, public, one.server.port.number)
        };
        self.gateways.iter().flat_map(|gateway| self.servers(gateway)).filter(is_here).collect()
    }

    fn is_chosen(&self, gateway: &Gateway) -> bool {
        let name = object_name(gateway);
        self.choice.gateways.is_none_or(|all| all.iter().any(|one| name_of_reference(self.ask, one) == name))
    }

    /// What takes the name on a server now.
    fn routed(&self, listed: &Listed<'a>) -> Option<Routed<'a>> {
        self.all_routed(listed).max_by_key(|routed| (routed.fit, fit(routed.pattern, self.ask.host)))
    }

    fn all_routed(&self, listed: &Listed<'a>) -> impl Iterator<Item = Routed<'a>> {
        let (host, listed) = (self.ask.host, *listed);
        let bound = self
            .ask
            .others
            .virtual_services
            .iter()
            .filter(move |one| is_bound(one, listed.gateway, &self.envoys));
        bound.flat_map(move |virtual_service| {
            let home = namespace_of(listed.gateway);
            let admitted = admitted(listed.server, home, namespace_of(*virtual_service), host);
            virtual_service.spec.hosts.iter().filter_map(move |pattern| {
                let fit = fit(pattern, host)?.max(admitted?);
                Some(Routed { virtual_service, pattern, fit })
            })
        })
    }

    /// The host to copy onto a Gateway. `None` where it would be closer than what serves the name on these Envoys now,
    /// and hide that.
    fn pattern(&self, listed: &Listed<'a>, served: Option<Fit>) -> Option<String> {
        let host = self.ask.host;
        let own = self.servers(listed.gateway).filter_map(|one| self.routed(&one));
        let own = own.filter_map(|routed| Some((fit(routed.pattern, host)?, routed.pattern))).max();
        let elsewhere = || {
            let all = self.gateways.iter().flat_map(|gateway| self.servers(gateway));
            let same = all.filter_map(|one| self.routed(&one)).find(|routed| Some(routed.fit) == served)?;
            Some((fit(same.pattern, host)?, same.pattern))
        };
        let (closeness, pattern) = own.or_else(elsewhere).unwrap_or((Fit::Exact, host));
        let is_harmless = served.is_none_or(|served| closeness.max(listed.fit) == served);
        is_harmless.then(|| pattern.to_owned())
    }

    /// All servers of a Gateway that list the name, on whatever port.
    fn servers(&self, gateway: &'a Gateway) -> impl Iterator<Item = Listed<'a>> {
        gateway.spec.servers.iter().filter_map(move |server| {
            let hosts = server.hosts.iter().map(|entry| ServerHost::parse(entry).host);
            let (fit, _) = most_specific(hosts, self.ask.host)?;
            Some(Listed { gateway, server, fit })
        })
    }

    /// By VirtualServices on the servers for HTTP.
    fn plain(&self, servers: &[Listed<'a>], served: Option<Fit>) -> Found {
        let mut found = Found::default();
        let mut used = Vec::new();
        for one in servers.iter().filter(|one| self.is_chosen(one.gateway)) {
            let Some(pattern) = self.pattern(one, served) else { continue };
            match self.refusal(one) {
                Some(refusal) => found.refusals.push(refusal),
                None => {
                    found.routes.push(self.route(one, pattern));
                    used.push(*one);
                }
            }
        }
        self.with_probe(found, &used, HTTP)
    }

    /// By VirtualServices on the servers for HTTPS, where the CA comes behind the redirect.
    fn https(&self, redirecting: &[Listed<'a>]) -> Found {
        let servers = self.listed(HTTPS, Server::is_https);
        // The server is chosen by the name in the TLS handshake, again the closest only.
        let Some(closest) = servers.iter().map(|one| one.fit).max() else {
            return redirecting
                .first()
                .map(|one| Found::refused(self.without_https(one)))
                .unwrap_or_default();
        };
        let servers: Vec<_> = servers.into_iter().filter(|one| one.fit == closest).collect();
        if let Some(one) = servers.iter().find(|one| is_asking_for_certificates(one.server)) {
            return Found::refused(self.with_client_certificates(one));
        }
        let mut found = Found::default();
        let mut used = Vec::new();
        for one in &servers {
            // Each server for HTTPS has routes of its own, so that none can hide those of another.
            let pattern = self.pattern(one, None).unwrap_or_else(|| self.ask.host.to_owned());
            match self.refusal(one) {
                Some(refusal) => found.refusals.push(refusal),
                None => {
                    found.routes.push(self.route(one, pattern));
                    found.placeholders.extend(self.placeholder(one));
                    used.push(*one);
                }
            }
        }
        self.with_probe(found, &used, HTTPS)
    }

    /// By a Gateway of our own, beside the one that redirects.
    fn bypass(&self, redirecting: &[Listed<'a>]) -> Found {
        let mut found = Found::default();
        for one in redirecting.iter().filter(|one| self.is_chosen(one.gateway)) {
            if let Some(refusal) = self.refusal(one) {
                found.refusals.push(refusal);
                continue;
            }
            found.routes.push(Piece::Bypass(BypassPlace {
                namespace: namespace_of(one.gateway).to_owned(),
                export_to: self.namespaces(),
                selector: self.selector.clone(),
                port: one.server.port.clone(),
                host: self.ask.host.to_owned(),
                answer: self.choice.answer.clone(),
            }));
            return self.with_probe(found, &[*one], HTTP);
        }
        found
    }

    fn route(&self, listed: &Listed<'_>, pattern: String) -> Piece {
        let gateway = object_name(listed.gateway);
        let export_to = self.namespaces();
        Piece::VirtualService { gateway, export_to, pattern, answer: self.choice.answer.clone() }
    }

    /// The namespaces of the Envoys, which are those of their Services; all, where none is seen.
    fn namespaces(&self) -> BTreeSet<String> {
        if let Some(named) = self.choice.export_to {
            return named.iter().cloned().collect();
        }
        self.envoys.clone()
    }

    /// Why the Certificate's namespace may not prove the name here.
    fn refusal(&self, listed: &Listed<'a>) -> Option<Refusal> {
        let (ask, home) = (self.ask, namespace_of(listed.gateway));
        let namespace = ask.question.namespace;
        let gateway = named(listed.gateway);
        if admitted(listed.server, home, namespace, ask.host).is_none() {
            let entries = listed.server.hosts.iter().filter(|one| fits(one, ask.host));
            let entries: Vec<_> = entries.map(String::as_str).collect();
            return Some(ask.refusal(
                RefusalReason::NotAllowed,
                format!(
                    "{gateway} lists {} for other namespaces than {namespace}, as {}: add {namespace}/{} there, or \
                     put the Certificate in a namespace that it is for",
                    ask.host,
                    entries.join(", "),
                    ask.host
                ),
            ));
        }
        served_by_others(ask, &gateway, Some(home), &self.served(home))
    }

    /// The VirtualServices that take the name on the Gateways of a namespace, on whatever port: where plain requests are
    /// all redirected by one VirtualService, those for HTTPS tell whose the name is. What is bound to Gateways of other
    /// namespaces tells nothing, since any tenant may have some.
    fn served(&self, home: &str) -> Served {
        let gateways = self.gateways.iter().filter(|gateway| namespace_of(**gateway) == home);
        let all = gateways.flat_map(|gateway| self.servers(gateway));
        let all: Vec<_> = all.flat_map(|one| self.all_routed(&one).collect::<Vec<_>>()).collect();
        let closest = all.iter().map(|one| one.fit).max();
        let routes = all.iter().filter(|one| Some(one.fit) == closest);
        let routes = routes.map(|one| object_name(one.virtual_service)).collect();
        Served { kind: "VirtualService", routes }
    }

    /// The Secret that the server waits for, if it is the Certificate's.
    fn placeholder(&self, listed: &Listed<'_>) -> Option<ObjectName> {
        let secret = self.ask.question.secret;
        let mut credentials = listed.server.tls.iter().flat_map(ServerTls::credentials);
        let namespaces = self.namespaces();
        let is_read_there = namespaces.contains(&secret.namespace) || namespaces.contains("*");
        (is_read_there && credentials.any(|one| one == secret.name)).then(|| secret.clone())
    }

    fn without_https(&self, listed: &Listed<'_>) -> Refusal {
        self.ask.refusal(
            RefusalReason::RedirectWithoutHttps,
            format!(
                "{} redirects {} to HTTPS (tls.httpsRedirect), and no Gateway with the selector {} has an HTTPS \
                 server on port 443 for it: add one, or take the redirect away",
                named(listed.gateway),
                self.ask.host,
                self.labels()
            ),
        )
    }

    fn with_client_certificates(&self, listed: &Listed<'_>) -> Refusal {
        self.ask.refusal(
            RefusalReason::RedirectWithoutHttps,
            format!(
                "{} is redirected to HTTPS (tls.httpsRedirect), where {} demands a certificate of clients (tls.mode \
                 MUTUAL), which the CA has none of: take the redirect away, or use OPTIONAL_MUTUAL",
                self.ask.host,
                named(listed.gateway)
            ),
        )
    }

    /// What was found, if the Pods can be asked.
    fn with_probe(&self, mut found: Found, used: &[Listed<'_>], public: u16) -> Found {
        let Some(gateway) = used.iter().map(|one| named(one.gateway)).min() else { return found };
        match self.addresses(used, public) {
            Ok(addresses) => {
                let host = self.ask.host.to_owned();
                found.probes.push(Probe { host, gateway, addresses, is_tls: public == HTTPS });
                found
            }
            Err(why) => Found::refused(self.ask.silent(gateway, self.selector.clone(), &why)),
        }
    }

    fn addresses(&self, used: &[Listed<'_>], public: u16) -> Result<BTreeSet<SocketAddr>, String> {
        if let Some(addresses) = self.choice.addresses {
            return endpoints::given(addresses, public);
        }
        let numbers: BTreeSet<_> = used.iter().map(|one| one.server.port.number).collect();
        let each = numbers.iter().map(|number| {
            pods(self.ask.others.cluster, &self.services, public, *number).map_err(|why| self.hint(&why))
        });
        each.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
    }

    fn hint(&self, why: &str) -> String {
        if self.selector.is_empty() {
            return "it has no selector, so that it is for every Pod of the mesh: give it one, or name addresses in \
                    the solver"
                .to_owned();
        }
        format!(
            "there is {why}, by its selector {}: mend that, or name addresses in the solver",
            self.labels()
        )
    }

    fn labels(&self) -> String {
        let labels: Vec<_> = self.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.join(",")
    }
}

fn named(gateway: &Gateway) -> GatewayName {
    GatewayName::Istio(object_name(gateway))
}

fn is_asking_for_certificates(server: &Server) -> bool {
    server.tls.as_ref().and_then(|tls| tls.mode.as_deref()) == Some("MUTUAL")
}

fn fits(entry: &str, host: &str) -> bool {
    fit(ServerHost::parse(entry).host, host).is_some()
}

#[cfg(test)]
mod tests;
