//! Ingress classes that serve a name.

pub(super) mod explain;

use super::endpoints::{HTTP, given, may_be_gateway, pods, services_of};
use super::entitlement::{Served, served_by_others};
use super::host::{Fit, fit_one_label, is_address};
use super::others::{namespace_of, object_name};
use super::place::{Ask, Found, Piece};
use super::{GatewayName, Probe, Refusal, gateway_api, istio};
use crate::cluster::Service;
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The annotation that names the class in older manifests; it wins over the field, as with istiod.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The controller of Istio's classes.
const ISTIO_CONTROLLER: &str = "istio.io/ingress-controller";

/// What a solver says of Ingresses.
pub(super) struct Choice<'a> {
    /// The class, which may serve the name for the first time; `None` is every class that serves it.
    pub(super) class: Option<&'a str>,
    /// Where to ask, in place of the Pods.
    pub(super) addresses: Option<&'a [String]>,
}

/// The routes for a name by Ingresses.
pub(super) fn find(ask: &Ask<'_>, choice: &Choice<'_>) -> Found {
    let mut classes: BTreeMap<&str, Vec<&Ingress>> = BTreeMap::new();
    for ingress in &ask.others.ingresses {
        if let Some(class) = class_of(ingress) {
            classes.entry(class).or_default().push(ingress);
        }
    }
    if let Some(class) = choice.class {
        let ingresses = classes.remove(class).unwrap_or_default();
        return Class { ask, choice, class, ingresses }.find();
    }
    let mut found = Found::default();
    for (class, ingresses) in classes {
        found.extend(Class { ask, choice, class, ingresses }.find());
    }
    found
}

fn class_of(ingress: &Ingress) -> Option<&str> {
    let class = || ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    ingress.annotations().get(CLASS).map(String::as_str).or_else(class)
}

/// A class and its Ingresses.
struct Class<'a> {
    ask: &'a Ask<'a>,
    choice: &'a Choice<'a>,
    class: &'a str,
    ingresses: Vec<&'a Ingress>,
}

impl<'a> Class<'a> {
    fn find(&self) -> Found {
        let naming = self.naming();
        let pattern = match naming.first() {
            Some((_, pattern, _)) => *pattern,
            None if self.choice.class.is_none() => return Found::default(),
            // A new host would hide what a rule without a host serves now, and an address can not be one.
            None if is_address(self.ask.host) || self.has_rule_for_all() => "*",
            None => self.ask.host,
        };
        let routes = naming.iter().map(|(_, _, ingress)| object_name(*ingress)).collect();
        let gateway = GatewayName::IngressClass(self.class.to_owned());
        let served = Served { kind: "Ingress", routes };
        if let Some(refusal) = served_by_others(self.ask, &gateway, None, &served) {
            return Found::refused(refusal);
        }
        if let Some(refusal) = self.refusal_of_gateways(&naming) {
            return Found::refused(refusal);
        }
        match self.addresses(&naming) {
            Ok(addresses) => {
                let host = self.ask.host.to_owned();
                let route = Piece::Ingress { class: self.class.to_owned(), pattern: pattern.to_owned() };
                let probe = Probe { host, gateway, addresses, is_tls: false };
                Found { routes: vec![route], probes: vec![probe], ..Found::default() }
            }
            Err(why) => {
                let is_by_pods = self.is_istio() && self.choice.addresses.is_none();
                let pods = if is_by_pods { istio_pods() } else { BTreeMap::new() };
                let why = format!("{why}, or name addresses in the solver");
                Found::refused(self.ask.silent(gateway, pods, &why))
            }
        }
    }

    /// The Ingresses that name the host most closely, and how they do.
    fn naming(&self) -> Vec<(Fit, &'a str, &'a Ingress)> {
        let all = self.ingresses.iter().flat_map(|ingress| {
            let hosts = hosts(ingress).flatten();
            hosts.filter_map(|host| Some((fit_one_label(host, self.ask.host)?, host, *ingress)))
        });
        let all: Vec<_> = all.collect();
        let closest = all.iter().map(|(fit, ..)| *fit).max();
        all.into_iter().filter(|(fit, ..)| Some(*fit) == closest).collect()
    }

    /// Why Gateways on the same Envoys keep the namespace from the name. Its own Ingress has the name already, where
    /// nothing is closer.
    fn refusal_of_gateways(&self, naming: &[(Fit, &str, &'a Ingress)]) -> Option<Refusal> {
        if !self.is_istio() {
            return None;
        }
        let namespace = self.ask.question.namespace;
        let own = naming.iter().filter(|(_, _, ingress)| namespace_of(*ingress) == namespace);
        let (own, services) = (own.map(|(fit, ..)| *fit).max(), self.services());
        istio::refusal_at(self.ask, &services, own)
            .or_else(|| gateway_api::refusal_at(self.ask, &services, own))
    }

    /// The Services in front of the Envoys of Istio's classes.
    fn services(&self) -> Vec<&'a Service> {
        services_of(self.ask.others.cluster, &istio_pods())
    }

    fn has_rule_for_all(&self) -> bool {
        self.ingresses.iter().any(|ingress| hosts(ingress).any(|host| host.is_none()))
    }

    fn addresses(&self, naming: &[(Fit, &str, &'a Ingress)]) -> Result<BTreeSet<SocketAddr>, String> {
        if let Some(addresses) = self.choice.addresses {
            return given(addresses, HTTP);
        }
        if self.is_istio() {
            let cluster = self.ask.others.cluster;
            return pods(cluster, &self.services(), HTTP, HTTP.into()).map_err(|why| {
                format!("there is {why} and with istio=ingressgateway in its selector: mend that")
            });
        }
        let named: Vec<_> = naming.iter().map(|(_, _, ingress)| *ingress).collect();
        let ingresses = if named.is_empty() { &self.ingresses } else { &named };
        let addresses: BTreeSet<_> = ingresses.iter().flat_map(|ingress| published(ingress)).collect();
        if addresses.is_empty() {
            return Err(
                "its Ingresses have no IP address in their status: wait for its controller".to_owned()
            );
        }
        Ok(addresses)
    }

    fn is_istio(&self) -> bool {
        let mut classes = self.ask.others.cluster.ingress_classes.iter();
        let controller = classes.find(|one| one.name_any() == self.class).map(|one| &one.spec.controller);
        controller.map_or(self.class == "istio", |controller| controller == ISTIO_CONTROLLER)
    }
}

/// The labels of the Pods of Istio's classes, which meshConfig.ingressSelector may change.
fn istio_pods() -> BTreeMap<String, String> {
    [("istio".to_owned(), "ingressgateway".to_owned())].into()
}

/// The hosts of an Ingress's rules; `None` is every host.
fn hosts(ingress: &Ingress) -> impl Iterator<Item = Option<&str>> {
    let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
    rules.map(|rule| rule.host.as_deref().filter(|host| !host.is_empty()))
}

fn published(ingress: &Ingress) -> Vec<SocketAddr> {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let all = status.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    let addresses = all.iter().filter_map(|one| one.ip.as_deref()?.parse::<IpAddr>().ok());
    addresses.filter(may_be_gateway).map(|address| SocketAddr::new(address, HTTP)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::GatewayName;
    use super::super::RefusalReason::{GatewayNotReady, NoGateway, NotAllowed};
    use super::super::Subject;
    use super::super::fixture::{Asking, asking, cluster, service};

    const HOST: [&str; 1] = ["foo.example.test"];
    const NGINX: &str = "[{http01: {ingress: {ingressClassName: nginx}}}]";

    fn ingress(name: &str, class: &str, hosts: &[&str]) -> String {
        let (namespace, name) = name.split_once('/').unwrap();
        let rules: Vec<_> = hosts.iter().map(|host| format!("{{host: '{host}'}}")).collect();
        format!(
            "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{namespace: {namespace}, name: {name}}}
spec: {{ingressClassName: {class}, rules: [{}]}}
status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}, {{ip: '2001:db8::1'}}, {{hostname: lb.test}}]}}}}
---
",
            rules.join(", ")
        )
    }

    #[test]
    fn the_host_of_the_ingress_that_serves_is_copied() {
        for (hosts, wanted) in [
            (&["*.example.test"][..], "*.example.test"),
            (&["*.example.test", "foo.example.test"], "foo.example.test"),
            (&["", "foo.example.test"], "foo.example.test"),
        ] {
            let cluster = cluster(&ingress("shop/web", "nginx", hosts));
            let line = format!("ingress nginx {wanted} for foo.example.test");
            let probe = "probe http foo.example.test 192.0.2.1:80,[2001:db8::1]:80";
            assert_eq!(asking("shop", &HOST).routes(&cluster), [line.as_str(), probe]);
        }
        let annotated = ingress("shop/web", "nginx", &HOST)
            .replace("name: web", "name: web, annotations: {kubernetes.io/ingress.class: nginx}")
            .replace("ingressClassName: nginx, ", "");
        let routes = asking("shop", &HOST).routes(&cluster(&annotated));
        assert_eq!(routes[0], "ingress nginx foo.example.test for foo.example.test");
    }

    #[test]
    fn only_a_solver_that_names_the_class_serves_a_host_first() {
        let explicit = Asking { solvers: NGINX, ..asking("shop", &HOST) };
        for (hosts, wanted) in
            [(&["bar.example.test"][..], "foo.example.test"), (&["a.b.example.test", ""], "*")]
        {
            let cluster = cluster(&ingress("other/web", "nginx", hosts));
            assert_eq!(asking("shop", &HOST).refusal(&cluster).0, NoGateway);
            let line = format!("ingress nginx {wanted} for foo.example.test");
            assert_eq!(explicit.routes(&cluster)[0], line);
        }
        let deep = cluster(&ingress("shop/web", "nginx", &["*.test"]));
        assert_eq!(asking("shop", &HOST).refusal(&deep).0, NoGateway);
        let (reason, message) = explicit.refusal(&cluster(""));
        assert_eq!(reason, GatewayNotReady);
        assert_eq!(
            message,
            "Ingress class nginx can not be asked: its Ingresses have no IP address in their status: wait for its \
             controller, or name addresses in the solver"
        );
    }

    #[test]
    fn a_host_of_others_is_refused() {
        let text = ingress("shop/web", "nginx", &HOST) + &ingress("evil/web", "nginx", &["*.example.test"]);
        let cluster = cluster(&text);
        for solvers in ["[]", NGINX] {
            let (reason, message) = Asking { solvers, ..asking("evil", &HOST) }.refusal(&cluster);
            assert_eq!(reason, NotAllowed);
            assert_eq!(
                message,
                "foo.example.test is served on Ingress class nginx by Ingress shop/web, not by namespace evil: put \
                 the Certificate in namespace shop, or name evil and foo.example.test in one entry of spec.acme.allow \
                 of a ClusterIssuer"
            );
        }
        let open = "[{namespaces: {names: [evil]}, dnsNames: [foo.example.test]}]";
        Asking { allow: Some(open), ..asking("evil", &HOST) }.of(&cluster).unwrap();
    }

    #[test]
    fn gateways_on_the_same_envoys_keep_a_name() {
        let solvers = "[{http01: {ingress: {ingressClassName: istio}}}]";
        let pods = service("public", "{istio: ingressgateway}", "10.0.0.1");
        let gateway = |hosts: &str| {
            format!(
                "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{namespace: infra, name: public}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 80, protocol: HTTP, name: http}}, hosts: [{hosts}]}}]
---
"
            )
        };
        let routed = |host: &str| {
            format!(
                "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{namespace: shop, name: web}}
spec: {{hosts: ['{host}'], gateways: [infra/public]}}
---
"
            )
        };
        let listener = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: infra, name: edge}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: public}]
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
";
        let (exact, wild) =
            (ingress("evil/own", "istio", &HOST), ingress("evil/own", "istio", &["*.example.test"]));
        for (what, setting, wanted) in [
            ("nothing else", String::new(), true),
            ("another namespace's host", gateway("shop/foo.example.test"), false),
            ("a host for all", gateway("'*'"), true),
            ("a route of another", gateway("'*'") + &routed("*.example.test"), false),
            ("a listener of another", listener.to_owned(), false),
            ("an Ingress of its own", gateway("shop/foo.example.test") + &exact, true),
            ("one that is as close", gateway("'*'") + &routed("*.example.test") + &wild, true),
            ("one that is less close", gateway("'*'") + &routed("foo.example.test") + &wild, false),
            ("other Envoys", gateway("shop/foo.example.test").replace("ingressgateway}", "other}"), true),
        ] {
            let found = Asking { solvers, ..asking("evil", &HOST) }.of(&cluster(&(pods.clone() + &setting)));
            match found {
                Ok(_) => assert!(wanted, "{what}"),
                Err(refusals) => assert!(!wanted && refusals[0].reason == NotAllowed, "{what}: {refusals:?}"),
            }
        }
    }

    #[test]
    fn an_annotation_names_the_class_before_the_field() {
        let both = ingress("shop/web", "nginx", &HOST)
            .replace("name: web", "name: web, annotations: {kubernetes.io/ingress.class: other}");
        let routes = asking("shop", &HOST).routes(&cluster(&both));
        assert_eq!(routes[0], "ingress other foo.example.test for foo.example.test");
    }

    #[test]
    fn a_class_of_istio_is_asked_at_its_pods() {
        let pods = service("public", "{istio: ingressgateway}", "10.0.0.1");
        let class = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: mesh}
spec: {controller: istio.io/ingress-controller}
---
";
        for name in ["istio", "mesh"] {
            let text = pods.clone() + class + &ingress("shop/web", name, &HOST);
            let routes = asking("shop", &HOST).routes(&cluster(&text));
            assert_eq!(routes[1], "probe http foo.example.test 10.0.0.1:8080");
        }
        let silent = cluster(&ingress("shop/web", "istio", &HOST));
        let gateway = GatewayName::IngressClass("istio".to_owned());
        assert_eq!(
            asking("shop", &HOST).subject(&silent),
            Subject::SilentGateway { gateway, pods: super::istio_pods() }
        );
        let (reason, message) = asking("shop", &HOST).refusal(&silent);
        assert_eq!(reason, GatewayNotReady);
        assert_eq!(
            message,
            "Ingress class istio can not be asked: there is no Service with port 80 and with istio=ingressgateway in \
             its selector: mend that, or name addresses in the solver"
        );
    }
}
