//! Faults on the way of a challenge: each is seen at Envoy, then named.

use crate::Outcome;
use crate::doctor::well;
use crate::manifest::{certificate, gateway, http, https, object, route};
use crate::world::{PATH, World};
use gatecert_render::{Answer, ServiceName};
use gatecert_testkit::cluster::service;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Where the responder is.
const RESPONDER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// Where the responder with a sidecar is.
const SIDECAR: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 6);

/// An issuer whose challenges are answered by the responder.
const BY_RESPONDER: &str = "---
apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {name: by-responder}
spec: {acme: {server: letsencrypt, solvers: [{http01: {istio: {answer: Responder}}}]}}
";

/// A Pod of the responder with the container by which a sidecar is known, as the namespace of an installation admits it.
const SIDECAR_POD: &str = "---
apiVersion: v1
kind: Pod
metadata: {name: gatecert-meshed, namespace: gatecert-system, labels: {app.kubernetes.io/name: gatecert}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - {name: controller, image: none, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
  - {name: istio-proxy, image: none, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
";

/// How long it takes until the next object is younger.
const AGE: Duration = Duration::from_millis(1100);

const SECURITY: &str = "security.istio.io/v1";

/// A key that tokens could be signed by (RFC 7517 appendix A.1).
const JWKS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// By the responder's Service.
fn by_service() -> Answer {
    Answer::Responder(ServiceName {
        namespace: "gatecert-system".into(),
        name: "gatecert-responder".into(),
        port: 8089,
    })
}

pub async fn nobody_serves_it(world: &World) -> Outcome {
    world.apply(&certificate("istio-system", "nobody", "www.nobody.test")).await?;
    // On port 443 alone.
    world.apply(&gateway("nobody", &[https("nobody", "www.nobody.test", "nobody")])).await?;
    world.secret("nobody", "www.nobody.test", -1, 60).await?;
    world.is_taken("www.nobody.test", true).await?;
    world.challenge("istio-system", "nobody", "www.nobody.test", &Answer::Direct).await?;
    world.answers("www.nobody.test", PATH, 404).await?;
    world.ready_certificate("nobody", "www.nobody.test").await?;
    let report = world.doctor("www.nobody.test", &[]).await?;
    report.expect(&["gateway-missing"]);
    // With the server that the fix adds, the challenge is answered.
    world.mend(report.check("gateway-missing")["fix"].as_str().unwrap()).await?;
    world.answers("www.nobody.test", PATH, 200).await?;
    world.doctor("www.nobody.test", &[]).await?.expect(&[]);
    Ok(())
}

/// The issuer is for others' names, until the fix has it for this one.
pub async fn no_solver_is_for_it(world: &World) -> Outcome {
    let (name, host) = ("picky", "www.picky.test");
    well(world, name, host).await?;
    let issuer = "apiVersion: gatecert.dev/v1
kind: ClusterIssuer
metadata: {name: picky}
spec: {acme: {server: letsencrypt, solvers: [{selector: {dnsZones: [other.test]}, http01: {auto: {}}}]}}
";
    world.apply(issuer).await?;
    world.status("ClusterIssuer", None, name, &crate::world::ready_issuer()).await?;
    world
        .apply(&certificate("istio-system", name, host).replace("{name: letsencrypt,", "{name: picky,"))
        .await?;
    let report = world.doctor(host, &[]).await?;
    let missing = report.check("gateway-missing");
    assert!(
        missing["message"].as_str().unwrap().contains("no solver of the issuer is for www.picky.test"),
        "{report:#?}"
    );
    world.mend(missing["fix"].as_str().unwrap()).await?;
    world.doctor(host, &[]).await?.check("gateway-ok");
    Ok(())
}

pub async fn no_pod_is_ready(world: &World) -> Outcome {
    let manifests =
        gateway("unready", &[http("unready", "www.unready.test", "")]).replace("ingressgateway", "absent");
    let front = "---
apiVersion: v1
kind: Service
metadata: {name: absent, namespace: istio-system}
spec: {selector: {istio: absent}, ports: [{name: http, port: 80}]}
";
    world.apply(&(manifests + front)).await?;
    world.secret("unready", "www.unready.test", -1, 60).await?;
    world.ready_certificate("unready", "www.unready.test").await?;
    world.challenge("istio-system", "unready", "www.unready.test", &Answer::Direct).await?;
    world.answers("www.unready.test", PATH, 404).await?;
    let report = world.doctor("www.unready.test", &[]).await?;
    report.expect(&["gateway-not-ready", "secret-not-read"]);
    let not_ready = report.check("gateway-not-ready");
    assert!(not_ready["message"].as_str().unwrap().contains("istio-system/absent"), "{report:#?}");
    let fix = not_ready["fix"].as_str().unwrap();
    assert!(fix.contains("kubectl -n istio-system get pods -l istio=absent"), "{fix}");
    world.mend(fix).await?;
    Ok(())
}

pub async fn another_namespaces(world: &World) -> Outcome {
    let host = "www.closed.test";
    world.apply(&gateway("closed", &[http("closed", "istio-system/www.closed.test", "")])).await?;
    world.apply(&certificate("app", "closed", host)).await?;
    world.status("Certificate", Some("app"), "closed", &crate::world::ready()).await?;
    world.challenge("app", "closed", host, &Answer::Direct).await?;
    world.answers(host, PATH, 404).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["gateway-not-allowed", "secret-not-read", "secret-missing"]);
    assert_eq!(report.check("gateway-not-allowed")["object"], "Gateway istio-system/closed");
    // What the fix says lets the challenge pass.
    world.mend(report.check("gateway-not-allowed")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["secret-not-read", "secret-missing"]);
    Ok(())
}

pub async fn a_redirect(world: &World) -> Outcome {
    let (host, redirect) = ("www.redirect.test", ", tls: {httpsRedirect: true}");
    world
        .apply(&[gateway("redirect", &[http("redirect", host, redirect)]), route("redirect", host)].concat())
        .await?;
    world.secret("redirect", host, -1, 60).await?;
    world.ready_certificate("redirect", host).await?;
    world.challenge("istio-system", "redirect", host, &Answer::Direct).await?;
    world.answers(host, PATH, 301).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["http-broken", "gateway-redirect", "secret-not-read"]);
    assert_eq!(report.check("gateway-redirect")["object"], "Gateway istio-system/redirect");
    // With a server for HTTPS, as the fix adds it, the answer is given there.
    world.mend(report.check("gateway-redirect")["fix"].as_str().unwrap()).await?;
    world.is_taken(host, true).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&[]);
    assert!(report.check("gateway-ok")["message"].as_str().unwrap().contains("httpsRedirect"), "{report:#?}");
    Ok(())
}

pub async fn a_path_that_is_taken(world: &World) -> Outcome {
    let host = "www.taken.test";
    well(world, "taken", host).await?;
    let private = "{hosts: [www.taken.test], gateways: [taken], exportTo: ['.'], http: [{match: [{uri: {prefix: /.well-known}}], \
                   directResponse: {status: 410}}]}";
    let private = object("networking.istio.io/v1", "VirtualService", "istio-system", "private", private);
    world.apply(&private).await?;
    world.answers(host, PATH, 410).await?;
    world.challenge("istio-system", "taken", host, &Answer::Direct).await?;
    // Another route shows that istiod has seen the challenge's.
    world.apply(&route("taken", host).replace("prefix: /app", "prefix: /late")).await?;
    world.answers(host, "/late", 200).await?;
    world.answers(host, PATH, 410).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["http-unexpected", "gateway-path-taken"]);
    assert_eq!(report.check("gateway-path-taken")["object"], "VirtualService istio-system/private");
    // What the fix says helps.
    world.mend(report.check("gateway-path-taken")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    world.doctor(host, &[]).await?.expect(&["http-unexpected"]);
    Ok(())
}

pub async fn policies(world: &World) -> Outcome {
    let host = "www.policy.test";
    well(world, "policy", host).await?;
    world.challenge("istio-system", "policy", host, &Answer::Direct).await?;
    world.answers(host, PATH, 200).await?;
    let selector = "selector: {matchLabels: {istio: ingressgateway}}";
    let deny = format!(
        "{{{selector}, action: DENY, rules: [{{to: [{{operation: {{hosts: [www.policy.test], paths: [/.well-known/*]}}}}]}}]}}"
    );
    let deny = object(SECURITY, "AuthorizationPolicy", "istio-system", "deny", &deny);
    world.apply(&deny).await?;
    world.answers(host, PATH, 403).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["http-denied", "policy-denies"]);
    assert_eq!(report.check("policy-denies")["object"], "AuthorizationPolicy istio-system/deny");
    world.delete(&deny).await?;
    world.answers(host, PATH, 200).await?;

    // Whom it denies is known when a request comes, and who the CA will be is not.
    let some = deny.replace("rules: [{", "rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], ");
    world.apply(&some).await?;
    world.answers(host, PATH, 403).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["http-denied", "policy-may-deny"]);
    assert_eq!(report.check("policy-may-deny")["object"], "AuthorizationPolicy istio-system/deny");
    // With the change of the fix the policy is there still, and for other paths.
    world.mend(report.check("policy-may-deny")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    world.answers(host, "/.well-known/other", 403).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    world.delete(&some).await?;
    world.answers(host, "/.well-known/other", 404).await?;

    // Whoever has no token is not among those that are allowed.
    let tokens = format!("{{{selector}, jwtRules: [{{issuer: ca.test, jwks: '{JWKS}'}}]}}");
    let tokens = object(SECURITY, "RequestAuthentication", "istio-system", "tokens", &tokens);
    let allow = format!("{{{selector}, rules: [{{from: [{{source: {{requestPrincipals: ['*']}}}}]}}]}}");
    let allow = object(SECURITY, "AuthorizationPolicy", "istio-system", "allow", &allow);
    world.apply(&tokens).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&[]);
    assert!(
        report.check("policy-ok")["message"]
            .as_str()
            .unwrap()
            .contains("RequestAuthentication istio-system/tokens"),
        "{report:#?}"
    );
    world.answers(host, PATH, 200).await?;
    world.apply(&allow).await?;
    world.answers(host, PATH, 403).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["http-denied", "policy-denies"]);
    // The manifest of the fix, applied as it is printed, lets the challenge pass.
    let fix = report.check("policy-denies")["fix"].as_str().unwrap().to_owned();
    let manifest: String =
        fix.lines().filter(|line| !line.contains("EOF")).map(|line| format!("{line}\n")).collect();
    world.apply(&manifest).await?;
    world.answers(host, PATH, 200).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    for gone in [&allow, &manifest, &tokens] {
        world.delete(gone).await?;
    }
    world.answers(host, "/app", 200).await
}

pub async fn the_responder(world: &World) -> Outcome {
    let host = "www.responder.test";
    world.cluster.network.add_address(RESPONDER)?;
    let listener = TcpListener::bind((RESPONDER, 8089)).await?;
    let responder = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 2048];
            let _ = stream.read(&mut head).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoken.x")
                .await;
        }
    });
    let there = service("gatecert-system", "gatecert-responder", RESPONDER, 8089);
    world.apply(&there).await?;
    world.apply(BY_RESPONDER).await?;
    world.status("ClusterIssuer", None, "by-responder", &crate::world::ready_issuer()).await?;
    well(world, "responder", host).await?;
    let by_responder =
        certificate("istio-system", "responder", host).replace("{name: letsencrypt,", "{name: by-responder,");
    world.apply(&by_responder).await?;
    let generation = serde_json::json!({"conditions": [{
        "type": "Ready", "status": "True", "reason": "Issued", "message": "", "observedGeneration": 2,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    world.status("Certificate", Some("istio-system"), "responder", &generation).await?;
    world.challenge("istio-system", "responder", host, &by_service()).await?;
    world.answers(host, PATH, 200).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&[]);
    report.check("responder-ok");

    // The responder speaks plain HTTP. A rule beside the gateway is one for the whole mesh, behind that of gatecert.
    let by_tls = |namespace, name| {
        let spec = "{host: gatecert-responder.gatecert-system.svc.cluster.local, trafficPolicy: {tls: {mode: SIMPLE}}}";
        object("networking.istio.io/v1", "DestinationRule", namespace, name, spec)
    };
    let of_mesh = by_tls("istio-system", "by-tls");
    world.apply(&of_mesh).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    // One that is for Istio's own namespace alone comes before it.
    let private = of_mesh.replace("{host:", "{exportTo: ['.'], host:");
    world.apply(&private).await?;
    world.answers(host, PATH, 503).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["responder-tls"]);
    assert_eq!(report.check("responder-tls")["object"], "DestinationRule istio-system/by-tls");
    world.mend(report.check("responder-tls")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    // So does one for many hosts, before which there is room for a closer one.
    let wide = private.replace("host: gatecert-responder.gatecert-system", "host: '*.gatecert-system'");
    let wide = wide.replace("'*.gatecert-system'.svc.cluster.local", "'*.gatecert-system.svc.cluster.local'");
    world.apply(&wide).await?;
    world.answers(host, PATH, 503).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["responder-tls"]);
    world.mend(report.check("responder-tls")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    world.delete(&by_tls("istio-system", "gatecert-responder")).await?;
    world.apply(&of_mesh).await?;
    let instead = by_tls("gatecert-system", "gatecert-responder");
    world.apply(&instead).await?;
    world.answers(host, PATH, 503).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["responder-tls"]);
    assert_eq!(report.check("responder-tls")["object"], "DestinationRule gatecert-system/gatecert-responder");
    world.mend(report.check("responder-tls")["fix"].as_str().unwrap()).await?;
    world.answers(host, PATH, 200).await?;
    world.delete(&of_mesh).await?;

    world.apply(&there.replace("ready: true", "ready: false")).await?;
    world.answers(host, PATH, 503).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["responder-down"]);
    world.has_deployment(report.check("responder-down")["fix"].as_str().unwrap()).await?;
    responder.abort();
    Ok(())
}

/// No sidecar runs: in its place stands one who ends every connection, as a sidecar does with what is plain.
pub async fn a_sidecar_that_demands_tls(world: &World) -> Outcome {
    let host = "www.strict.test";
    world.cluster.network.add_address(SIDECAR)?;
    let listener = TcpListener::bind((SIDECAR, 8089)).await?;
    let sidecar = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let selected = "spec: {selector: {app.kubernetes.io/name: gatecert}, ports:";
    let there =
        service("gatecert-system", "gatecert-responder", SIDECAR, 8089).replace("spec: {ports:", selected);
    assert!(there.contains(selected), "{there}");
    world.apply(&there).await?;
    world.apply(BY_RESPONDER).await?;
    world.status("ClusterIssuer", None, "by-responder", &crate::world::ready_issuer()).await?;
    world
        .apply(
            &[
                gateway("strict", &[http("strict", host, ""), https("strict", host, "strict")]),
                route("strict", host),
            ]
            .concat(),
        )
        .await?;
    world.secret("strict", host, -1, 60).await?;
    let by_responder =
        certificate("istio-system", "strict", host).replace("{name: letsencrypt,", "{name: by-responder,");
    world.apply(&by_responder).await?;
    world.status("Certificate", Some("istio-system"), "strict", &crate::world::ready()).await?;
    world.challenge("istio-system", "strict", host, &by_service()).await?;
    world.answers(host, PATH, 503).await?;
    let strict =
        object(SECURITY, "PeerAuthentication", "gatecert-system", "strict", "{mtls: {mode: STRICT}}");
    world.apply(&strict).await?;
    world.apply(SIDECAR_POD).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["responder-tls"]);
    let found = report.check("responder-tls");
    assert_eq!(found["object"], "PeerAuthentication gatecert-system/strict");
    let fix = found["fix"].as_str().unwrap();
    world.has_deployment(fix).await?;
    assert!(fix.contains(r#""sidecar.istio.io/inject":"false""#), "{fix}");
    // Nobody is in the way where the sidecar takes plain HTTP too, or where there is none to enforce the policy.
    world.apply(&strict.replace("STRICT", "PERMISSIVE")).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    world.apply(&strict).await?;
    world.doctor(host, &[]).await?.expect(&["responder-tls"]);
    world.delete(SIDECAR_POD).await?;
    world.doctor(host, &[]).await?.expect(&[]);

    world.delete(&strict).await?;
    world.apply(&service("gatecert-system", "gatecert-responder", RESPONDER, 8089)).await?;
    sidecar.abort();
    Ok(())
}

/// Two Gateways with HTTPS for one host: istiod takes the older one.
pub async fn a_gateway_that_is_passed_over(world: &World) -> Outcome {
    let host = "www.twice.test";
    well(world, "twice", host).await?;
    world.is_taken(host, true).await?;
    // Ages are counted in whole seconds.
    tokio::time::sleep(AGE).await;
    world.secret("younger", "other.test", -1, 60).await?;
    world.apply(&gateway("younger", &[https("younger", host, "younger")])).await?;
    // A third one shows that istiod has seen the second.
    well(world, "thrice", "www.thrice.test").await?;
    world.is_taken("www.thrice.test", true).await?;
    world.is_taken(host, true).await?;
    let report = world.doctor(host, &[]).await?;
    let shadowed = report.check("gateway-shadowed");
    assert_eq!(shadowed["object"], "Gateway istio-system/twice");
    assert!(shadowed["message"].as_str().unwrap().contains("Gateway istio-system/younger"), "{report:#?}");
    let fix = shadowed["fix"].as_str().unwrap();
    assert!(fix.ends_with("kubectl -n istio-system delete gateways.networking.istio.io younger"), "{fix}");
    // Whoever leaves the host to one of them is well.
    world.mend(fix).await?;
    world.doctor(host, &[]).await?.expect(&[]);
    Ok(())
}

/// Of the Gateway API, and of an Ingress class.
pub async fn other_gateways(world: &World) -> Outcome {
    world.apply(&service("gatecert-system", "gatecert-responder", RESPONDER, 8089)).await?;
    let hostname = "istio-ingressgateway.istio-system.svc.cluster.local";
    world
        .apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: api, namespace: istio-system}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: {hostname}}}]
  listeners:
  - {{name: http, port: 80, protocol: HTTP, hostname: www.api.test, allowedRoutes: {{namespaces: {{from: All}}}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: api, namespace: app}}
spec:
  hostnames: [www.api.test]
  parentRefs: [{{name: api, namespace: istio-system}}]
  rules: [{{matches: [{{path: {{type: PathPrefix, value: /app}}}}], backendRefs: [{{name: web, port: 8000}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: old, namespace: app, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  tls: [{{hosts: [www.ingress.test], secretName: old}}]
  rules: [{{host: www.ingress.test, http: {{paths: [{{path: /app, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 8000}}}}}}}}]}}}}]
"
        ))
        .await?;
    world.answers("www.api.test", "/app", 200).await?;
    world.answers("www.ingress.test", "/app", 200).await?;
    let report = world.doctor("www.api.test", &[]).await?;
    report.expect(&["certificate-missing"]);
    assert!(
        report.check("gateway-ok")["message"].as_str().unwrap().contains("HTTPRoute app/api"),
        "{report:#?}"
    );
    report.check("responder-ok");
    let report = world.doctor("www.ingress.test", &[]).await?;
    report.expect(&["secret-missing", "certificate-missing"]);
    assert!(
        report.check("gateway-ok")["message"].as_str().unwrap().contains("Ingress app/old"),
        "{report:#?}"
    );
    assert_eq!(report.check("secret-missing")["object"], "Secret istio-system/old");
    Ok(())
}
