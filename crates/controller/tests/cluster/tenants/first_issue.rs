//! The matrix at first issue: what an attacker asks for, by each kind of gateway and each rule.

use super::cell::{ATTACKER, Cell, VICTIM, host};
use crate::harness::World;
use crate::manifest::{annotated_gateway, certificate, certificate_with, gateway, http, https, route};

/// The namespace of the gateway.
const HOME: &str = "istio-system";

/// The issuer of the attacker's namespace, with solvers of its own.
const OWN_ISSUER: &str = "name: own, kind: Issuer";

pub(super) fn cells(world: &World) -> Vec<Cell> {
    [istio(), gateway_api(), ingress(), issuers(world), secrets()].into_iter().flatten().collect()
}

/// Host namespaces of Istio's Gateways, and the routes on them.
fn istio() -> Vec<Cell> {
    let (scoped, scope) = scoped("t-scope");
    let (routed, _) = open("t-route");
    let wild = gateway(HOME, "t-wild", &[http("t-wild", &["*.t-wild.test"], "")]);
    let (bound, admitted) =
        scoped_with("t-bound", route(ATTACKER, "t-bound", "istio-system/t-bound", &[&host("t-bound")]));
    let redirecting = ["tenant-victim/*.t-redirect.test"];
    let redirect = [
        http("t-redirect", &redirecting, ", tls: {httpsRedirect: true}"),
        https("t-redirect", &redirecting, "t-redirect"),
    ];
    let (sourced, sourced_scope) = scoped_with("t-source", String::new());
    let own_tls = [https("t-source-own", &[&host("t-source")], "kubernetes://tenant-attacker/t-source")];
    let (ported, _) = open("t-port");
    let elsewhere = http("t-port-own", &["*"], "").replace("number: 80", "number: 9999");
    vec![
        Cell::new("t-scope", scoped, &scope),
        Cell::new(
            "t-home",
            gateway(HOME, "t-home", &[http("t-home", &["./www.t-home.test"], "")]),
            "./www.t-home.test",
        )
        .entitled(HOME),
        Cell::new(
            "t-route",
            routed + &victims_route("t-route", "www.t-route.test"),
            "VirtualService tenant-victim/t-route",
        ),
        Cell::new(
            "t-wild",
            wild + &victims_route("t-wild", "*.t-wild.test"),
            "VirtualService tenant-victim/t-wild",
        ),
        Cell::new("t-bound", bound, &admitted),
        Cell::new("t-redirect", gateway(HOME, "t-redirect", &redirect), "tenant-victim/*.t-redirect.test"),
        // An annotated source of the attacker's, with a Secret of its own.
        Cell::new("t-source", sourced, &sourced_scope)
            .attack(annotated_gateway(ATTACKER, "t-source", &own_tls)),
        // A route on a port that nobody reaches makes the name nobody's own.
        Cell::new(
            "t-port",
            ported + &victims_route("t-port", "www.t-port.test"),
            "VirtualService tenant-victim/t-port",
        )
        .attack(
            [
                gateway(ATTACKER, "t-port", &[elsewhere]),
                route(ATTACKER, "t-port", "tenant-attacker/t-port", &["www.t-port.test"]),
                certificate(ATTACKER, "t-port", &["www.t-port.test"]),
            ]
            .concat(),
        ),
        exported(),
    ]
}

/// The Envoys are in another namespace than the Gateway, and it is to them that the victim's route is exported.
fn exported() -> Cell {
    let route = route(VICTIM, "t-export", "app/t-export", &["www.t-export.test"]);
    let setting = gateway("app", "t-export", &[http("t-export", &["www.t-export.test"], "")])
        + &route.replace("spec:\n", "spec:\n  exportTo: [istio-system]\n");
    Cell::new("t-export", setting, "VirtualService tenant-victim/t-export")
}

/// A Gateway that is for the victim's namespace only, and how it says so.
fn scoped(name: &'static str) -> (String, String) {
    scoped_with(name, String::new())
}

fn scoped_with(name: &str, more: String) -> (String, String) {
    let entry = format!("{VICTIM}/{}", host(name));
    (gateway(HOME, name, &[http(name, &[&entry], "")]) + &more, entry)
}

/// A Gateway that takes routes of all namespaces.
fn open(name: &str) -> (String, String) {
    let host = host(name);
    (gateway(HOME, name, &[http(name, &[&host], "")]), host)
}

fn victims_route(name: &str, host: &str) -> String {
    route(VICTIM, name, &format!("{HOME}/{name}"), &[host])
}

/// `allowedRoutes`, and ListenerSets.
fn gateway_api() -> Vec<Cell> {
    let of_victim = "{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: tenant-victim}}}";
    let listener = |name: &str| format!("listener http of Gateway {HOME}/{name}");
    let set = "---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: t-set, namespace: tenant-attacker, annotations: {gatecert.dev/cluster-issuer: pebble}}
spec:
  parentRef: {name: t-set, namespace: istio-system, kind: Gateway, group: gateway.networking.k8s.io}
  listeners:
  - {name: https, port: 443, protocol: HTTPS, hostname: www.t-set.test, tls: {certificateRefs: [{name: t-set}]}}
";
    let owned = listening("t-owned", "{from: All}") + &http_route(VICTIM, "t-owned");
    let attached = listening("t-attached", "{from: Same}") + &http_route(ATTACKER, "t-attached");
    vec![
        Cell::new("t-same", listening("t-same", "{from: Same}"), &listener("t-same")).entitled(HOME),
        Cell::new("t-select", listening("t-select", of_victim), &listener("t-select")),
        Cell::new("t-owned", owned, "HTTPRoute tenant-victim/t-owned"),
        // A route that is not taken makes the name nobody's own.
        Cell::new("t-attached", attached, &listener("t-attached")).entitled(HOME),
        // A source of the attacker's: a ListenerSet that the Gateway does not take.
        Cell::new("t-set", listening("t-set", "{from: Same}"), &listener("t-set")).attack(set).entitled(HOME),
        // An issuer of the attacker's that names the listener.
        Cell::new("t-parent", listening("t-parent", "{from: Same}"), &listener("t-parent"))
            .attack(
                certificate(ATTACKER, "t-parent", &["www.t-parent.test"])
                    .replace("name: pebble, kind: ClusterIssuer", "name: own-parent, kind: Issuer"),
            )
            .entitled(HOME),
    ]
}

/// A Gateway of the Gateway API on the Envoy that is there, whose listener takes routes of these namespaces.
pub(super) fn listening(name: &str, namespaces: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {HOME}}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}}]
  listeners:
  - {{name: http, port: 80, protocol: HTTP, hostname: {}, allowedRoutes: {{namespaces: {namespaces}}}}}
",
        host(name)
    )
}

/// A route of a namespace on the Gateway of this name.
pub(super) fn http_route(namespace: &str, name: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hostnames: ['{}']
  parentRefs: [{{name: {name}, namespace: {HOME}}}]
  rules: [{{backendRefs: [{{name: web, port: 8000}}]}}]
",
        host(name)
    )
}

/// Ingresses.
fn ingress() -> Vec<Cell> {
    let name_of = |name: &str| format!("Ingress {VICTIM}/{name}");
    // Its rules are for another host than it asks a certificate for. Istio reads the Secret where the gateway is, which
    // lets the attacker write this one: so that it is the name that is refused.
    let other = host("t-other");
    let annotated = ingress_of(ATTACKER, "t-rules", "www.t-rules-own.test")
        .replace("metadata: {", "metadata: {annotations: {gatecert.dev/cluster-issuer: pebble}, ")
        + "  tls: [{hosts: [www.t-rules.test], secretName: t-rules}]\n"
        + &grant(HOME, ATTACKER, "t-rules");
    let (by_class, scope) = scoped("t-class");
    let (hidden, _) = open("t-hidden");
    vec![
        Cell::new("t-ingress", ingress_of(VICTIM, "t-ingress", "www.t-ingress.test"), &name_of("t-ingress")),
        Cell::new("t-other", ingress_of(VICTIM, "t-other", "*.t-other.test"), &name_of("t-other")).attack(
            certificate(ATTACKER, "t-other", &[&other])
                .replace("name: pebble, kind: ClusterIssuer", OWN_ISSUER),
        ),
        Cell::new("t-rules", ingress_of(VICTIM, "t-rules", "www.t-rules.test"), &name_of("t-rules"))
            .attack(annotated),
        // The same Envoys have Gateways: their rules are not passed by through an Ingress.
        Cell::new("t-class", by_class, &scope).attack(
            certificate(ATTACKER, "t-class", &["www.t-class.test"])
                .replace("name: pebble, kind: ClusterIssuer", OWN_ISSUER),
        ),
        // Nor by an Ingress for all below a name, where a Gateway has the name itself.
        Cell::new(
            "t-hidden",
            hidden + &victims_route("t-hidden", "www.t-hidden.test"),
            "VirtualService tenant-victim/t-hidden",
        )
        .attack(
            ingress_of(ATTACKER, "t-hidden", "*.t-hidden.test")
                + &certificate(ATTACKER, "t-hidden", &["www.t-hidden.test"])
                    .replace("name: pebble, kind: ClusterIssuer", OWN_ISSUER),
        ),
    ]
}

/// An Ingress of Istio's class.
pub(super) fn ingress_of(namespace: &str, name: &str, host: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  ingressClassName: istio
  rules:
  - host: '{host}'
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 8000}}}}}}}}]}}
"
    )
}

/// ClusterIssuers that are not for everybody, and issuers of other namespaces.
fn issuers(world: &World) -> Vec<Cell> {
    let with = |name: &str, more: &str| {
        format!("---\n{}", world.issuer(name).replace("email:", &format!("{more}, email:")))
    };
    let named = "allow: [{namespaces: {names: [tenant-victim]}, dnsNames: ['*.t-allow.test']}]";
    let labelled =
        "allow: [{namespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: tenant-victim}}}}]";
    let chosen = "solvers: [{http01: {istio: {gateways: [{name: t-solver, namespace: istio-system}]}}}]";
    let of = |namespace: &str, name: &str, more: &str| {
        with(name, more)
            .replace("kind: ClusterIssuer", "kind: Issuer")
            .replace("metadata: {", &format!("metadata: {{namespace: {namespace}, "))
    };
    // The attacker's own: by Ingresses of Istio's class, and by a listener that is another's.
    let by_class = of(ATTACKER, "own", "solvers: [{http01: {ingress: {ingressClassName: istio}}}]");
    let parents =
        "{gatewayAPI: {parentRefs: [{name: t-parent, namespace: istio-system, sectionName: http}]}}";
    let by_parent = of(ATTACKER, "own-parent", &format!("solvers: [{{http01: {parents}}}]"));
    let (allowed, _) = open("t-allow");
    let (selected, _) = open("t-label");
    let own_gateway = gateway(ATTACKER, "t-solver", &[http("t-solver-own", &["www.t-solver.test"], "")]);
    let (private, _) = open("t-private");
    vec![
        Cell::new("t-allow", allowed + &with("t-allow", named) + &by_class + &by_parent, "spec.acme.allow")
            .by("name: t-allow, kind: ClusterIssuer"),
        Cell::new("t-label", selected + &with("t-label", labelled), "spec.acme.allow")
            .by("name: t-label, kind: ClusterIssuer"),
        // A ClusterIssuer's solvers are its own: a Gateway that they do not name is no help.
        Cell::new("t-solver", with("t-solver", chosen) + &scoped("t-solver").0, "istio-system/t-solver")
            .attack(own_gateway + &certificate(ATTACKER, "t-solver", &["www.t-solver.test"]))
            .by("name: t-solver, kind: ClusterIssuer"),
        // An Issuer is for its own namespace.
        Cell::new("t-private", private + &of(VICTIM, "t-private", "profile: default"), "")
            .by("name: t-private, kind: Issuer")
            .refused("IssuerNotFound", &["Issuer tenant-attacker/t-private"]),
    ]
}

/// Secrets of other namespaces.
fn secrets() -> Vec<Cell> {
    let into = |namespace: &str, cell: &str, secret: &str| {
        certificate_with(ATTACKER, cell, &[&host(cell)], &format!(", secretNamespace: {namespace}"))
            .replace(&format!("secretName: {cell}"), &format!("secretName: {secret}"))
    };
    let (ungranted, _) = open("t-secret");
    let (narrow, _) = open("t-grant");
    let (account, _) = open("t-account");
    let no = "SecretNamespaceNotAllowed";
    vec![
        Cell::new("t-secret", ungranted, "")
            .attack(into(VICTIM, "t-secret", "t-secret"))
            .refused(no, &["tenant-victim", "Secret t-secret"]),
        // A grant for another Secret, and one for another namespace.
        Cell::new(
            "t-grant",
            narrow + &grant(VICTIM, ATTACKER, "t-other") + &grant(VICTIM, HOME, "t-grant"),
            "",
        )
        .attack(into(VICTIM, "t-grant", "t-grant"))
        .refused(no, &["tenant-victim", "Secret t-grant"]),
        Cell::new("t-account", account, "")
            .attack(into("gatecert-system", "t-account", "pebble-account-key"))
            .refused(no, &["gatecert-system", "Secret pebble-account-key"]),
    ]
}

/// Lets Certificates of a namespace write one Secret.
pub(super) fn grant(namespace: &str, from: &str, secret: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: {secret}-{from}, namespace: {namespace}}}
spec:
  from: [{{group: gatecert.dev, kind: Certificate, namespace: {from}}}]
  to: [{{group: '', kind: Secret, name: {secret}}}]
"
    )
}
