//! Changes of a Certificate while it is served.

use crate::Outcome;
use crate::gateway::challenge_is_answered;
use crate::harness::{Load, World, condition};
use crate::manifest::{certificate, certificate_with, gateway, http, https, route};
use gatecert_api::{Certificate, ClusterIssuer};
use gatecert_publish::kubernetes::{Ownership, SecretError, publish};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::time::Duration;

fn secrets(world: &World, namespace: &str) -> Api<Secret> {
    Api::namespaced(world.cluster.client.clone(), namespace)
}

/// A Gateway with an application behind it, and a Certificate for its first host that is served.
async fn serving(world: &World, name: &str, hosts: &[&str]) -> Outcome {
    world
        .apply(
            &[
                gateway("istio-system", name, &[http(name, hosts, ""), https(name, hosts, name)]),
                route("app", name, &format!("istio-system/{name}"), hosts),
                certificate("istio-system", name, &hosts[..1]),
            ]
            .concat(),
        )
        .await?;
    world.ready("istio-system", name).await?;
    world.served(hosts[0]).await?;
    world.answers(hosts[0], "/", 200).await
}

pub(crate) async fn names_come_and_go(world: &World) -> Outcome {
    let hosts = ["www.names.test", "api.names.test"];
    serving(world, "names", &hosts).await?;
    let load = Load::start(world, &[("https", hosts[0], "/x", 200), ("http", hosts[0], "/x", 200)]);
    let first = world.served(hosts[0]).await?;
    world.apply(&certificate("istio-system", "names", &hosts)).await?;
    world.served_anew(hosts[0], &first).await?;
    world.served(hosts[1]).await?;
    let second = world.served(hosts[0]).await?;
    world.apply(&certificate("istio-system", "names", &hosts[..1])).await?;
    world.served_anew(hosts[0], &second).await?;
    let certificate = world.ready("istio-system", "names").await?;
    assert_eq!(certificate.status.and_then(|status| status.revision), Some(3));
    load.end().await
}

pub(crate) async fn another_key_and_another_profile_word(world: &World) -> Outcome {
    let host = "www.key.test";
    serving(world, "key", &[host]).await?;
    let load = Load::start(world, &[("https", host, "/x", 200)]);
    let before = world.served(host).await?;
    let more = ", privateKey: {algorithm: ECDSA, size: 384}";
    world.apply(&certificate_with("istio-system", "key", &[host], more)).await?;
    world.served_anew(host, &before).await?;
    let after = world.served(host).await?;
    // What is said by default and what is written out are the same: nothing is issued.
    let more = ", privateKey: {algorithm: ECDSA, size: 384, rotationPolicy: Always}";
    world.apply(&certificate_with("istio-system", "key", &[host], more)).await?;
    let certificate = world.ready("istio-system", "key").await?;
    assert_eq!(certificate.status.and_then(|status| status.revision), Some(2));
    assert_eq!(world.served(host).await?, after);
    load.end().await
}

pub(crate) async fn a_secret_of_another_name(world: &World) -> Outcome {
    let host = "www.renamed.test";
    serving(world, "renamed", &[host]).await?;
    let load = Load::start(world, &[("https", host, "/x", 200), ("http", host, "/x", 200)]);
    let other = certificate("istio-system", "renamed", &[host])
        .replace("secretName: renamed", "secretName: renamed-2");
    world.apply(&other).await?;
    world.ready("istio-system", "renamed").await?;
    // The old one stays for whoever reads it still.
    assert!(secrets(world, "istio-system").get_opt("renamed").await?.is_some());
    assert!(secrets(world, "istio-system").get_opt("renamed-2").await?.is_some());
    load.end().await
}

pub(crate) async fn a_secret_that_is_deleted(world: &World) -> Outcome {
    let host = "www.deleted.test";
    serving(world, "deleted", &[host]).await?;
    let before = world.served(host).await?;
    // Envoy keeps the pair that it has, as long as there is no other.
    let load = Load::start(world, &[("https", host, "/x", 200), ("http", host, "/x", 200)]);
    for _ in 0..4 {
        world.ready("istio-system", "deleted").await?;
        let secret = secrets(world, "istio-system").get("deleted").await?;
        secrets(world, "istio-system").delete("deleted", &DeleteParams::default()).await?;
        world.secret_anew("istio-system", "deleted", secret.uid()).await?;
    }
    world.served_anew(host, &before).await?;
    world.ready("istio-system", "deleted").await?;
    // Five certificates of the same names in a week are Let's Encrypt's limit.
    secrets(world, "istio-system").delete("deleted", &DeleteParams::default()).await?;
    let message = world.refused("istio-system", "deleted", "DuplicateLimit").await?;
    assert!(message.contains("limit"), "{message}");
    load.end().await
}

pub(crate) async fn two_that_want_one_secret(world: &World) -> Outcome {
    let host = "www.wanted.test";
    serving(world, "wanted", &[host]).await?;
    let load = Load::start(world, &[("https", host, "/x", 200), ("http", host, "/x", 200)]);
    // The API server counts ages in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let rival = certificate("istio-system", "wanted", &[host]).replace("name: wanted,", "name: rival,");
    world.apply(&rival).await?;
    let message = world.refused("istio-system", "rival", "SecretConflict").await?;
    assert!(message.contains("istio-system/wanted"), "{message}");
    world.certificates("istio-system").delete("wanted", &DeleteParams::default()).await?;
    let heir = world.ready("istio-system", "rival").await?;
    // What is there already fits, and is taken over as it is.
    assert_eq!(heir.status.and_then(|status| status.revision), None);
    load.end().await
}

pub(crate) async fn a_renewal_that_is_asked_for(world: &World) -> Outcome {
    serving(world, "asked", &["www.asked.test"]).await?;
    let load = Load::start(world, &[("https", "www.asked.test", "/x", 200)]);
    let before = world.served("www.asked.test").await?;
    let patch = json!({"metadata": {"annotations": {"gatecert.dev/renew": "now"}}});
    let certificates = world.certificates("istio-system");
    certificates.patch("asked", &PatchParams::default(), &Patch::Merge(patch)).await?;
    world.served_anew("www.asked.test", &before).await?;
    let revision = |certificate: &Certificate| certificate.status.as_ref().and_then(|status| status.revision);
    let certificate = world
        .until("istio-system", "asked", |certificate| {
            !certificate.annotations().contains_key("gatecert.dev/renew") && revision(certificate) > Some(1)
        })
        .await?;
    assert_eq!(revision(&certificate), Some(2));
    load.end().await
}

/// An account whose key is gone is another account; Certificates go on with that one.
pub(crate) async fn another_account_key(world: &World) -> Outcome {
    let hosts = ["www.rekeyed.test", "api.rekeyed.test"];
    let wanted = |names: &[&str]| {
        certificate("istio-system", "rekeyed", names).replace("name: pebble", "name: rekeyed")
    };
    let servers = [http("rekeyed", &hosts, ""), https("rekeyed", &hosts, "rekeyed")];
    let gateway = gateway("istio-system", "rekeyed", &servers);
    let route = route("app", "rekeyed", "istio-system/rekeyed", &hosts);
    world.apply(&[world.issuer("rekeyed"), gateway, route, wanted(&hosts[..1])].concat()).await?;
    world.ready("istio-system", "rekeyed").await?;
    let before = world.served(hosts[0]).await?;
    world.answers(hosts[0], "/", 200).await?;
    let load = Load::start(world, &[("https", hosts[0], "/x", 200), ("http", hosts[1], "/x", 200)]);

    let uri = |issuer: ClusterIssuer| issuer.status.and_then(|status| status.acme).map(|acme| acme.uri);
    let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    let changed = |before: Option<String>| async move {
        let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
        loop {
            let now = uri(issuers.get("rekeyed").await?);
            if now.is_some() && now != before {
                return Ok::<_, kube::Error>(now);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let first = tokio::time::timeout(Duration::from_secs(30), changed(None)).await??;
    secrets(world, "gatecert-system").delete("rekeyed-account-key", &DeleteParams::default()).await?;
    tokio::time::timeout(Duration::from_secs(30), changed(first)).await??;
    assert!(uri(issuers.get("rekeyed").await?).is_some());
    world.apply(&wanted(&hosts)).await?;
    world.served_anew(hosts[0], &before).await?;
    world.ready("istio-system", "rekeyed").await?;
    load.end().await
}

pub(crate) async fn a_secret_of_somebody_else(world: &World) -> Outcome {
    let foreign = "---
apiVersion: v1
kind: Secret
metadata: {name: foreign, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: YQ==, tls.key: YQ==}
";
    world.apply(foreign).await?;
    // Even who takes it for missing does not write over it.
    let theirs = secrets(world, "istio-system").get("foreign").await?;
    let data =
        [("tls.crt", "C"), ("tls.key", "K")].map(|(key, text)| (key.to_owned(), ByteString(text.into())));
    let ours = Secret {
        metadata: ObjectMeta {
            name: Some("foreign".to_owned()),
            namespace: Some("istio-system".to_owned()),
            ..ObjectMeta::default()
        },
        type_: theirs.type_.clone(),
        data: Some(data.into()),
        ..Secret::default()
    };
    let written = publish(&world.cluster.client, &ours, Ownership::Absent).await;
    assert!(matches!(written, Err(SecretError::Appeared(_))), "{:?}", written.err());
    assert_eq!(secrets(world, "istio-system").get("foreign").await?.data, theirs.data);
    world
        .apply(
            &[
                gateway("istio-system", "foreign", &[http("foreign", &["www.foreign.test"], "")]),
                certificate("istio-system", "foreign", &["www.foreign.test"]),
            ]
            .concat(),
        )
        .await?;
    let message = world.refused("istio-system", "foreign", "SecretNotOwned").await?;
    assert!(message.contains("kubectl annotate secret"), "{message}");
    world
        .apply(
            &foreign.replace("name: foreign,", "annotations: {gatecert.dev/adopt: 'true'}, name: foreign,"),
        )
        .await?;
    // It is no Secret of gatecert's, so nobody tells of its change.
    let touch = json!({"metadata": {"annotations": {"example.test/touched": "yes"}}});
    world
        .certificates("istio-system")
        .patch("foreign", &PatchParams::default(), &Patch::Merge(touch))
        .await?;
    world.ready("istio-system", "foreign").await?;
    Ok(())
}

pub(crate) async fn a_certificate_that_goes_in_mid_order(world: &World) -> Outcome {
    let host = "www.silent.test";
    // Nothing answers on this gateway, so that the order waits for its route. The other serves the name meanwhile.
    let blocked = "10.99.0.9";
    world
        .apply(&format!(
            "---
apiVersion: v1
kind: Service
metadata: {{name: silent, namespace: app}}
spec: {{selector: {{istio: silent}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: silent-1, namespace: app, labels: {{kubernetes.io/service-name: silent}}}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints: [{{addresses: [\"{blocked}\"], conditions: {{ready: true}}}}]
{}{}{}",
            gateway("app", "silent", &[http("silent", &[host], "")]).replace("ingressgateway", "silent"),
            gateway("istio-system", "silent", &[http("silent", &[host], "")]),
            route("app", "silent", "istio-system/silent", &[host]),
        ))
        .await?;
    world.answers(host, "/", 200).await?;
    let load = Load::start(world, &[("http", host, "/", 200), ("http", host, "/.well-known/other", 200)]);
    world.apply(&certificate("app", "silent", &[host])).await?;
    let found = world.begun("app", "silent").await?;
    assert!(condition(&found, "Issuing").is_some_and(|issuing| issuing.status == "True"));
    let owner = found.meta().uid.clone().unwrap_or_default();
    challenge_is_answered(world, host, &found).await?;
    world.certificates("app").delete("silent", &DeleteParams::default()).await?;
    world.nothing_left_of(&owner).await?;
    load.end().await
}

/// The same CA by another URL is another one to whoever reads it.
pub(crate) async fn another_issuer(world: &World) -> Outcome {
    let host = "www.moved.test";
    serving(world, "moved", &[host]).await?;
    let load = Load::start(world, &[("https", host, "/x", 200)]);
    let before = world.served(host).await?;
    world.apply(&world.issuer("pebble-2").replace("https://localhost:", "https://127.0.0.1:")).await?;
    let moved = certificate("istio-system", "moved", &[host]).replace("name: pebble,", "name: pebble-2,");
    world.apply(&moved).await?;
    world.served_anew(host, &before).await?;
    let certificate = world.ready("istio-system", "moved").await?;
    assert_eq!(certificate.status.and_then(|status| status.revision), Some(2));
    load.end().await
}

/// A Secret that fits is taken over as it is, where its owner consents.
pub(crate) async fn what_another_client_has_written(world: &World) -> Outcome {
    serving(world, "fits", &["www.fits.test"]).await?;
    let mut theirs = secrets(world, "istio-system").get("fits").await?;
    theirs.metadata = ObjectMeta {
        name: Some("theirs".into()),
        annotations: Some(
            [("cert-manager.io/certificate-name", "x"), ("gatecert.dev/adopt", "true")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        ..ObjectMeta::default()
    };
    secrets(world, "istio-system").create(&Default::default(), &theirs).await?;
    world.apply(&certificate("istio-system", "theirs", &["www.fits.test"])).await?;
    let taken = world.ready("istio-system", "theirs").await?;
    assert_eq!(taken.status.and_then(|status| status.revision), None);
    let secret = secrets(world, "istio-system").get("theirs").await?;
    assert_eq!(secret.data, theirs.data);
    assert_eq!(secret.labels().get("app.kubernetes.io/managed-by").map(String::as_str), Some("gatecert"));
    Ok(())
}

/// What stands on a Secret is another thing than the certificate in it.
pub(crate) async fn another_secret_template(world: &World) -> Outcome {
    let name = "template";
    serving(world, name, &["www.template.test"]).await?;
    let template = |color: &str| {
        format!(", secretTemplate: {{labels: {{color: {color}}}, annotations: {{note: {color}}}}}")
    };
    for color in ["green", "blue"] {
        let more = template(color);
        world.apply(&certificate_with("istio-system", name, &["www.template.test"], &more)).await?;
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let secret = secrets(world, "istio-system").get(name).await?;
                let label = secret.labels().get("color").cloned();
                if label.as_deref() == Some(color) {
                    return Ok::<_, kube::Error>(secret);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let secret = waited.await.map_err(|_| format!("the Secret is not {color}"))??;
        assert_eq!(secret.annotations().get("note").map(String::as_str), Some(color));
    }
    world.apply(&certificate("istio-system", name, &["www.template.test"])).await?;
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while secrets(world, "istio-system").get(name).await?.labels().contains_key("color") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, kube::Error>(())
    });
    waited.await.map_err(|_| "the label stays")??;
    let certificate = world.ready("istio-system", name).await?;
    assert_eq!(certificate.status.and_then(|status| status.revision), Some(1));
    Ok(())
}

/// What the first issue has written of a template goes with it.
pub(crate) async fn a_secret_template_of_the_first_issue(world: &World) -> Outcome {
    let (name, host) = ("born", "www.born.test");
    let more = ", secretTemplate: {labels: {color: green}, annotations: {note: green}}";
    let gateway = gateway("istio-system", name, &[http(name, &[host], "")]);
    world.apply(&[gateway, certificate_with("istio-system", name, &[host], more)].concat()).await?;
    world.ready("istio-system", name).await?;
    let secret = secrets(world, "istio-system").get(name).await?;
    assert_eq!(secret.labels().get("color").map(String::as_str), Some("green"));
    world.apply(&certificate("istio-system", name, &[host])).await?;
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let secret = secrets(world, "istio-system").get(name).await?;
            if !secret.labels().contains_key("color") && !secret.annotations().contains_key("note") {
                return Ok::<_, kube::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.map_err(|_| "what the template had stays")??;
    Ok(())
}

/// The CA offers two chains, and the issuer says which.
pub(crate) async fn a_preferred_chain(world: &World) -> Outcome {
    let host = "www.chain.test";
    let root = world.cluster.pebble.root_pem(1).await?;
    let issuer = world
        .issuer("other-chain")
        .replace("email:", &format!("preferredChain: {}, email:", common_name(&root)?));
    let wanted = certificate("istio-system", "chain", &[host]).replace("name: pebble,", "name: other-chain,");
    let gateway = gateway("istio-system", "chain", &[http("chain", &[host], "")]);
    world.apply(&[issuer, gateway, wanted].concat()).await?;
    world.ready("istio-system", "chain").await?;
    let secret = secrets(world, "istio-system").get("chain").await?;
    let chain = secret.data.unwrap_or_default().remove("tls.crt").ok_or("no chain")?;
    let top = topmost_issuer(&chain.0)?;
    assert_eq!(top, common_name(&root)?);
    assert_ne!(top, common_name(&world.roots)?);
    Ok(())
}

/// The common name of the issuer of the last certificate.
fn topmost_issuer(chain: &[u8]) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let last = x509_parser::pem::Pem::iter_from_buffer(chain).last().ok_or("no certificate")??;
    let name = last.parse_x509()?.issuer().iter_common_name().next().ok_or("no name")?.as_str()?.to_owned();
    Ok(name)
}

/// The common name of a root.
fn common_name(root: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    topmost_issuer(root.as_bytes())
}
