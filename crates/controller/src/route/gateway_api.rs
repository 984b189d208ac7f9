//! Gateways of the Gateway API that serve a name.

use super::endpoints::{HTTP, given, pods};
use super::entitlement::{Served, selects, served_by_others};
use super::host::{Fit, fit, is_address};
use super::others::{name_of, namespace_of, object_name};
use super::place::{Ask, Found, Piece};
use super::{Probe, Refusal, RefusalReason};
use crate::cluster::Service;
use gatecert_api::ParentReference as Chosen;
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::{
    GROUP, Gateway, HttpRoute, Listener, ListenerSet, ParentReference, RouteNamespaces,
};
use kube::ResourceExt as _;
use std::collections::BTreeSet;
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
        ask.refusal(RefusalReason::NoGateway, format!("{kind} {name}, which the solver names, {what}"))
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
        let gateway = format!("Gateway {}", object_name(self.gateway));
        match self.addresses() {
            Ok(addresses) => {
                let host = self.ask.host.to_owned();
                found.probes.push(Probe { host, gateway, addresses, is_tls: false });
                found
            }
            Err(why) => {
                let message = format!("{gateway} can not be asked: {why}");
                Found::refused(self.ask.refusal(RefusalReason::GatewayNotReady, message))
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
        let name = site.holder.name();
        let title = format!("{} {name}", site.holder.kind());
        served_by_others(self.ask, &title, Some(&name.namespace), &self.served())
    }

    fn not_admitted(&self, site: &Site<'_>) -> Refusal {
        let namespace = self.ask.question.namespace;
        let message = format!(
            "listener {} of {} {}, which serves {}, takes no HTTPRoutes of namespace {namespace}: allow it in \
             allowedRoutes.namespaces, or put the Certificate in a namespace that is allowed",
            site.listener.name,
            site.holder.kind(),
            site.holder.name(),
            self.ask.host
        );
        self.ask.refusal(RefusalReason::NotAllowed, message)
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
mod tests {
    use super::super::RefusalReason::{GatewayNotReady, NoGateway, NotAllowed};
    use super::super::fixture::{Asking, asking, cluster};

    const HOST: [&str; 1] = ["foo.example.test"];

    fn gateway(listeners: &str) -> String {
        format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{namespace: infra, name: edge}}
spec: {{gatewayClassName: istio, allowedListeners: {{namespaces: {{from: All}}}}, listeners: [{listeners}]}}
status: {{addresses: [{{type: IPAddress, value: 192.0.2.1}}, {{type: Hostname, value: lb.test}}]}}
---
"
        )
    }

    fn http(name: &str, hostname: &str, from: &str) -> String {
        let hostname = if hostname.is_empty() { String::new() } else { format!("hostname: '{hostname}', ") };
        format!("{{name: {name}, {hostname}port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {from}}}}}")
    }

    fn route(name: &str, parent: &str, hostnames: &str) -> String {
        let (namespace, name) = name.split_once('/').unwrap();
        format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{namespace: {namespace}, name: {name}}}
spec: {{parentRefs: [{parent}], hostnames: [{hostnames}]}}
---
"
        )
    }

    fn listener_set(namespace: &str, listener: &str) -> String {
        format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {{namespace: {namespace}, name: own}}
spec: {{parentRef: {{namespace: infra, name: edge}}, listeners: [{listener}]}}
---
"
        )
    }

    const EDGE: &str = "{namespace: infra, name: edge}";
    const ALL: &str = "{from: All}";
    const LABELLED: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
";

    #[test]
    fn the_hostname_of_the_route_that_serves_is_copied() {
        for (listener, hostnames, wanted) in [
            ("", "'*.example.test'", "*.example.test"),
            ("", "foo.example.test, '*.test'", "foo.example.test"),
            ("", "", ""),
            ("*.example.test", "", "*.example.test"),
            ("*.example.test", "'*.test'", "*.test"),
            ("foo.example.test", "bar.example.test", "foo.example.test"),
        ] {
            let text = gateway(&http("web", listener, ALL)) + &route("shop/web", EDGE, hostnames);
            let routes = asking("shop", &HOST).routes(&cluster(&text));
            assert_eq!(
                routes,
                [
                    format!("route in infra on Gateway ./edge web: {wanted} for foo.example.test").as_str(),
                    "probe http foo.example.test 192.0.2.1:80"
                ],
                "{listener} {hostnames}"
            );
        }
    }

    #[test]
    fn listeners_say_whose_routes_they_take() {
        let selector = "{from: Selector, selector: {matchLabels: {team: shop}}}";
        for (from, namespace, wanted) in [
            (ALL, "shop", Ok("route in infra on Gateway ./edge web: foo.example.test for foo.example.test")),
            ("{from: Same}", "shop", Err(NotAllowed)),
            ("{}", "shop", Err(NotAllowed)),
            (
                "{}",
                "infra",
                Ok("route in infra on Gateway ./edge web: foo.example.test for foo.example.test"),
            ),
            (
                selector,
                "shop",
                Ok("route in shop on Gateway infra/edge web: foo.example.test for foo.example.test"),
            ),
            (selector, "evil", Err(NotAllowed)),
            ("{from: None}", "infra", Err(NotAllowed)),
        ] {
            let cluster = cluster(&(gateway(&http("web", "", from)) + LABELLED));
            match wanted {
                Ok(line) => assert_eq!(asking(namespace, &HOST).routes(&cluster)[0], line, "{from}"),
                Err(reason) => assert_eq!(asking(namespace, &HOST).refusal(&cluster).0, reason, "{from}"),
            }
        }
        let (_, message) = asking("evil", &HOST).refusal(&cluster(&gateway(&http("web", "", "{}"))));
        assert_eq!(
            message,
            "listener web of Gateway infra/edge, which serves foo.example.test, takes no HTTPRoutes of namespace \
             evil: allow it in allowedRoutes.namespaces, or put the Certificate in a namespace that is allowed"
        );
    }

    #[test]
    fn a_route_for_others_hosts_is_refused() {
        let tls = "{name: tls, port: 443, protocol: HTTPS, allowedRoutes: {namespaces: {from: All}}}";
        let both = gateway(&format!("{}, {tls}", http("web", "", ALL)));
        let redirect = route("infra/redirect", "{name: edge, sectionName: web}", "");
        let app = route("shop/web", "{namespace: infra, name: edge, sectionName: tls}", "foo.example.test");
        let cluster = cluster(&(both + &redirect + &app));
        // The redirect of every host is not whose the host is.
        let line = "route in infra on Gateway ./edge web:  for foo.example.test";
        assert_eq!(asking("shop", &HOST).routes(&cluster)[0], line);
        assert_eq!(asking("infra", &HOST).routes(&cluster)[0], line);
        let (reason, message) = asking("evil", &HOST).refusal(&cluster);
        assert_eq!(reason, NotAllowed);
        assert!(message.contains("by HTTPRoute shop/web, not by namespace evil"), "{message}");
        let open = "[{namespaces: {names: [evil]}, dnsNames: [foo.example.test]}]";
        assert_eq!(Asking { allow: Some(open), ..asking("evil", &HOST) }.routes(&cluster)[0], line);
    }

    #[test]
    fn a_listener_set_for_tls_needs_the_gateways_listener() {
        let tls = "{name: tls, hostname: foo.example.test, port: 443, protocol: HTTPS}";
        let text = gateway(&http("web", "", "{}")) + &listener_set("shop", tls);
        let line = "route in infra on Gateway ./edge web: foo.example.test for foo.example.test";
        let solvers = "[{http01: {gatewayAPI: {parentRefs: [{kind: ListenerSet, name: own}]}}}]".to_owned();
        assert_eq!(asking("shop", &HOST).routes(&cluster(&text))[0], line);
        assert_eq!(Asking { solvers: &solvers, ..asking("shop", &HOST) }.routes(&cluster(&text))[0], line);
        assert_eq!(asking("evil", &HOST).refusal(&cluster(&text)).0, NotAllowed);
    }

    #[test]
    fn a_listener_set_that_its_gateway_does_not_take_gives_no_right() {
        let tls = "{name: tls, hostname: foo.example.test, port: 443, protocol: HTTPS}";
        for allowed in ["{}", "{namespaces: {from: Same}}", "{namespaces: {from: None}}"] {
            let gateway = gateway(&http("web", "", "{}"));
            let gateway =
                gateway.replace("{namespaces: {from: All}}, listeners", &format!("{allowed}, listeners"));
            let text = gateway + &listener_set("shop", tls);
            assert_eq!(asking("shop", &HOST).refusal(&cluster(&text)).0, NotAllowed, "{allowed}");
        }
    }

    #[test]
    fn a_listener_set_has_listeners_for_http_too() {
        let text = gateway(&http("web", "bar.example.test", "{}"))
            + &listener_set("shop", "{name: own, hostname: '*.example.test', port: 80, protocol: HTTP}");
        let line = "route in shop on ListenerSet ./own own: foo.example.test for foo.example.test";
        assert_eq!(asking("shop", &HOST).routes(&cluster(&text))[0], line);
    }

    #[test]
    fn a_listener_that_would_hide_what_is_served_is_left_out() {
        let listeners = format!("{}, {}", http("all", "", ALL), http("foo", "foo.example.test", ALL));
        let on_all =
            route("shop/web", "{namespace: infra, name: edge, sectionName: all}", "'*.example.test'");
        let line = "route in infra on Gateway ./edge all: *.example.test for foo.example.test";
        let text = gateway(&listeners) + &on_all;
        assert_eq!(asking("shop", &HOST).routes(&cluster(&text))[0], line);
    }

    #[test]
    fn names_are_grouped() {
        let all: Vec<_> = (0..20).map(|number| format!("h{number}.example.test")).collect();
        let hosts: Vec<_> = all.iter().map(String::as_str).chain(["192.0.2.9"]).collect();
        let placement = asking("shop", &hosts).of(&cluster(&gateway(&http("web", "", ALL)))).unwrap();
        let sizes: Vec<_> =
            placement.http_routes.iter().map(|one| (one.patterns.len(), one.hosts.len())).collect();
        assert_eq!(sizes, [(0, 1), (16, 16), (4, 4)]);
    }

    #[test]
    fn a_gateway_is_asked_at_its_services_or_addresses() {
        let service = |name: &str, labels: &str, address: &str| {
            super::super::fixture::service(name, "{app: any}", address).replacen(
                &format!("name: {name}}}"),
                &format!("name: {name}, labels: {labels}}}"),
                1,
            )
        };
        let labelled = service("made", "{gateway.networking.k8s.io/gateway-name: edge}", "10.0.0.7");
        let named = service("shared", "{}", "10.0.0.8");
        let listener = http("web", "", ALL);
        let by_name = gateway(&listener).replace(
            "gatewayClassName: istio",
            "gatewayClassName: istio, addresses: [{type: Hostname, value: shared.infra.svc.cluster.local}]",
        );
        let probe = |text: String| asking("shop", &HOST).routes(&cluster(&text))[1].clone();
        assert_eq!(probe(gateway(&listener) + &labelled), "probe http foo.example.test 10.0.0.7:8080");
        assert_eq!(probe(by_name + &named), "probe http foo.example.test 10.0.0.8:8080");
        let bare = gateway(&listener).replace("status", "ignored");
        let (reason, message) = asking("shop", &HOST).refusal(&cluster(&bare));
        assert_eq!(reason, GatewayNotReady);
        assert_eq!(
            message,
            "Gateway infra/edge can not be asked: it has neither a Service nor an IP address in its status: wait for \
             its controller, or name addresses in the solver"
        );
    }

    #[test]
    fn what_a_listener_does_not_take_gives_no_right() {
        let own = "{name: tls, hostname: foo.example.test, port: 443, protocol: HTTPS}";
        let vague = "{name: tls, port: 443, protocol: HTTPS}";
        // A route that is not taken serves nothing, and does not make the host one's own.
        let text = gateway(&http("web", "", "{}"))
            + &route("infra/web", EDGE, "foo.example.test")
            + &route("evil/web", EDGE, "foo.example.test")
            + &listener_set("evil", own);
        assert_eq!(asking("evil", &HOST).refusal(&cluster(&text)).0, NotAllowed);
        let text = gateway(&http("web", "", "{}")) + &listener_set("evil", vague);
        assert_eq!(asking("evil", &HOST).refusal(&cluster(&text)).0, NotAllowed);
        let grpc = gateway(&http("web", "", "{from: All}, kinds: [{kind: GRPCRoute}]"));
        assert_eq!(asking("shop", &HOST).refusal(&cluster(&grpc)).0, NotAllowed);
    }

    #[test]
    fn parents_that_are_no_help_are_told() {
        let cluster = cluster(&gateway(&http("web", "bar.example.test", ALL)));
        let refusal = |parent: &str| {
            let solvers = format!("[{{http01: {{gatewayAPI: {{parentRefs: [{parent}]}}}}}}]");
            Asking { solvers: &solvers, ..asking("shop", &HOST) }.refusal(&cluster)
        };
        let missing = "Gateway shop/edge, which the solver names, does not exist: create it, or name another";
        assert_eq!(refusal("{name: edge}"), (NoGateway, missing.to_owned()));
        let deaf = "Gateway infra/edge, which the solver names, has no HTTP listener on port 80 for foo.example.test: \
                    add one";
        assert_eq!(refusal(EDGE), (NoGateway, deaf.to_owned()));
        let any =
            Asking { solvers: "[{http01: {gatewayAPI: {}}}]", ..asking("shop", &HOST) }.refusal(&cluster);
        assert!(
            any.1.starts_with("no Gateway has an HTTP listener on port 80 for foo.example.test"),
            "{}",
            any.1
        );
    }
}
