use super::super::RefusalReason::{GatewayNotReady, NoGateway, NotAllowed};
use super::super::fixture::{Asking, asking, cluster};
use super::super::{GatewayName, Subject};
use gatecert_render::ObjectName;
use std::collections::BTreeMap;

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
        ("{}", "infra", Ok("route in infra on Gateway ./edge web: foo.example.test for foo.example.test")),
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
    let closed = cluster(&gateway(&http("web", "", "{}")));
    let holder = GatewayName::GatewayApi(ObjectName::new("infra", "edge"));
    let listener = Subject::Listener { holder, name: "web".into() };
    assert_eq!(asking("evil", &HOST).subject(&closed), listener);
    let (_, message) = asking("evil", &HOST).refusal(&closed);
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
    let on_all = route("shop/web", "{namespace: infra, name: edge, sectionName: all}", "'*.example.test'");
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
    let (gateway, pods) = (GatewayName::GatewayApi(ObjectName::new("infra", "edge")), BTreeMap::new());
    assert_eq!(asking("shop", &HOST).subject(&cluster(&bare)), Subject::SilentGateway { gateway, pods });
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
    let any = Asking { solvers: "[{http01: {gatewayAPI: {}}}]", ..asking("shop", &HOST) }.refusal(&cluster);
    assert!(
        any.1.starts_with("no Gateway has an HTTP listener on port 80 for foo.example.test"),
        "{}",
        any.1
    );
}
