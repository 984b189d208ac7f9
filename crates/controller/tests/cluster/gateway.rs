//! Istio Gateways and their peculiarities.

use crate::Outcome;
use crate::harness::{Load, World, condition};
use crate::manifest::{annotated_gateway, certificate, gateway, http, https, route};
use crate::proxy::PortProxy;
use futures::StreamExt as _;
use gatecert_api::Certificate;
use gatecert_render::istio::VirtualService;
use kube::api::{Api, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;
use std::pin::pin;
use std::time::Duration;

/// Waits until the gateway answers the challenge of a host, whose Certificate is being issued.
pub(crate) async fn challenge_is_answered(world: &World, host: &str, begun: &Certificate) -> Outcome {
    let issuance = begun.status.as_ref().and_then(|status| status.issuance.as_ref()).ok_or("no issuance")?;
    let of_host = issuance.challenges.iter().find(|challenge| challenge.name == host);
    let challenge = of_host.ok_or_else(|| format!("{host} has no challenge"))?;
    let path = format!("/.well-known/acme-challenge/{}", challenge.token);
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            // An application may answer this path too, with something else.
            if world.get(host, &path).await.is_ok_and(|(_, body)| body == challenge.key_authorization) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.map_err(|_| format!("the challenge of {host} is not answered").into())
}

/// A Service in front of a gateway's Pods with its name as their label, and the one Pod that there is.
fn pods(namespace: &str, name: &str, address: &str, is_ready: bool) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{istio: {name}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints: [{{addresses: [\"{address}\"], conditions: {{ready: {is_ready}}}}}]
"
    )
}

pub(crate) async fn an_annotated_gateway_serves_and_takes_another_name(world: &World) -> Outcome {
    let (hosts, more) =
        (["www.first.test", "api.first.test"], ["www.first.test", "api.first.test", "new.first.test"]);
    let servers = |hosts: &[&str]| [http("first", hosts, ""), https("first", hosts, "first-tls")];
    world.apply(&annotated_gateway("istio-system", "first", &servers(&hosts))).await?;
    world.apply(&route("app", "first", "istio-system/first", &more)).await?;
    for host in hosts {
        world.served(host).await?;
    }
    world.ready("istio-system", "first-tls").await?;
    let load = Load::start(
        world,
        &[("http", hosts[0], "/x", 200), ("https", hosts[0], "/", 200), ("https", hosts[1], "/y", 200)],
    );
    let before = world.served(hosts[0]).await?;
    world.apply(&annotated_gateway("istio-system", "first", &servers(&more))).await?;
    world.served(more[2]).await?;
    world.served_anew(hosts[0], &before).await?;
    load.end().await
}

pub(crate) async fn a_wildcard_route_keeps_its_other_paths(world: &World) -> Outcome {
    world
        .apply(
            &[
                gateway(
                    "istio-system",
                    "wild",
                    &[http("wild", &["*.wild.test"], ""), https("wild", &["foo.wild.test"], "wild")],
                ),
                route("app", "wild", "istio-system/wild", &["*.wild.test"]),
            ]
            .concat(),
        )
        .await?;
    world.answers("foo.wild.test", "/", 200).await?;
    let load = Load::start(
        world,
        &[
            ("http", "foo.wild.test", "/x", 200),
            ("http", "foo.wild.test", "/.well-known/other", 200),
            ("http", "bar.wild.test", "/", 200),
        ],
    );
    world.apply(&certificate("istio-system", "wild", &["foo.wild.test"])).await?;
    world.ready("istio-system", "wild").await?;
    world.served("foo.wild.test").await?;
    load.end().await
}

pub(crate) async fn a_wildcard_server_that_redirects(world: &World) -> Outcome {
    let redirect = ", tls: {httpsRedirect: true}";
    world
        .apply(
            &[
                gateway(
                    "istio-system",
                    "redirect",
                    &[
                        http("redirect", &["*.redirect.test"], redirect),
                        https("redirect", &["www.redirect.test"], "redirect"),
                    ],
                ),
                route("app", "redirect", "istio-system/redirect", &["*.redirect.test"]),
            ]
            .concat(),
        )
        .await?;
    world.answers("www.redirect.test", "/", 301).await?;
    let load = Load::start(
        world,
        &[("http", "www.redirect.test", "/x", 301), ("http", "other.redirect.test", "/", 301)],
    );
    world.apply(&certificate("istio-system", "redirect", &["www.redirect.test"])).await?;
    world.ready("istio-system", "redirect").await?;
    let before = world.served("www.redirect.test").await?;
    // With a Secret there already, and requests to it all the while.
    let secure = Load::start(world, &[("https", "www.redirect.test", "/x", 200)]);
    let patch = json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}});
    let certificates = world.certificates("istio-system");
    certificates.patch("redirect", &PatchParams::default(), &Patch::Merge(patch)).await?;
    world.served_anew("www.redirect.test", &before).await?;
    // Until all that the challenge needed has gone again.
    world.ready("istio-system", "redirect").await?;
    secure.end().await?;
    load.end().await
}

/// The CA follows the redirect to the TLS server, which needs a Secret to exist.
pub(crate) async fn an_exact_host_that_redirects(world: &World) -> Outcome {
    let redirect = ", tls: {httpsRedirect: true}";
    let hosts = ["www.exact.test", "api.exact.test"];
    world
        .apply(
            &[
                gateway(
                    "istio-system",
                    "exact",
                    &[http("exact", &hosts, redirect), https("exact", &hosts, "exact")],
                ),
                route("app", "exact", "istio-system/exact", &hosts),
            ]
            .concat(),
        )
        .await?;
    world.answers("www.exact.test", "/", 301).await?;
    let proxy = PortProxy::start(world, "10.99.0.5".parse()?).await?;
    for host in hosts {
        world.cluster.pebble.challtestsrv().add_a(host, &[proxy.address().into()]).await?;
    }
    let load = Load::start(world, &[("http", "www.exact.test", "/x", 301)]);
    world.apply(&certificate("istio-system", "exact", &hosts[..1])).await?;
    world.ready("istio-system", "exact").await?;
    world.served("www.exact.test").await?;
    // With a Secret there already, and requests to it all the while.
    let secure = Load::start(world, &[("https", "www.exact.test", "/x", 200)]);
    let before = world.served("www.exact.test").await?;
    world.apply(&certificate("istio-system", "exact", &hosts)).await?;
    world.served_anew("www.exact.test", &before).await?;
    secure.end().await?;
    load.end().await
}

/// A VirtualService of the user's, which has the challenge's path.
fn route_of_the_user(name: &str, host: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: istio-system}}
spec:
  hosts: [{host}]
  gateways: [{name}]
  http:
  - match: [{{uri: {{prefix: /.well-known}}}}]
    directResponse: {{status: 200, body: {{string: the user's}}}}
  - route: [{{destination: {{host: web.app.svc.cluster.local, port: {{number: 8000}}}}}}]
"
    )
}

pub(crate) async fn routes_of_the_user_for_the_same_host(world: &World) -> Outcome {
    for (host, name) in [("older.test", "older"), ("younger.test", "younger")] {
        let servers = [http(name, &[host], ""), https(name, &[host], name)];
        world.apply(&gateway("istio-system", name, &servers)).await?;
    }
    // Another gateway for the younger's host, which is not there yet: its challenge waits for that.
    let (late, address) = ("younger-late", "10.99.0.74");
    let gateway_of_late = gateway("istio-system", late, &[http(late, &["younger.test"], "")])
        .replace("istio: ingressgateway", "istio: younger-late");
    world.apply(&[gateway_of_late, pods("istio-system", late, address, true)].concat()).await?;
    world.apply(&route_of_the_user("older", "older.test")).await?;
    world.answers("older.test", "/", 200).await?;
    let load = Load::start(
        world,
        &[("http", "older.test", "/.well-known/x", 200), ("http", "older.test", "/", 200)],
    );
    world.apply(&certificate("istio-system", "older", &["older.test"])).await?;
    world.ready("istio-system", "older").await?;
    load.end().await?;
    a_younger_route_of_the_user(world, address).await
}

/// The user's route comes when the challenge's is there already, and from then on the gateway answers all other paths.
/// The Pod that the challenge waits for has this address.
async fn a_younger_route_of_the_user(world: &World, address: &str) -> Outcome {
    let (name, host) = ("younger", "younger.test");
    world.apply(&certificate("istio-system", name, &[host])).await?;
    let begun = world.begun("istio-system", name).await?;
    challenge_is_answered(world, host, &begun).await?;
    world.apply(&route_of_the_user(name, host)).await?;
    world.answers(host, "/", 200).await?;
    let load = Load::start(world, &[("http", host, "/.well-known/x", 200), ("http", host, "/", 200)]);
    challenge_is_answered(world, host, &begun).await?;
    // Envoy listens on every address of this machine.
    world.cluster.network.add_address(address.parse()?)?;
    world.ready("istio-system", name).await?;
    load.end().await
}

pub(crate) async fn several_gateways_for_one_host(world: &World) -> Outcome {
    world
        .apply(
            &[
                gateway("istio-system", "many-a", &[http("many-a", &["www.many.test"], "")]),
                gateway("istio-system", "many-b", &[http("many-b", &["*.many.test"], "")]),
                gateway("istio-system", "many-c", &[https("many-c", &["www.many.test"], "many")]),
                route("app", "many", "istio-system/many-b", &["*.many.test"]),
            ]
            .concat(),
        )
        .await?;
    world.answers("other.many.test", "/", 200).await?;
    let load = Load::start(world, &[("http", "other.many.test", "/", 200)]);
    world.apply(&certificate("istio-system", "many", &["www.many.test"])).await?;
    world.ready("istio-system", "many").await?;
    world.served("www.many.test").await?;
    load.end().await
}

pub(crate) async fn hosts_are_for_namespaces(world: &World) -> Outcome {
    world.namespaces(&["shop", "thief"]).await?;
    let host = "www.scoped.test";
    world
        .apply(
            &[
                gateway("istio-system", "scoped", &[http("scoped", &["shop/www.scoped.test"], "")]),
                route("shop", "scoped", "istio-system/scoped", &[host]),
            ]
            .concat(),
        )
        .await?;
    world.answers(host, "/", 200).await?;
    let load = Load::start(world, &[("http", host, "/", 200), ("http", host, "/.well-known/other", 200)]);
    world.apply(&certificate("thief", "scoped", &[host])).await?;
    let message = world.refused("thief", "scoped", "NotAllowed").await?;
    assert!(message.contains(host) && message.contains("istio-system/scoped"), "{message}");
    world.apply(&certificate("shop", "scoped", &[host])).await?;
    world.ready("shop", "scoped").await?;
    load.end().await
}

pub(crate) async fn a_host_that_nobody_serves(world: &World) -> Outcome {
    world.apply(&certificate("app", "nobody", &["www.nobody.test"])).await?;
    let message = world.refused("app", "nobody", "NoGateway").await?;
    assert!(message.contains("www.nobody.test"), "{message}");
    // It is noticed when there is one.
    world.apply(&gateway("istio-system", "nobody", &[http("nobody", &["www.nobody.test"], "")])).await?;
    world.ready("app", "nobody").await?;
    Ok(())
}

pub(crate) async fn a_policy_that_denies_everything(world: &World) -> Outcome {
    world.namespaces(&["guarded"]).await?;
    world
        .apply(
            &[
                gateway("istio-system", "denied", &[http("denied", &["www.denied.test"], "")]),
                "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-host, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{to: [{operation: {hosts: [www.denied.test, 'www.denied.test:*']}}]}]
"
                .to_owned(),
            ]
            .concat(),
        )
        .await?;
    world.answers("www.denied.test", "/", 403).await?;
    world.apply(&certificate("istio-system", "denied", &["www.denied.test"])).await?;
    let found = world
        .until_for("istio-system", "denied", Duration::from_secs(60), |certificate| {
            condition(certificate, "Issuing").is_some_and(|issuing| issuing.reason == "RouteNotReady")
        })
        .await?;
    let message = &condition(&found, "Issuing").ok_or("no condition")?.message;
    assert!(message.contains("403") && message.contains("deny-host"), "{message}");
    let orders = found.status.and_then(|status| status.failed_issuance_attempts);
    assert_eq!(orders, Some(1));
    Ok(())
}

pub(crate) async fn a_gateway_that_is_not_ready_yet(world: &World) -> Outcome {
    let pods = |is_ready: bool| pods("app", "late", "10.99.0.8", is_ready);
    let late = gateway("app", "late", &[http("late", &["www.late.test"], "")]);
    let late = late.replace("istio: ingressgateway", "istio: late");
    world.apply(&[pods(false), late, certificate("app", "late", &["www.late.test"])].concat()).await?;
    let message = world.refused("app", "late", "GatewayNotReady").await?;
    assert!(message.contains("app/late"), "{message}");
    world.apply(&pods(true)).await?;
    // It is asked now, and nothing was ordered before.
    world.refused("app", "late", "Proving").await?;
    Ok(())
}

/// Not Envoy itself, but the controller's responder behind it, where an issuer wants that.
pub(crate) async fn the_responder_answers(world: &World) -> Outcome {
    let host = "www.responder.test";
    let issuer = world.issuer("by-responder");
    let issuer = issuer.replace("email:", "solvers: [{http01: {istio: {answer: Responder}}}], email:");
    let wanted = certificate("istio-system", "responder", &[host]);
    let gateway = gateway("istio-system", "responder", &[http("responder", &[host], "")]);
    let routes: Api<VirtualService> = Api::namespaced(world.cluster.client.clone(), "istio-system");
    let now = routes.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let changes = routes.watch(&WatchParams::default(), &now).await?;
    let wanted = wanted.replace("name: pebble,", "name: by-responder,");
    world.apply(&[issuer, gateway, wanted].concat()).await?;
    let mut of_challenge = pin!(changes.filter_map(async |change| match change {
        Ok(WatchEvent::Added(route)) if route.spec.hosts == [host] => Some(route),
        _ => None,
    }));
    let route =
        tokio::time::timeout(Duration::from_secs(30), of_challenge.next()).await?.ok_or("no route")?;
    let answer = route.spec.http.first().ok_or("a route that answers nothing")?;
    assert!(answer.direct_response.is_none() && answer.route.len() == 1, "{answer:?}");
    world.ready("istio-system", "responder").await?;
    Ok(())
}
