use super::*;
use serde::de::DeserializeOwned;

/// A cluster of the objects in a YAML text. Objects are as old as their place in it, unless they say.
fn cluster(text: &str) -> Cluster {
    fn push<T: DeserializeOwned + Resource>(list: &mut Vec<Arc<T>>, document: &str, number: usize) {
        let mut object: T = serde_saphyr::from_str(document).unwrap();
        let meta = object.meta_mut();
        meta.uid.get_or_insert_with(|| format!("uid-{number}"));
        meta.creation_timestamp.get_or_insert_with(|| {
            serde_json::from_value(format!("2026-11-23T12:00:{number:02}Z").into()).unwrap()
        });
        list.push(Arc::new(object));
    }
    let mut cluster = Cluster::default();
    for (number, document) in text.split("---\n").enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let object: serde_json::Value = serde_saphyr::from_str(document).unwrap();
        match (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()) {
            ("networking.istio.io/v1", "Gateway") => push(&mut cluster.istio_gateways, document, number),
            (_, "Gateway") => push(&mut cluster.gateways, document, number),
            (_, "ListenerSet") => push(&mut cluster.listener_sets, document, number),
            (_, "Ingress") => push(&mut cluster.ingresses, document, number),
            (_, "IngressClass") => push(&mut cluster.ingress_classes, document, number),
            (_, "Service") => push(&mut cluster.services, document, number),
            other => panic!("{other:?}"),
        }
    }
    cluster
}

/// A Certificate in one line.
fn line(certificate: &Certificate) -> String {
    let (meta, spec) = (&certificate.metadata, &certificate.spec);
    let owner = &meta.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), None));
    assert_eq!(meta.labels.as_ref().unwrap()["app.kubernetes.io/managed-by"], "gatecert");
    let secret = ObjectName::new(spec.secret_namespace.as_deref().unwrap_or("."), &spec.secret_name);
    let mut line = format!(
        "{}/{} of {} {}: {} in {secret} by {} {}",
        meta.namespace.as_ref().unwrap(),
        meta.name.as_ref().unwrap(),
        owner.kind,
        owner.name,
        spec.names().collect::<Vec<_>>().join(" "),
        spec.issuer_ref.kind.unwrap().as_str(),
        spec.issuer_ref.name,
    );
    if let Some(key) = &spec.private_key {
        line += &format!(" {:?} {:?}", key.algorithm(), key.rotation_policy);
    }
    for more in [&spec.common_name, &spec.profile, &spec.renew_before].into_iter().flatten() {
        line += &format!(" {more}");
    }
    line
}

fn lines(wanted: &Wanted) -> Vec<String> {
    wanted.certificates.iter().map(line).collect()
}

/// Errors and warnings, each with its source.
fn messages(wanted: &Wanted) -> Vec<String> {
    let title = |source: &ObjectReference| source.name.clone().unwrap();
    let errors = wanted.errors.iter().map(|(source, error)| format!("{}: {error}", title(source)));
    let warnings = wanted.warnings.iter().map(|(source, warning)| format!("{}: {warning}", title(source)));
    errors.chain(warnings).collect()
}

type Lines<'a> = &'a [&'a str];

fn assert_wanted(text: &str, certificates: Lines<'_>, expected: Lines<'_>) {
    let wanted = wanted(&cluster(text));
    assert_eq!(lines(&wanted), certificates, "{text}");
    let messages = messages(&wanted);
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
    for (message, expected) in messages.iter().zip(expected) {
        assert!(message.contains(expected), "{message:?} has no {expected:?}");
    }
}

/// Istio's Gateway `public` in `shop` with these servers and annotations.
fn istio_gateway(annotations: &str, servers: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ namespace: shop, name: public, annotations: {{ {annotations} }} }}
spec: {{ selector: {{ istio: ingressgateway }}, servers: [{servers}] }}
"
    )
}

fn server(protocol: &str, hosts: &str, tls: &str) -> String {
    format!("{{ port: {{ number: 443, protocol: {protocol} }}, hosts: [{hosts}], tls: {{ {tls} }} }}")
}

fn service(namespace: &str, selector: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{ namespace: {namespace}, name: ingress }}
spec: {{ selector: {{ {selector} }} }}
"
    )
}

fn ingress(namespace: &str, name: &str, annotations: &str, tls: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{ namespace: {namespace}, name: {name}, annotations: {{ {annotations} }} }}
spec: {{ tls: [{tls}] }}
"
    )
}

const BY_LE: &str = "gatecert.dev/issuer: le";

#[test]
fn only_annotated_objects_want_certificates() {
    let servers = server("HTTPS", "www.example.com", "mode: SIMPLE, credentialName: www");
    assert_wanted(&istio_gateway("", &servers), &[], &[]);
    let expected = "shop/www of Gateway public: www.example.com in ./www by Issuer le";
    assert_wanted(&istio_gateway(BY_LE, &servers), &[expected], &[]);
    let expected = "shop/www of Gateway public: www.example.com in ./www by ClusterIssuer all";
    assert_wanted(&istio_gateway("gatecert.dev/cluster-issuer: all", &servers), &[expected], &[]);
}

#[test]
fn servers_of_an_istio_gateway() {
    type Server<'a> = (&'a str, &'a str, &'a str);
    let cases: &[(&[Server<'_>], Lines<'_>, Lines<'_>)] = &[
        // Only what ends TLS with a Secret.
        (&[("HTTPS", "a.example.com", "mode: PASSTHROUGH, credentialName: x")], &[], &[]),
        (&[("HTTP", "a.example.com", "httpsRedirect: true")], &[], &[]),
        (&[("HTTPS", "a.example.com", "mode: SIMPLE")], &[], &[]),
        (
            &[("TLS", "a.example.com", "mode: MUTUAL, credentialName: x")],
            &["shop/x of Gateway public: a.example.com in ./x by Issuer le"],
            &[],
        ),
        // All hosts of all servers, sorted, once, in lower case, without their namespaces.
        (
            &[
                ("HTTPS", "shop/B.example.com, ./a.example.com", "mode: SIMPLE, credentialName: x"),
                ("https", "'*/c.example.com', b.example.com", "mode: OPTIONAL_MUTUAL, credentialName: x"),
            ],
            &["shop/x of Gateway public: a.example.com b.example.com c.example.com in ./x by Issuer le"],
            &[],
        ),
        // Wildcards and what is no name.
        (
            &[("HTTPS", "'*.example.com', a.example.com", "mode: SIMPLE, credentialName: x")],
            &["shop/x of Gateway public: a.example.com in ./x by Issuer le"],
            &["public: Secret shop/x: *.example.com left out, since HTTP-01 proves neither wildcards"],
        ),
        (
            &[("HTTPS", "'*', localhost, 10.0.0.1", "mode: SIMPLE, credentialName: x")],
            &[],
            &["public: Secret shop/x: no certificate for *, 10.0.0.1, localhost, since HTTP-01"],
        ),
        // Names of Secrets.
        (
            &[
                ("HTTPS", "a.example.com", "mode: SIMPLE, credentialName: 'kubernetes://x'"),
                ("HTTPS", "b.example.com", "mode: SIMPLE, credentialName: 'kubernetes://other/y'"),
            ],
            &[
                "shop/x of Gateway public: a.example.com in ./x by Issuer le",
                "shop/y of Gateway public: b.example.com in other/y by Issuer le",
            ],
            &[],
        ),
        (
            &[
                ("HTTPS", "a.example.com", "mode: SIMPLE, credentialName: 'sds://x'"),
                ("HTTPS", "a.example.com", "mode: SIMPLE, credentialName: x-cacert"),
            ],
            &[],
            &["\"sds://x\": no certificate", "Secret shop/x-cacert: no certificate"],
        ),
        // A pair of keys.
        (
            &[("HTTPS", "a.example.com", "mode: SIMPLE, credentialNames: [x-ec, x-rsa]")],
            &[
                "shop/x-ec of Gateway public: a.example.com in ./x-ec by Issuer le (Ecdsa, 256) None",
                "shop/x-rsa of Gateway public: a.example.com in ./x-rsa by Issuer le (Rsa, 2048) None",
            ],
            &[],
        ),
    ];
    for (servers, certificates, messages) in cases {
        let servers: Vec<_> =
            servers.iter().map(|(protocol, hosts, tls)| server(protocol, hosts, tls)).collect();
        assert_wanted(&istio_gateway(BY_LE, &servers.join(", ")), certificates, messages);
    }
}

#[test]
fn the_secret_of_an_istio_gateway_is_where_its_pods_are() {
    let gateway = istio_gateway(BY_LE, &server("HTTPS", "a.example.com", "mode: SIMPLE, credentialName: x"));
    type Services<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(Services<'_>, &str, Lines<'_>)] = &[
        (&[], ".", &[]),
        (&[("istio-system", "istio: ingressgateway")], "istio-system", &[]),
        (&[("istio-system", "istio: ingressgateway, app: gateway")], "istio-system", &[]),
        (&[("istio-system", "istio: eastwest"), ("other", "")], ".", &[]),
        (&[("shop", "istio: ingressgateway")], ".", &[]),
        (&[("a", "istio: ingressgateway"), ("shop", "istio: ingressgateway")], ".", &[]),
        (
            &[("a", "istio: ingressgateway"), ("b", "istio: ingressgateway")],
            ".",
            &["Services of several namespaces (a, b)"],
        ),
    ];
    for (services, namespace, messages) in cases {
        let services: String =
            services.iter().map(|(namespace, selector)| service(namespace, selector)).collect();
        let expected = format!("shop/x of Gateway public: a.example.com in {namespace}/x by Issuer le");
        assert_wanted(&format!("{gateway}{services}"), &[&expected], messages);
    }
}

#[test]
fn listeners_of_the_gateway_api() {
    let text = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: shop, name: public, annotations: { gatecert.dev/issuer: le } }
spec:
  gatewayClassName: istio
  listeners:
    - { name: http, port: 80, protocol: HTTP, hostname: z.example.com }
    - { name: a, port: 443, protocol: HTTPS, hostname: a.example.com, tls: { certificateRefs: [{ name: x }] } }
    - { name: b, port: 443, protocol: HTTPS, hostname: b.example.com, tls: { mode: Terminate, certificateRefs: [{ kind: Secret, group: '', name: x }] } }
    - { name: c, port: 443, protocol: HTTPS, hostname: c.example.com, tls: { certificateRefs: [{ name: y, namespace: tls }] } }
    - { name: d, port: 443, protocol: TLS, hostname: d.example.com, tls: { mode: Passthrough, certificateRefs: [{ name: p }] } }
    - { name: e, port: 443, protocol: HTTPS, hostname: e.example.com, tls: { certificateRefs: [{ name: m, kind: ConfigMap }] } }
    - { name: f, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: any }] } }
    - { name: g, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: { certificateRefs: [{ name: wild }] } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { namespace: shop, name: more, annotations: { gatecert.dev/issuer: le } }
spec:
  parentRef: { name: public }
  listeners:
    - { name: h, port: 443, protocol: HTTPS, hostname: h.example.com, tls: { certificateRefs: [{ name: x }, { name: h, namespace: shop }] } }
";
    let certificates = [
        "shop/h of ListenerSet more: h.example.com in ./h by Issuer le",
        "shop/x of Gateway public: a.example.com b.example.com h.example.com in ./x by Issuer le",
        "shop/y of Gateway public: c.example.com in tls/y by Issuer le",
    ];
    let messages = [
        "Secret shop/any: no certificate for *, since",
        "Secret shop/wild: no certificate for *.example.com",
    ];
    assert_wanted(text, &certificates, &messages);
}

/// The tutorial of 2018: every public name in one Secret, which its Istio read; and the annotation of its class.
#[test]
fn ingresses_that_name_one_secret_share_a_certificate() {
    let istio = "kubernetes.io/ingress.class: istio, gatecert.dev/issuer: le";
    let first = ingress(
        "istio-system",
        "web",
        istio,
        "{ hosts: [www.example.com], secretName: istio-ingress-certs }",
    );
    let second = ingress(
        "istio-system",
        "api",
        istio,
        "{ hosts: [api.example.com], secretName: istio-ingress-certs }",
    );
    let shared = "istio-system/istio-ingress-certs of Ingress web: api.example.com www.example.com \
                  in ./istio-ingress-certs by Issuer le";
    assert_wanted(&format!("{first}{second}"), &[shared], &[]);
    // Not with another namespace, nor with one without the annotation.
    let other = ingress("other", "api", BY_LE, "{ hosts: [c.example.com], secretName: istio-ingress-certs }");
    let silent =
        ingress("istio-system", "docs", "", "{ hosts: [d.example.com], secretName: istio-ingress-certs }");
    let apart =
        "other/istio-ingress-certs of Ingress api: c.example.com in ./istio-ingress-certs by Issuer le";
    assert_wanted(&format!("{first}{second}{other}{silent}"), &[shared, apart], &[]);
}

#[test]
fn the_oldest_source_decides() {
    let old = ingress("shop", "old", BY_LE, "{ hosts: [a.example.com], secretName: x }");
    let issuer =
        ingress("shop", "b", "gatecert.dev/issuer: other", "{ hosts: [b.example.com], secretName: x }");
    assert_wanted(
        &format!("{old}{issuer}"),
        &["shop/x of Ingress old: a.example.com in ./x by Issuer le"],
        &[
            "b: Secret shop/x: the names of this object are left out, since Ingress old has it issued by Issuer le",
        ],
    );
    let profile = format!("{BY_LE}, gatecert.dev/profile: shortlived");
    let profile = ingress("shop", "b", &profile, "{ hosts: [b.example.com], secretName: x }");
    assert_wanted(
        &format!("{old}{profile}"),
        &["shop/x of Ingress old: a.example.com b.example.com in ./x by Issuer le"],
        &["b: Secret shop/x: the annotations of Ingress old count"],
    );
    // Sources of several kinds share as well.
    let gateway = istio_gateway(BY_LE, &server("HTTPS", "c.example.com", "mode: SIMPLE, credentialName: x"));
    let shared = "shop/x of Gateway public: a.example.com c.example.com in ./x by Issuer le";
    assert_wanted(&format!("{gateway}{old}"), &[shared], &[]);
}

#[test]
fn secrets_of_ingresses() {
    let class = "---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: mesh }
spec: { controller: istio.io/ingress-controller }
";
    let pods = service("istio-system", "istio: ingressgateway");
    let tls = "{ hosts: [a.example.com], secretName: x }";
    let plain = ingress("shop", "web", BY_LE, tls);
    let expected =
        |namespace: &str| format!("shop/x of Ingress web: a.example.com in {namespace}/x by Issuer le");
    assert_wanted(&format!("{plain}{pods}{class}"), &[&expected(".")], &[]);
    // Istio reads them where its gateway runs.
    let meshed = plain.replace("spec: {", "spec: { ingressClassName: mesh,");
    assert_wanted(&format!("{meshed}{pods}{class}"), &[&expected("istio-system")], &[]);
    let annotated = ingress("shop", "web", &format!("kubernetes.io/ingress.class: istio, {BY_LE}"), tls);
    assert_wanted(&format!("{annotated}{pods}"), &[&expected("istio-system")], &[]);
    // No Secret, no hosts.
    assert_wanted(&ingress("shop", "web", BY_LE, "{ hosts: [a.example.com] }"), &[], &[]);
    let message = ["web: Secret shop/x: no certificate for *, since"];
    assert_wanted(&ingress("shop", "web", BY_LE, "{ secretName: x }"), &[], &message);
}

#[test]
fn secrets_of_one_name_in_several_namespaces() {
    let gateway = |names: [&str; 3]| {
        let servers = names
            .map(|name| server("HTTPS", "a.example.com", &format!("mode: SIMPLE, credentialName: '{name}'")));
        istio_gateway(BY_LE, &servers.join(", "))
    };
    let certificates = [
        "shop/x of Gateway public: a.example.com in one/x by Issuer le",
        "shop/x-two of Gateway public: a.example.com in two/x by Issuer le",
        "shop/y of Gateway public: a.example.com in ./y by Issuer le",
    ];
    assert_wanted(&gateway(["kubernetes://one/x", "kubernetes://two/x", "y"]), &certificates, &[]);
    let taken = ["Secret two/x: no certificate, since the Certificate shop/x-two is for another Secret"];
    let certificates =
        [certificates[0], "shop/x-two of Gateway public: a.example.com in one/x-two by Issuer le"];
    let gateway = gateway(["kubernetes://one/x", "kubernetes://two/x", "kubernetes://one/x-two"]);
    assert_wanted(&gateway, &certificates, &taken);
}

#[test]
fn annotations_that_are_read() {
    let cases = [
        ("", ""),
        ("private-key-algorithm: RSA", " (Rsa, 2048) None"),
        ("private-key-algorithm: RSA, gatecert.dev/private-key-size: '4096'", " (Rsa, 4096) None"),
        ("private-key-size: '384'", " (Ecdsa, 384) None"),
        ("private-key-rotation-policy: Never", " (Ecdsa, 256) Some(Never)"),
        ("profile: shortlived", " shortlived"),
        ("common-name: A.example.com", " a.example.com"),
        ("renew-before: 1h30m", " 1h30m"),
        ("renew-before: 1.5h", " 1.5h"),
    ];
    for (annotation, expected) in cases {
        let annotation =
            if annotation.is_empty() { String::new() } else { format!(", gatecert.dev/{annotation}") };
        let text = ingress(
            "shop",
            "web",
            &format!("{BY_LE}{annotation}"),
            "{ hosts: [a.example.com], secretName: x }",
        );
        let expected = format!("shop/x of Ingress web: a.example.com in ./x by Issuer le{expected}");
        assert_wanted(&text, &[&expected], &[]);
    }
    let text = format!("{BY_LE}, gatecert.dev/common-name: b.example.com");
    let text = ingress("shop", "web", &text, "{ hosts: [a.example.com], secretName: x }");
    assert_wanted(
        &text,
        &["shop/x of Ingress web: a.example.com in ./x by Issuer le"],
        &["web: common name b.example.com is left out"],
    );
}

#[test]
fn annotations_that_can_not_be_read() {
    let long = "x".repeat(300);
    let cases = [
        ("gatecert.dev/issuer: ''", "gatecert.dev/issuer is \"\", allowed is the name of an issuer"),
        ("gatecert.dev/cluster-issuer: ''", "gatecert.dev/cluster-issuer is \"\""),
        (
            "gatecert.dev/issuer: a, gatecert.dev/cluster-issuer: b",
            "gatecert.dev/issuer and gatecert.dev/cluster-issuer exclude each other",
        ),
        (
            "gatecert.dev/issuer: a, gatecert.dev/private-key-algorithm: Ed25519",
            "the annotation gatecert.dev/private-key-algorithm is \"Ed25519\", allowed is ECDSA or RSA",
        ),
        ("gatecert.dev/issuer: a, gatecert.dev/private-key-size: '2048'", "allowed is 256 or 384 for ECDSA"),
        (
            "gatecert.dev/issuer: a, gatecert.dev/private-key-rotation-policy: never",
            "allowed is Always or Never",
        ),
        (
            "gatecert.dev/issuer: a, gatecert.dev/renew-before: 30d",
            "renew-before is \"30d\", allowed is a duration",
        ),
        ("gatecert.dev/issuer: a, gatecert.dev/renew-before: ''", "allowed is a duration"),
        ("gatecert.dev/issuer: a, gatecert.dev/renew-before: h", "allowed is a duration"),
        ("gatecert.dev/issuer: a, gatecert.dev/renew-before: 1h2", "allowed is a duration"),
        ("gatecert.dev/issuer: a, gatecert.dev/common-name: '*.example.com'", "allowed is a full DNS name"),
        (
            &format!("gatecert.dev/issuer: a, gatecert.dev/profile: {long}"),
            &format!("is \"{}\", allowed is the name of a profile", "x".repeat(64)),
        ),
    ];
    for (annotations, message) in cases {
        let text = ingress("shop", "web", annotations, "{ hosts: [a.example.com], secretName: x }");
        assert_wanted(&text, &[], &[message]);
        let held = wanted(&cluster(&text)).held;
        assert_eq!(held, [ObjectName::new("shop", "x")].into(), "{annotations}");
    }
}

#[test]
fn too_many_names_change_nothing() {
    let hosts = |count| (0..count).map(|n| format!("h{n}.example.com")).collect::<Vec<_>>().join(", ");
    let text =
        |count| ingress("shop", "web", BY_LE, &format!("{{ hosts: [{}], secretName: x }}", hosts(count)));
    assert_eq!(wanted(&cluster(&text(100))).certificates.len(), 1);
    assert_wanted(&text(101), &[], &["101 names are wanted and a certificate holds 100"]);
    assert_eq!(wanted(&cluster(&text(101))).held.len(), 1);
}

#[test]
fn names_that_a_certificate_can_hold() {
    for good in ["a.example.com", "_x.example.com", "xn--bcher-kva.example", "1.2.example"] {
        assert!(is_dns_name(good), "{good}");
    }
    let long = format!("{}.com", "a".repeat(64));
    let bad = [
        "",
        ".",
        "com",
        "*.example.com",
        "a..com",
        "a.example.com.",
        "-a.com",
        "a-.com",
        "10.0.0.1",
        "::1",
        "bücher.de",
        "a b.com",
    ];
    for bad in bad.into_iter().chain([long.as_str()]) {
        assert!(!is_dns_name(bad), "{bad}");
    }
}

/// What there would be after the changes are written.
fn written(wanted: &Wanted) -> Vec<Arc<Certificate>> {
    wanted.certificates.iter().cloned().map(Arc::new).collect()
}

const A: &str = "{ hosts: [a.example.com], secretName: x }";
const B: &str = "{ hosts: [b.example.com], secretName: x }";

#[test]
fn what_is_missing_or_differs_is_applied() {
    let before = wanted(&cluster(&ingress("shop", "web", BY_LE, A)));
    let changes = before.changes(&[]);
    assert_eq!((changes.apply.as_slice(), changes.delete.len()), (before.certificates.as_slice(), 0));
    assert_eq!(before.changes(&written(&before)), Changes::default());

    let after = wanted(&cluster(&ingress("shop", "web", BY_LE, B)));
    assert_eq!(after.changes(&written(&before)).apply, after.certificates);
    // An annotation that goes away counts as well.
    let profile = format!("{BY_LE}, gatecert.dev/profile: shortlived");
    let profile = wanted(&cluster(&ingress("shop", "web", &profile, A)));
    assert_eq!(before.changes(&written(&profile)).apply, before.certificates);
}

#[test]
fn what_others_set_is_left_alone() {
    let wanted = wanted(&cluster(&ingress("shop", "web", BY_LE, A)));
    let mut edited = wanted.certificates[0].clone();
    edited.spec.secret_template = Some(Default::default());
    edited.spec.usages = Some(vec!["server auth".into()]);
    edited.labels_mut().insert("team".into(), "web".into());
    edited.metadata.resource_version = Some("7".into());
    assert_eq!(wanted.changes(&[Arc::new(edited)]), Changes::default());
}

#[test]
fn what_is_not_wanted_any_more_is_deleted() {
    let before = wanted(&cluster(&ingress("shop", "web", BY_LE, A)));
    let existing = written(&before);
    for after in [ingress("shop", "web", "", A), ingress("shop", "web", BY_LE, &A.replace('x', "y"))] {
        assert_eq!(wanted(&cluster(&after)).changes(&existing).delete, existing);
    }
    // Unless its source can not be read, or is gone: then it is the garbage collector's.
    let broken = wanted(&cluster(&ingress("shop", "web", "gatecert.dev/issuer: ''", A)));
    assert_eq!(broken.changes(&existing), Changes::default());
    assert_eq!(Wanted::default().changes(&existing), Changes::default());
}

#[test]
fn a_source_that_can_not_be_read_takes_no_names_away() {
    let (web, api) = (ingress("shop", "web", BY_LE, A), ingress("shop", "api", BY_LE, B));
    let existing = written(&wanted(&cluster(&format!("{web}{api}"))));
    let broken = ingress("shop", "api", &format!("{BY_LE}, gatecert.dev/renew-before: soon"), B);
    assert_eq!(wanted(&cluster(&format!("{web}{broken}"))).changes(&existing), Changes::default());
}

#[test]
fn a_certificate_goes_to_the_next_owner() {
    let (web, api) = (ingress("shop", "web", BY_LE, A), ingress("shop", "api", BY_LE, B));
    let existing = written(&wanted(&cluster(&format!("{web}{api}"))));
    for after in [format!("{}{api}", ingress("shop", "web", "", A)), format!("---\n{api}")] {
        let changes = wanted(&cluster(&after)).changes(&existing);
        let applied: Vec<_> = changes.apply.iter().map(line).collect();
        assert_eq!(applied, ["shop/x of Ingress api: b.example.com in ./x by Issuer le"]);
        assert!(changes.delete.is_empty() && changes.conflicts.is_empty());
    }
}

#[test]
fn a_certificate_that_no_source_made_is_a_conflict() {
    let wanted = wanted(&cluster(&ingress("shop", "web", BY_LE, A)));
    let made = &wanted.certificates[0];
    let (mut foreign, mut unlabelled, mut other) = (made.clone(), made.clone(), made.clone());
    foreign.metadata.owner_references = None;
    unlabelled.metadata.labels = None;
    other.metadata.owner_references.as_mut().unwrap()[0].kind = "HelmRelease".into();
    for existing in [foreign, unlabelled, other] {
        let changes = wanted.changes(&[Arc::new(existing)]);
        assert!(changes.apply.is_empty() && changes.delete.is_empty());
        assert_eq!(changes.conflicts[0].certificate, ObjectName::new("shop", "x"));
        assert_eq!(changes.conflicts[0].source.kind.as_deref(), Some("Ingress"));
        assert_eq!(changes.conflicts[0].source.name.as_deref(), Some("web"));
    }
}

#[test]
fn ten_thousand_sources() {
    let gateway = istio_gateway(BY_LE, &server("HTTPS", "a.example.com", "mode: SIMPLE, credentialName: x"));
    let one = cluster(&format!("{gateway}{}", service("istio-system", "istio: ingressgateway")));
    let mut many = one.clone();
    for number in 1..10_000 {
        let mut gateway = one.istio_gateways[0].as_ref().clone();
        gateway.metadata.name = Some(format!("gateway-{number}"));
        gateway.metadata.uid = Some(format!("gateway-{number}"));
        gateway.spec.servers[0].hosts = vec![format!("h{number}.example.com")];
        gateway.spec.servers[0].tls.as_mut().unwrap().credential_name = Some(format!("secret-{number}"));
        many.istio_gateways.push(Arc::new(gateway));
        let mut service = one.services[0].as_ref().clone();
        service.spec.selector = [("app".to_owned(), format!("app-{number}"))].into();
        many.services.push(Arc::new(service));
    }
    let wanted = wanted(&many);
    assert_eq!(wanted.certificates.len(), 10_000);
    assert_eq!(wanted.changes(&written(&wanted)), Changes::default());
}
