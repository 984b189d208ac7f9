use super::super::RefusalReason::{GatewayNotReady, NoGateway, NotAllowed, RedirectWithoutHttps};
use super::super::Subject;
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
        let cluster =
            with_service(&[gateway("public", &http(r#""*""#)), virtual_service("shop/web", hosts, gateways)]);
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
    let silent = cluster(&gateway("public", &http("foo.example.test")));
    let Subject::SilentGateway { gateway, pods } = asking("shop", &host).subject(&silent) else { panic!() };
    assert_eq!((gateway.to_string().as_str(), pods["istio"].as_str()), ("Gateway infra/public", "public"));
    let (reason, message) = asking("shop", &host).refusal(&silent);
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
fn a_route_is_seen_by_the_envoys_not_by_the_gateway() {
    for (export, wanted) in [("infra", false), ("edge", true), ("'*'", false), ("'.'", true), ("'~'", true)] {
        let routed = virtual_service("shop/web", WILD, "edge/public")
            .replace("spec: {", &format!("spec: {{exportTo: [{export}], "));
        let away = gateway("public", &http("'*'")).replace("namespace: infra", "namespace: edge");
        let found = asking("evil", &HOST).of(&with_service(&[away, routed]));
        assert_eq!(found.is_ok(), wanted, "{export}: {found:?}");
    }
    // Not known where they are: whoever exports a route may mean them, and an issuer says nothing else of it.
    let routed =
        virtual_service("shop/web", WILD, "infra/public").replace("spec: {", "spec: {exportTo: [x], ");
    let outside = gateway("public", &http("'*'")).replace(PUBLIC, "{istio: outside}");
    let solvers = "[{http01: {istio: {addresses: [192.0.2.1]}}}]";
    let refusal = Asking { solvers, ..asking("evil", &HOST) }.refusal(&with_service(&[outside, routed]));
    assert_eq!(refusal.0, NotAllowed);
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
            "probe http bar.example.test 10.0.0.1:8080",
            "probe http bar.example.test 10.0.0.2:8080",
            PROBE,
            "probe http foo.example.test 10.0.0.2:8080",
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
    let exported = |istio: &str| ask(istio).unwrap().virtual_services.remove(0).export_to;
    let far = "gateways: [{name: far}], addresses: [192.0.2.1]";
    assert_eq!(exported("{gateways: [{name: public}]}"), ["infra".to_owned()].into());
    assert_eq!(exported(&format!("{{{far}}}")), ["*".to_owned()].into());
    assert_eq!(exported(&format!("{{{far}, exportTo: [edge]}}")), ["edge".to_owned()].into());
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
    let cluster = with_service(&[gateway("public", &[redirecting("foo.example.test"), mutual].join(", "))]);
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
