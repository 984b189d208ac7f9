//! Gateways of the Gateway API that serve a name.

pub(super) mod explain;

use super::endpoints::{HTTP, given, may_be_gateway, pods};
use super::entitlement::{Served, selects, served_by_others};
use super::host::{Fit, fit, is_address};
use super::others::{name_of, namespace_of, object_name};
use super::place::{Ask, Found, Piece};
use super::{GatewayName, Probe, Refusal, RefusalReason, Subject};
use crate::cluster::Service;
use gatecert_api::ParentReference as Chosen;
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::{
    GROUP, Gateway, HttpRoute, Listener, ListenerSet, ParentReference, RouteNamespaces,
};
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The label of what an implementation makes for a Gateway (GEP-1762).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// What a solver says of Gateways.
pub(super) struct Choice<'a> {
    /// Those that count; `None` is all.
    pub(super) parents: Option<&'a [Chosen]>,
    /// Where to ask, in place of the Pods.
    pub(super) addresses: Option<&'a [String]>,
}

/// The routes for a name on Gateways.
pub(super) fn find(ask: &Ask<'_>, choice: &Choice<'_>) -> Found {
    let mut found = Found::default();
    for gateway in &ask.others.gateways {
        found.extend(Listening::new(ask, choice, gateway).find());
    }
    if found.routes.is_empty() && found.refusals.is_empty() {
        found.refusals.extend(missing(ask, choice));
    }
    found
}

/// Why no Gateway on the Pods of these Services lets the namespace prove the name. `own` is how closely something else
/// of the namespace's has the name there: then only routes that are closer count, since Envoy looks nowhere else.
pub(super) fn refusal_at(ask: &Ask<'_>, services: &[&Service], own: Option<Fit>) -> Option<Refusal> {
    let choice = Choice { parents: None, addresses: None };
    let names: BTreeSet<_> = services.iter().map(|service| object_name(*service)).collect();
    let mut refusals = Vec::new();
    for gateway in &ask.others.gateways {
        let listening = Listening::new(ask, &choice, gateway);
        if !listening.services().iter().any(|service| names.contains(&object_name(*service))) {
            continue;
        }
        for site in listening.sites.iter().filter(|site| site.is_for_challenges()) {
            let served = listening.attached(site).into_iter().map(|one| one.fit).max();
            if own.is_none() || served > own {
                refusals.push(listening.refusal(site)?);
            }
        }
    }
    refusals.into_iter().next()
}

/// Of the parents that a solver names, those that are no help.
fn missing(ask: &Ask<'_>, choice: &Choice<'_>) -> Vec<Refusal> {
    let named = choice.parents.unwrap_or_default().iter().map(|one| {
        let (kind, name) = (kind_of(one.kind.as_deref()), chosen_name(ask, one));
        let is_there = match kind {
            "ListenerSet" => ask.others.listener_sets.iter().any(|set| object_name(*set) == name),
            _ => ask.others.gateways.iter().any(|gateway| object_name(*gateway) == name),
        };
        let what = if is_there {
            format!("has no HTTP listener on port 80 for {}: add one", ask.host)
        } else {
            "does not exist: create it, or name another".to_owned()
        };
        let gateway = match kind {
            "ListenerSet" => GatewayName::ListenerSet(name),
            _ => GatewayName::GatewayApi(name),
        };
        ask.unhelpful(gateway, &what)
    });
    named.collect()
}

fn kind_of(kind: Option<&str>) -> &str {
    kind.unwrap_or("Gateway")
}

fn chosen_name(ask: &Ask<'_>, chosen: &Chosen) -> ObjectName {
    ObjectName::new(chosen.namespace.as_deref().unwrap_or(ask.question.namespace), &chosen.name)
}

/// Whose a listener is.
#[derive(Clone, Copy)]
enum Holder<'a> {
    Gateway(&'a Gateway),
    Set(&'a ListenerSet),
}

impl Holder<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Gateway(_) => "Gateway",
            Self::Set(_) => "ListenerSet",
        }
    }

    fn name(self) -> ObjectName {
        match self {
            Self::Gateway(gateway) => object_name(gateway),
            Self::Set(set) => object_name(set),
        }
    }

    fn gateway_name(self) -> GatewayName {
        match self {
            Self::Gateway(gateway) => GatewayName::GatewayApi(object_name(gateway)),
            Self::Set(set) => GatewayName::ListenerSet(object_name(set)),
        }
    }
}

/// A listener whose host takes the name.
#[derive(Clone, Copy)]
struct Site<'a> {
    holder: Holder<'a>,
    listener: &'a Listener,
    fit: Fit,
}

impl Site<'_> {
    fn is_for_challenges(&self) -> bool {
        self.listener.protocol == "HTTP" && self.listener.port == u32::from(HTTP)
    }

    /// Whether a reference of this kind, object and listener means it.
    fn is_meant(&self, kind: Option<&str>, name: &ObjectName, section: Option<&str>) -> bool {
        kind_of(kind) == self.holder.kind()
            && *name == self.holder.name()
            && section.is_none_or(|section| section == self.listener.name)
    }

    /// Whether it takes HTTPRoutes of a namespace.
    fn admits(&self, ask: &Ask<'_>, namespace: &str) -> bool {
        let Some(allowed) = &self.listener.allowed_routes else {
            return namespace == self.holder.name().namespace;
        };
        let is_kind = allowed.kinds.is_empty() || allowed.kinds.iter().any(|one| one.kind == "HTTPRoute");
        is_kind && takes(allowed.namespaces.as_ref(), "Same", &self.holder.name().namespace, namespace, ask)
    }
}

/// Whether something in the namespace `home` takes objects of another one. `absent` is what is meant without a word.
fn takes(
    namespaces: Option<&RouteNamespaces>,
    absent: &str,
    home: &str,
    namespace: &str,
    ask: &Ask<'_>,
) -> bool {
    match namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or(absent) {
        "All" => true,
        "Same" => namespace == home,
        "Selector" => namespaces
            .and_then(|namespaces| namespaces.selector.as_ref())
            .is_some_and(|labels| selects(labels, namespace, ask.others)),
        _ => false,
    }
}

/// A host of an HTTPRoute that takes the name.
#[derive(Clone, Copy)]
struct Attached<'a> {
    route: &'a HttpRoute,
    pattern: &'a str,
    /// The closer of the route's host and the listener's.
    fit: Fit,
}

/// A Gateway, and its listeners for the name.
struct Listening<'a> {
    ask: &'a Ask<'a>,
    choice: &'a Choice<'a>,
    gateway: &'a Gateway,
    sites: Vec<Site<'a>>,
}

impl<'a> Listening<'a> {
    fn new(ask: &'a Ask<'a>, choice: &'a Choice<'a>, gateway: &'a Gateway) -> Self {
        let own = gateway.spec.listeners.iter().map(|listener| (Holder::Gateway(gateway), listener));
        // A ListenerSet that its Gateway does not take gives nobody anything.
        let allowed = gateway.spec.allowed_listeners.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
        let home = namespace_of(gateway);
        let sets = ask.others.listener_sets.iter().filter(|set| is_of(set, gateway));
        let sets = sets.filter(|set| takes(allowed, "None", home, namespace_of(**set), ask));
        let more =
            sets.flat_map(|set| set.spec.listeners.iter().map(|listener| (Holder::Set(set), listener)));
        let sites =
            own.chain(more).filter(|(_, listener)| matches!(listener.protocol.as_str(), "HTTP" | "HTTPS"));
        let sites = sites.filter_map(|(holder, listener)| {
            let fit = fit(listener.hostname.as_deref().unwrap_or("*"), ask.host)?;
            Some(Site { holder, listener, fit })
        });
        Self { ask, choice, gateway, sites: sites.collect() }
    }

    fn find(&self) -> Found {
        let mut found = Found::default();
        for site in self.sites.iter().filter(|site| site.is_for_challenges() && self.is_chosen(site)) {
            let Some(pattern) = self.pattern(site) else { continue };
            match self.route(site, pattern) {
                Ok(route) => found.routes.push(route),
                Err(refusal) => found.refusals.push(refusal),
            }
        }
        if found.routes.is_empty() {
            return found;
        }
        let gateway = GatewayName::GatewayApi(object_name(self.gateway));
        match self.addresses() {
            Ok(addresses) => {
                let host = self.ask.host.to_owned();
                found.probes.push(Probe { host, gateway, addresses, is_tls: false });
                found
            }
            Err(why) => {
                // What its implementation has made for it is known by nothing that all implementations have.
                Found::refused(self.ask.silent(gateway, BTreeMap::new(), &why))
            }
        }
    }

    fn is_chosen(&self, site: &Site<'_>) -> bool {
        let Some(parents) = self.choice.parents else { return true };
        parents.iter().any(|one| {
            let name = chosen_name(self.ask, one);
            site.is_meant(one.kind.as_deref(), &name, one.section_name.as_deref())
                || self.is_instead(site, one.kind.as_deref(), &name)
        })
    }

    /// Whether the listener stands in for a ListenerSet that has none for HTTP of its own.
    fn is_instead(&self, site: &Site<'_>, kind: Option<&str>, name: &ObjectName) -> bool {
        let mut own = self.sites.iter().filter(|one| one.is_meant(kind, name, None)).peekable();
        matches!(site.holder, Holder::Gateway(_))
            && kind_of(kind) == "ListenerSet"
            && own.peek().is_some()
            && !own.any(Site::is_for_challenges)
    }

    /// The host to copy onto a listener. `None` where it would be closer than what serves the name on the Gateway's
    /// other listeners, and hide that: not every implementation keeps listeners apart.
    fn pattern(&self, site: &Site<'a>) -> Option<String> {
        let doors = || self.sites.iter().filter(|one| one.is_for_challenges());
        let Some(served) = doors().flat_map(|one| self.attached(one)).max_by_key(|one| one.fit) else {
            // An address is no hostname for a route.
            return Some(if is_address(self.ask.host) { "*" } else { self.ask.host }.to_owned());
        };
        let own = self.attached(site).into_iter().max_by_key(|one| one.fit);
        let pattern = own.map_or(served.pattern, |own| own.pattern);
        let is_harmless = fit(pattern, self.ask.host)?.max(site.fit) == served.fit;
        is_harmless.then(|| pattern.to_owned())
    }

    /// The routes that a listener has for the name.
    fn attached(&self, site: &Site<'a>) -> Vec<Attached<'a>> {
        let routes = self.ask.others.http_routes.iter().filter(|route| self.is_attached(route, site));
        let all = routes.flat_map(|route| {
            let inherited = site.listener.hostname.as_deref().unwrap_or("*");
            let hostnames = route.spec.hostnames.iter().map(String::as_str);
            let inherited = route.spec.hostnames.is_empty().then_some(inherited);
            hostnames.chain(inherited).filter_map(|pattern| {
                let fit = fit(pattern, self.ask.host)?.max(site.fit);
                Some(Attached { route, pattern, fit })
            })
        });
        all.collect()
    }

    fn is_attached(&self, route: &HttpRoute, site: &Site<'_>) -> bool {
        let own = namespace_of(route);
        let is_meaning = |parent: &ParentReference| {
            let name = ObjectName::new(parent.namespace.as_deref().unwrap_or(own), &parent.name);
            parent.group.as_deref().is_none_or(|group| group == GROUP)
                && site.is_meant(parent.kind.as_deref(), &name, parent.section_name.as_deref())
        };
        route.spec.parent_refs.iter().any(is_meaning) && site.admits(self.ask, own)
    }

    /// The route, beside the Gateway where the listener takes it from there.
    fn route(&self, site: &Site<'a>, pattern: String) -> Result<Piece, Refusal> {
        if let Some(refusal) = self.refusal(site) {
            return Err(refusal);
        }
        let candidates = [namespace_of(self.gateway), self.ask.question.namespace];
        let namespace = candidates.into_iter().find(|one| site.admits(self.ask, one));
        let namespace = namespace.ok_or_else(|| self.not_admitted(site))?;
        let (name, is_set) = (site.holder.name(), matches!(site.holder, Holder::Set(_)));
        let parent = ParentReference {
            group: is_set.then(|| GROUP.to_owned()),
            kind: is_set.then(|| site.holder.kind().to_owned()),
            namespace: (name.namespace != namespace).then_some(name.namespace),
            name: name.name,
            section_name: Some(site.listener.name.clone()),
        };
        Ok(Piece::HttpRoute { namespace: namespace.to_owned(), parent, pattern })
    }

    /// Why the Certificate's namespace may not prove the name here.
    fn refusal(&self, site: &Site<'a>) -> Option<Refusal> {
        let namespace = self.ask.question.namespace;
        let is_home = namespace == namespace_of(self.gateway);
        if !is_home && !site.admits(self.ask, namespace) && !self.has_listener(namespace) {
            return Some(self.not_admitted(site));
        }
        let home = site.holder.name().namespace;
        served_by_others(self.ask, &site.holder.gateway_name(), Some(&home), &self.served())
    }

    fn not_admitted(&self, site: &Site<'_>) -> Refusal {
        let namespace = self.ask.question.namespace;
        let (holder, name) = (site.holder.gateway_name(), site.listener.name.clone());
        let message = format!(
            "listener {name} of {holder}, which serves {}, takes no HTTPRoutes of namespace {namespace}: allow it \
             in allowedRoutes.namespaces, or put the Certificate in a namespace that is allowed",
            self.ask.host
        );
        let subject = Subject::Listener { holder, name };
        Refusal { subject, ..self.ask.refusal(RefusalReason::NotAllowed, message) }
    }

    /// Whether a namespace has a listener of its own for the name, by a ListenerSet.
    fn has_listener(&self, namespace: &str) -> bool {
        self.sites.iter().any(|site| {
            matches!(site.holder, Holder::Set(set) if namespace_of(set) == namespace)
                && site.listener.hostname.is_some()
        })
    }

    /// The HTTPRoutes that take the name on the Gateway, on whatever listener. Where plain requests are all redirected
    /// by one route, this tells whose the name is.
    fn served(&self) -> Served {
        let all: Vec<_> = self.sites.iter().flat_map(|site| self.attached(site)).collect();
        let closest = all.iter().map(|one| one.fit).max();
        let routes = all.iter().filter(|one| Some(one.fit) == closest).map(|one| object_name(one.route));
        Served { kind: "HTTPRoute", routes: routes.collect() }
    }

    fn addresses(&self) -> Result<BTreeSet<SocketAddr>, String> {
        if let Some(addresses) = self.choice.addresses {
            return given(addresses, HTTP);
        }
        let services = self.services();
        if !services.is_empty() {
            return pods(self.ask.others.cluster, &services, HTTP, HTTP.into())
                .map_err(|why| format!("there is {why}: mend that, or name addresses in the solver"));
        }
        let status = self.gateway.status.iter().flat_map(|status| &status.addresses);
        let numeric = status.filter(|one| one.type_.as_deref().is_none_or(|type_| type_ == "IPAddress"));
        let addresses = numeric.filter_map(|one| one.value.parse::<IpAddr>().ok());
        let addresses = addresses.filter(may_be_gateway);
        let addresses: BTreeSet<_> = addresses.map(|address| SocketAddr::new(address, HTTP)).collect();
        if addresses.is_empty() {
            return Err(
                "it has neither a Service nor an IP address in its status: wait for its controller, or \
                        name addresses in the solver"
                    .to_owned(),
            );
        }
        Ok(addresses)
    }

    /// The Services in front of its Pods: those that it names itself, and those that were made for it.
    fn services(&self) -> Vec<&'a Service> {
        let home = namespace_of(self.gateway);
        let hostnames = self.gateway.spec.addresses.iter();
        let hostnames = hostnames.filter(|one| one.type_.as_deref() == Some("Hostname"));
        let named: Vec<_> = hostnames.map(|one| service_name(&one.value, home)).collect();
        let is_made = |service: &Service| {
            namespace_of(service) == home
                && service.labels().get(GATEWAY_NAME).is_some_and(|name| name == name_of(self.gateway))
        };
        let services = self.ask.others.cluster.services.iter().map(AsRef::as_ref);
        services.filter(|service| named.contains(&object_name(*service)) || is_made(service)).collect()
    }
}

/// The Service of a name in the cluster's DNS: `name`, `name.namespace` or `name.namespace.svc…`.
fn service_name(hostname: &str, home: &str) -> ObjectName {
    let mut labels = hostname.split('.');
    let name = labels.next().unwrap_or_default();
    ObjectName::new(labels.next().unwrap_or(home), name)
}

/// Whether a ListenerSet is for the Gateway.
fn is_of(set: &ListenerSet, gateway: &Gateway) -> bool {
    let parent = &set.spec.parent_ref;
    parent.group.as_deref().is_none_or(|group| group == GROUP)
        && kind_of(parent.kind.as_deref()) == "Gateway"
        && parent.name == name_of(gateway)
        && parent.namespace.as_deref().unwrap_or_else(|| namespace_of(set)) == namespace_of(gateway)
}

#[cfg(test)]
mod tests;
