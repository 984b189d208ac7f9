//! Istio Gateways that serve a name.

use super::endpoints::{HTTP, HTTPS, is_reached, pods, services_of};
use super::entitlement::{Served, served_by_others};
use super::host::{Fit, ServerHost, fit, is_address, most_specific};
use super::others::{Others, name_of, namespace_of, object_name};
use super::place::{Ask, Found, Piece};
use super::{BypassPlace, Probe, Refusal, RefusalReason, endpoints};
use crate::cluster::Service;
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
}

/// The routes for a name on Istio Gateways.
pub(super) fn find(ask: &Ask<'_>, choice: &Choice<'_>) -> Found {
    let mut found = Found::default();
    for (selector, gateways) in by_selector(ask.others) {
        let services = services_of(ask.others.cluster, selector);
        let workload = Workload { ask, choice, selector, gateways, services };
        found.extend(workload.find());
    }
    if found.routes.is_empty() && found.refusals.is_empty() {
        found.refusals.extend(missing(ask, choice));
    }
    found
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
        let message = format!("Gateway {name}, which the solver names, {what}");
        ask.refusal(RefusalReason::NoGateway, message)
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
        let bound = self.ask.others.virtual_services.iter().filter(move |one| is_bound(one, listed.gateway));
        bound.flat_map(move |virtual_service| {
            let admitted = admitted(&listed, namespace_of(*virtual_service), host);
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
                export_to: self.namespaces(one),
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
        let export_to = self.namespaces(listed);
        Piece::VirtualService { gateway, export_to, pattern, answer: self.choice.answer.clone() }
    }

    /// The namespaces of the Envoys, which are those of their Services.
    fn namespaces(&self, listed: &Listed<'_>) -> BTreeSet<String> {
        let namespaces: BTreeSet<_> =
            self.services.iter().map(|service| namespace_of(*service).to_owned()).collect();
        match namespaces.is_empty() {
            true => [namespace_of(listed.gateway).to_owned()].into(),
            false => namespaces,
        }
    }

    /// Why the Certificate's namespace may not prove the name here.
    fn refusal(&self, listed: &Listed<'a>) -> Option<Refusal> {
        let (ask, home) = (self.ask, namespace_of(listed.gateway));
        let namespace = ask.question.namespace;
        let gateway = title(listed.gateway);
        if admitted(listed, namespace, ask.host).is_none() {
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
        let is_it =
            self.namespaces(listed).contains(&secret.namespace) && credentials.any(|one| one == secret.name);
        is_it.then(|| secret.clone())
    }

    fn without_https(&self, listed: &Listed<'_>) -> Refusal {
        self.ask.refusal(
            RefusalReason::RedirectWithoutHttps,
            format!(
                "{} redirects {} to HTTPS (tls.httpsRedirect), and no Gateway with the selector {} has an HTTPS \
                 server on port 443 for it: add one, or take the redirect away",
                title(listed.gateway),
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
                title(listed.gateway)
            ),
        )
    }

    /// What was found, if the Pods can be asked.
    fn with_probe(&self, mut found: Found, used: &[Listed<'_>], public: u16) -> Found {
        let Some(first) = used.first() else { return found };
        match self.addresses(used, public) {
            Ok(addresses) => {
                let (host, gateway) = (self.ask.host.to_owned(), title(first.gateway));
                found.probes.push(Probe { host, gateway, addresses, is_tls: public == HTTPS });
                found
            }
            Err(why) => {
                let message = format!("{} can not be asked: {why}", title(first.gateway));
                Found::refused(self.ask.refusal(RefusalReason::GatewayNotReady, message))
            }
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

/// How a message names a Gateway.
fn title(gateway: &Gateway) -> String {
    format!("Gateway {}", object_name(gateway))
}

fn is_asking_for_certificates(server: &Server) -> bool {
    server.tls.as_ref().and_then(|tls| tls.mode.as_deref()) == Some("MUTUAL")
}

fn fits(entry: &str, host: &str) -> bool {
    fit(ServerHost::parse(entry).host, host).is_some()
}

/// By how close an entry of a server VirtualServices of a namespace may take the name.
fn admitted(listed: &Listed<'_>, namespace: &str, host: &str) -> Option<Fit> {
    let home = namespace_of(listed.gateway);
    let entries = listed.server.hosts.iter().map(|entry| ServerHost::parse(entry));
    let admitting = entries.filter(|entry| entry.admits(namespace, home));
    most_specific(admitting.map(|entry| entry.host), host).map(|(fit, _)| fit)
}

/// Whether a VirtualService names the Gateway and is seen where that is.
fn is_bound(virtual_service: &VirtualService, gateway: &Gateway) -> bool {
    let (own, home) = (namespace_of(virtual_service), namespace_of(gateway));
    let exported = &virtual_service.spec.export_to;
    let is_seen = exported.is_empty()
        || exported.iter().any(|to| to == "*" || to == home || (to == "." && own == home));
    let name = (home, name_of(gateway));
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

#[cfg(test)]
mod tests {
    use super::super::RefusalReason::{GatewayNotReady, NoGateway, NotAllowed, RedirectWithoutHttps};
    use super::super::fixture::{Asking, asking, cluster, service};
    use crate::cluster::Cluster;

    const PUBLIC: &str = "{istio: public}";

    fn gateway(name: &str, servers: &str) -> String {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{namespace: infra, name: {name}}}
spec: {{selector: {PUBLIC}, servers: [{servers}]}}
---
"
        )
    }

    fn http(hosts: &str) -> String {
        format!("{{port: {{number: 80, protocol: HTTP, name: http}}, hosts: [{hosts}]}}")
    }

    fn redirecting(hosts: &str) -> String {
        format!(
            "{{port: {{number: 80, protocol: HTTP, name: http}}, hosts: [{hosts}], tls: {{httpsRedirect: true}}}}"
        )
    }

    fn https(hosts: &str) -> String {
        format!(
            "{{port: {{number: 443, protocol: HTTPS, name: https}}, hosts: [{hosts}], \
             tls: {{mode: SIMPLE, credentialName: www-tls}}}}"
        )
    }

    fn virtual_service(name: &str, hosts: &str, gateways: &str) -> String {
        let (namespace, name) = name.split_once('/').unwrap();
        format!(
            "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{namespace: {namespace}, name: {name}}}
spec: {{hosts: [{hosts}], gateways: [{gateways}]}}
---
"
        )
    }

    fn with_service(parts: &[String]) -> Cluster {
        cluster(&(service("public", PUBLIC, "10.0.0.1") + &parts.concat()))
    }

    #[test]
    fn the_host_of_the_route_that_serves_is_copied() {
        let wild = r#""*.example.test""#;
        for (hosts, gateways, wanted) in [
            (wild, "infra/public", "*.example.test"),
            (r#""*", foo.example.test"#, "infra/public", "foo.example.test"),
            (r#""*""#, "mesh, infra/public", "*"),
            (wild, "public.infra.svc.cluster.local", "*.example.test"),
            (wild, "public", "foo.example.test"),
            (wild, "infra/other", "foo.example.test"),
            ("bar.example.test", "infra/public", "foo.example.test"),
        ] {
            let cluster = with_service(&[
                gateway("public", &http(r#""*""#)),
                virtual_service("shop/web", hosts, gateways),
            ]);
            let routes = asking("shop", &["foo.example.test"]).routes(&cluster);
            let probe = "probe http foo.example.test 10.0.0.1:8080";
            let route = format!("vs infra/public {wanted} for foo.example.test");
            assert_eq!(routes, [route.as_str(), probe], "{hosts} {gateways}");
        }
    }

    #[test]
    fn redirects_are_passed_by_or_answered_on_https() {
        let wild = r#""*.example.test""#;
        let host = ["foo.example.test"];
        let passed = ["bypass infra 80 foo.example.test", "probe http foo.example.test 10.0.0.1:8080"];
        let cluster = with_service(&[gateway("public", &format!("{}, {}", redirecting(wild), https(wild)))]);
        assert_eq!(asking("shop", &host).routes(&cluster), passed);

        let exact = format!("{}, {}", redirecting("foo.example.test"), https(wild));
        let answered = [
            "vs infra/public foo.example.test for foo.example.test",
            "probe https foo.example.test 10.0.0.1:8443",
            "placeholder infra/www-tls",
        ];
        let cluster = with_service(&[gateway("public", &exact)]);
        assert_eq!(asking("shop", &host).routes(&cluster), answered);

        let cluster = with_service(&[gateway("public", &redirecting("foo.example.test"))]);
        let (reason, message) = asking("shop", &host).refusal(&cluster);
        assert_eq!(reason, RedirectWithoutHttps);
        assert_eq!(
            message,
            "Gateway infra/public redirects foo.example.test to HTTPS (tls.httpsRedirect), and no Gateway with the \
             selector istio=public has an HTTPS server on port 443 for it: add one, or take the redirect away"
        );
    }

    #[test]
    fn a_name_that_others_serve_is_refused_unless_it_is_allowed() {
        let cluster = with_service(&[
            gateway("public", &http(r#""*""#)),
            virtual_service("shop/web", r#""*.example.test""#, "infra/public"),
        ]);
        let host = ["foo.example.test"];
        let (reason, message) = asking("evil", &host).refusal(&cluster);
        assert_eq!(reason, NotAllowed);
        assert_eq!(
            message,
            "foo.example.test is served on Gateway infra/public by VirtualService shop/web, not by namespace evil: \
             put the Certificate in namespace shop or infra, or name evil and foo.example.test in one entry of \
             spec.acme.allow of a ClusterIssuer"
        );
        let route = "vs infra/public *.example.test for foo.example.test";
        assert_eq!(asking("infra", &host).routes(&cluster)[0], route);
        let open = "[{namespaces: {names: [evil]}, dnsNames: ['*.example.test']}]";
        assert_eq!(Asking { allow: Some(open), ..asking("evil", &host) }.routes(&cluster)[0], route);
        let vague = "[{namespaces: {names: [evil]}}, {dnsNames: ['*.example.test']}]";
        let refusal = Asking { allow: Some(vague), ..asking("evil", &host) }.refusal(&cluster);
        assert_eq!(refusal, (NotAllowed, message));
    }

    #[test]
    fn no_gateway_and_no_pods_are_told() {
        let host = ["foo.example.test"];
        let (reason, message) = asking("shop", &host).refusal(&with_service(&[]));
        assert_eq!(reason, NoGateway);
        assert!(message.starts_with("no gateway serves foo.example.test on port 80: add it to"), "{message}");
        let (reason, message) =
            asking("shop", &host).refusal(&cluster(&gateway("public", &http("foo.example.test"))));
        assert_eq!(reason, GatewayNotReady);
        assert_eq!(
            message,
            "Gateway infra/public can not be asked: there is no Service with port 80, by its selector \
             istio=public: mend that, or name addresses in the solver"
        );
    }

    const WILD: &str = "'*.example.test'";
    const HOST: [&str; 1] = ["foo.example.test"];
    const PROBE: &str = "probe http foo.example.test 10.0.0.1:8080";

    #[test]
    fn what_namespaces_do_not_see_does_not_serve() {
        for (export, wanted) in [
            ("[]", "*.example.test"),
            ("['*']", "*.example.test"),
            ("[infra]", "*.example.test"),
            ("['.']", "foo.example.test"),
            ("[other]", "foo.example.test"),
        ] {
            let routed = virtual_service("shop/web", WILD, "infra/public")
                .replace("spec: {", &format!("spec: {{exportTo: {export}, "));
            let cluster = with_service(&[gateway("public", &http("'*'")), routed]);
            let line = format!("vs infra/public {wanted} for foo.example.test");
            assert_eq!(asking("shop", &HOST).routes(&cluster)[0], line, "{export}");
        }
    }

    #[test]
    fn a_server_admits_namespaces() {
        for (entry, namespace, wanted) in [
            ("foo.example.test", "shop", true),
            ("'*/foo.example.test'", "shop", true),
            ("'shop/*.example.test'", "shop", true),
            ("shop/foo.example.test", "evil", false),
            ("./foo.example.test", "shop", false),
            ("./foo.example.test", "infra", true),
            ("other/foo.example.test, 'shop/*'", "shop", true),
        ] {
            let cluster = with_service(&[gateway("public", &http(entry))]);
            let ask = asking(namespace, &HOST);
            if wanted {
                assert_eq!(ask.routes(&cluster)[0], "vs infra/public foo.example.test for foo.example.test");
            } else {
                assert_eq!(ask.refusal(&cluster).0, NotAllowed, "{entry} {namespace}");
            }
        }
        let cluster = with_service(&[gateway("public", &http("'shop/*.example.test', other.test"))]);
        assert_eq!(
            asking("evil", &HOST).refusal(&cluster).1,
            "Gateway infra/public lists foo.example.test for other namespaces than evil, as shop/*.example.test: add \
             evil/foo.example.test there, or put the Certificate in a namespace that it is for"
        );
    }

    #[test]
    fn a_route_that_a_server_does_not_admit_does_not_serve() {
        let cluster = with_service(&[
            gateway("public", &http("'shop/*.example.test'")),
            virtual_service("evil/web", "foo.example.test", "infra/public"),
            virtual_service("shop/web", WILD, "infra/public"),
        ]);
        let line = "vs infra/public *.example.test for foo.example.test";
        assert_eq!(asking("shop", &HOST).routes(&cluster)[0], line);
    }

    #[test]
    fn gateways_with_different_patterns_have_routes_of_their_own() {
        let internal = gateway("internal", &http("'*'")).replace("public}", "internal}");
        let cluster = with_service(&[
            service("internal", "{istio: internal}", "10.0.0.2"),
            internal,
            gateway("public", &http("'*'")),
            virtual_service("shop/inside", WILD, "infra/internal"),
            virtual_service("shop/outside", "foo.example.test", "infra/public"),
        ]);
        assert_eq!(
            asking("shop", &["foo.example.test", "bar.example.test"]).routes(&cluster),
            [
                "vs infra/internal *.example.test for bar.example.test,foo.example.test",
                "vs infra/public bar.example.test,foo.example.test for bar.example.test,foo.example.test",
                "probe http bar.example.test 10.0.0.2:8080",
                "probe http bar.example.test 10.0.0.1:8080",
                "probe http foo.example.test 10.0.0.2:8080",
                PROBE,
            ]
        );
    }

    #[test]
    fn no_gateway_of_the_same_pods_hides_what_another_serves() {
        let (any, exact) = (gateway("any", &http("'*'")), gateway("exact", &http("foo.example.test")));
        let wild = [gateway("wild", &http(WILD)), virtual_service("shop/web", WILD, "infra/wild")].concat();
        let cluster = with_service(&[any, exact, wild]);
        let line = "vs infra/any,infra/wild *.example.test for foo.example.test";
        assert_eq!(asking("shop", &HOST).routes(&cluster), [line, PROBE]);
    }

    #[test]
    fn own_gateways_and_routes_are_passed_over() {
        let label = "namespace: infra, labels: {gatecert.dev/part: challenge}, ";
        let ours = gateway("ours", &http("foo.example.test")).replace("namespace: infra, ", label);
        let route = virtual_service("infra/ours", "foo.example.test", "infra/public")
            .replace("namespace: infra, ", label);
        let cluster = with_service(&[gateway("public", &redirecting(WILD)), ours, route]);
        assert_eq!(asking("shop", &HOST).routes(&cluster), ["bypass infra 80 foo.example.test", PROBE]);
    }

    #[test]
    fn what_takes_the_name_says_whether_it_is_redirected() {
        let (exact, wild) = ("foo.example.test", WILD);
        let bypass = "bypass infra 80 foo.example.test";
        let plain = "vs infra/b foo.example.test for foo.example.test";
        let on_https = "vs infra/c foo.example.test for foo.example.test";
        for (redirected, server, routed, wanted) in [
            // The redirect of the wildcard is not asked where the name itself is routed on a plain server,
            (wild, http(exact), "infra/b", plain),
            // but a plain server without a route has no virtual host.
            (wild, http(exact), "infra/none", bypass),
            (wild, http("'*'"), "infra/none", bypass),
            // The redirecting server makes one of the name's own from a route,
            (wild, http(exact), "infra/a, infra/c", on_https),
            (wild, http("other.test"), "infra/a, infra/c", on_https),
            // and needs none for what it lists.
            (exact, http(exact), "infra/b, infra/c", on_https),
            (exact, http(wild), "infra/none", on_https),
        ] {
            let cluster = with_service(&[
                gateway("a", &redirecting(redirected)),
                gateway("b", &server),
                gateway("c", &https(wild)),
                virtual_service("shop/web", exact, routed),
            ]);
            let routes = asking("shop", &HOST).routes(&cluster);
            assert_eq!(routes[0], wanted, "{redirected} {server} {routed}");
        }
    }

    #[test]
    fn the_server_that_tls_picks_answers_behind_a_redirect() {
        let cluster = with_service(&[
            gateway("a", &redirecting("foo.example.test")),
            gateway("b", &format!("{}, {}", https(WILD), https("bar.example.test"))),
            gateway("c", &https("shop/foo.example.test")).replace("namespace: infra", "namespace: shop"),
            virtual_service("shop/web", WILD, "infra/b, shop/c"),
        ]);
        let routes = asking("shop", &HOST).routes(&cluster);
        assert_eq!(routes[0], "vs shop/c *.example.test for foo.example.test");
        assert_eq!(asking("evil", &HOST).refusal(&cluster).0, NotAllowed);
    }

    #[test]
    fn an_address_is_routed_by_what_takes_it() {
        let cluster = with_service(&[
            gateway("public", &http("'*'")),
            virtual_service("shop/web", "'*'", "infra/public"),
            virtual_service("shop/one", "192.0.2.2", "infra/public"),
        ]);
        assert_eq!(
            asking("shop", &["192.0.2.1", "192.0.2.2"]).routes(&cluster)[0],
            "vs infra/public *,192.0.2.2 for 192.0.2.1,192.0.2.2"
        );
        let cluster = with_service(&[gateway("public", &[redirecting("'*'"), https("'*'")].join(", "))]);
        let routes = asking("shop", &["192.0.2.1"]).routes(&cluster);
        assert_eq!(routes[1], "probe https 192.0.2.1 10.0.0.1:8443");
    }

    #[test]
    fn a_port_counts_by_the_service_in_front() {
        let on = |number: u32| {
            let server = http("foo.example.test").replace("number: 80", &format!("number: {number}"));
            asking("shop", &HOST).of(&with_service(&[gateway("public", &server)]))
        };
        assert_eq!(on(8080).unwrap().probes, on(80).unwrap().probes);
        assert_eq!(on(9090).unwrap_err()[0].reason, NoGateway);
    }

    #[test]
    fn a_solver_names_gateways_and_addresses() {
        let elsewhere = gateway("far", &http("'*'")).replace("public}", "far}");
        let cluster = with_service(&[gateway("public", &http(WILD)), elsewhere]);
        let ask = |istio: &str| {
            let solvers = format!("[{{http01: {{istio: {istio}}}}}]");
            Asking { solvers: &solvers, ..asking("infra", &HOST) }.of(&cluster)
        };
        let message = |istio: &str| ask(istio).unwrap_err().remove(0).message;
        let placement =
            ask("{gateways: [{name: far}], addresses: [192.0.2.1, '2001:db8::1', '[2001:db8::2]:81']}");
        let probes = placement.unwrap().probes;
        let addresses: Vec<_> = probes[0].addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1:80", "[2001:db8::1]:80", "[2001:db8::2]:81"]);
        assert_eq!(
            message("{gateways: [{name: far}], addresses: [gateway.test]}"),
            "Gateway infra/far can not be asked: `gateway.test` in the addresses of the solver is neither an address \
             nor address:port"
        );
        assert_eq!(
            message("{gateways: [{name: none, namespace: shop}]}"),
            "Gateway shop/none, which the solver names, does not exist: create it, or name another"
        );
        assert_eq!(ask("{answer: Responder}").unwrap().virtual_services[0].answer, responder());
    }

    #[test]
    fn a_redirect_of_every_name_is_not_whose_the_name_is() {
        let cluster = with_service(&[
            gateway("web", &http("'*'")),
            gateway("tls", &https("'*'")),
            virtual_service("infra/redirect", "'*'", "infra/web"),
            virtual_service("shop/web", "foo.example.test", "infra/tls"),
        ]);
        assert_eq!(asking("shop", &HOST).routes(&cluster)[0], "vs infra/web * for foo.example.test");
        assert_eq!(asking("evil", &HOST).refusal(&cluster).0, NotAllowed);
    }

    #[test]
    fn a_gateway_of_ones_own_takes_no_name_from_others() {
        let bogus = http("'*'").replace("number: 80", "number: 9999");
        let cluster = with_service(&[
            gateway("public", &http("'*'")),
            virtual_service("shop/web", WILD, "infra/public"),
            gateway("bogus", &bogus).replace("namespace: infra", "namespace: evil"),
            virtual_service("evil/web", "foo.example.test", "evil/bogus"),
        ]);
        assert_eq!(asking("evil", &HOST).refusal(&cluster).0, NotAllowed);
    }

    #[test]
    fn the_ca_has_no_client_certificate() {
        let mutual = https("foo.example.test").replace("SIMPLE", "MUTUAL");
        let cluster =
            with_service(&[gateway("public", &[redirecting("foo.example.test"), mutual].join(", "))]);
        assert_eq!(
            asking("shop", &HOST).refusal(&cluster),
            (
                RedirectWithoutHttps,
                "foo.example.test is redirected to HTTPS (tls.httpsRedirect), where Gateway infra/public demands a \
                 certificate of clients (tls.mode MUTUAL), which the CA has none of: take the redirect away, or use \
                 OPTIONAL_MUTUAL"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_server_redirects_what_it_lists_for_others_too() {
        let cluster = with_service(&[
            gateway("public", &[redirecting("other/foo.example.test, '*'"), https("'*'")].join(", ")),
            virtual_service("shop/web", "'*'", "infra/public"),
        ]);
        let routes = asking("shop", &HOST).routes(&cluster);
        assert_eq!(routes[1], "probe https foo.example.test 10.0.0.1:8443");
    }

    fn responder() -> gatecert_render::Answer {
        let (namespace, name) = ("gatecert".into(), "gatecert-responder".into());
        gatecert_render::Answer::Responder(gatecert_render::ServiceName { namespace, name, port: 80 })
    }
}
