//! Bad input: each gets a condition with a reason and a message that a person can act on, and everything else goes on.

use crate::Outcome;
use crate::harness::{World, condition};
use crate::manifest::{certificate, certificate_with, external_key, gateway, http};
use gatecert_api::{ClusterIssuer, Issuer};
use gatecert_testkit::cluster::{apply, base64};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until an issuer says that it is not ready for this reason as it is now, and gives the message.
async fn issuer_refused(
    world: &World,
    namespace: &str,
    name: &str,
    reason: &str,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let issuers: Api<Issuer> = Api::namespaced(world.cluster.client.clone(), namespace);
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let issuer = issuers.get(name).await?;
            let generation = issuer.metadata.generation;
            let mut conditions = issuer.status.unwrap_or_default().conditions.into_iter();
            let found =
                conditions.find(|found| found.reason == reason && found.observed_generation == generation);
            if let Some(found) = found {
                return Ok(found.message);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.map_err(|_| format!("Issuer {namespace}/{name} has no reason {reason}"))?
}

/// How many events say of an object that it is refused for this reason, and how often.
async fn told(
    world: &World,
    namespace: &str,
    kind: &str,
    name: &str,
    reason: &str,
) -> Result<i32, kube::Error> {
    let events: Api<Event> = Api::namespaced(world.cluster.client.clone(), namespace);
    let all = events.list(&ListParams::default()).await?.items.into_iter();
    let about = all.filter(|event| {
        event.reason.as_deref() == Some(reason)
            && event.regarding.as_ref().is_some_and(|regarding| {
                regarding.kind.as_deref() == Some(kind) && regarding.name.as_deref() == Some(name)
            })
    });
    Ok(about.map(|event| event.series.map_or(1, |series| series.count)).sum())
}

/// Has a refused Issuer looked at again, for changes that do not mend it: of that it tells nothing.
async fn issuer_is_told_once(world: &World, name: &str, reason: &str) -> Outcome {
    let issuers: Api<Issuer> = Api::namespaced(world.cluster.client.clone(), "refused");
    let change = json!({
        "metadata": {"annotations": {"example.test/touched": "yes"}},
        "spec": {"acme": {"email": "others@example.com"}},
    });
    issuers.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
    issuer_refused(world, "refused", name, reason).await?;
    assert_eq!(told(world, "refused", "Issuer", name, reason).await?, 1, "{name}");
    Ok(())
}

/// The same of a Certificate. It is looked at twice: what was told at the first look is there when the second is over.
async fn certificate_is_told_once(world: &World, namespace: &str, name: &str, reason: &str) -> Outcome {
    let certificates = world.certificates(namespace);
    for look in 1..=2_i32 {
        let change = json!({
            "metadata": {"annotations": {"example.test/touched": look.to_string()}},
            "spec": {"revisionHistoryLimit": look},
        });
        let changed = certificates.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
        world
            .until(namespace, name, |certificate| {
                condition(certificate, "Issuing").is_some_and(|issuing| {
                    issuing.reason == reason && issuing.observed_generation == changed.metadata.generation
                })
            })
            .await?;
    }
    assert_eq!(told(world, namespace, "Certificate", name, reason).await?, 1, "{name}");
    Ok(())
}

fn issuer(world: &World, name: &str, from: &str, to: &str) -> String {
    world
        .issuer(name)
        .replace("ClusterIssuer", "Issuer")
        .replace(
            &format!("metadata: {{name: {name}}}"),
            &format!("metadata: {{name: {name}, namespace: refused}}"),
        )
        .replace(from, to)
}

pub(crate) async fn issuers(world: &World) -> Outcome {
    world.namespaces(&["refused"]).await?;
    world.apply(&external_key("refused")).await?;
    let directory = world.cluster.pebble.directory_url().to_string();
    let bundle = world.bundle();
    // The root of what it issues has not signed its own certificate.
    let others = base64(&world.roots);
    let nowhere = "https://localhost:1/dir";
    for (name, from, to, reason, word) in [
        ("no-ca", directory.as_str(), nowhere, "CaNotReachable", "localhost:1"),
        ("bad-bundle", bundle.as_str(), "YQ==", "InvalidCaBundle", "PEM"),
        ("other-bundle", bundle.as_str(), others.as_str(), "CaNotReachable", "not trusted"),
        ("bad-email", "ops@example.com", "ops@@example", "InvalidEmail", "ops@@example"),
        (
            "no-eab",
            "email:",
            "externalAccountBinding: {keyID: k, keySecretRef: {name: missing}}, email:",
            "ExternalAccountKeyMissing",
            "refused/missing",
        ),
        (
            "unknown-eab",
            "email:",
            "externalAccountBinding: {keyID: unknown, keySecretRef: {name: external-key}}, email:",
            "RegistrationFailed",
            "a key that is not known",
        ),
    ] {
        let applied = apply(&world.cluster.client, &issuer(world, name, from, to)).await;
        if reason == "InvalidEmail" {
            // What the schema can say, it says at once.
            let error = applied.err().map(|error| format!("{:?}", error)).unwrap_or_default();
            assert!(error.contains("email must be one address"), "{error}");
            continue;
        }
        applied?;
        let message = issuer_refused(world, "refused", name, reason).await?;
        assert!(message.contains(word), "{name}: {message}");
        issuer_is_told_once(world, name, reason).await?;
    }
    let unreadable = "---
apiVersion: v1
kind: Secret
metadata: {name: unreadable, namespace: refused}
data: {tls.key: YQ==}
";
    world.apply(unreadable).await?;
    let with_key = issuer(world, "bad-key", "email:", "privateKeySecretRef: {name: unreadable}, email:");
    world.apply(&with_key).await?;
    let message = issuer_refused(world, "refused", "bad-key", "InvalidAccountKey").await?;
    assert!(message.contains("refused/unreadable"), "{message}");
    issuer_is_told_once(world, "bad-key", "InvalidAccountKey").await
}

pub(crate) async fn certificates(world: &World) -> Outcome {
    let missing = certificate("app", "no-issuer", &["www.refused.test"]).replace("pebble", "nobody");
    world.apply(&missing).await?;
    let message = world.refused("app", "no-issuer", "IssuerNotFound").await?;
    assert!(message.contains("ClusterIssuer nobody"), "{message}");
    certificate_is_told_once(world, "app", "no-issuer", "IssuerNotFound").await?;
    let names: Vec<_> = (0..101).map(|number| format!("n{number}.refused.test")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let of = |names: &[&str]| certificate("app", "refused", names);
    let long = format!("{}.refused.test", "c".repeat(60));
    let common_name = format!(", commonName: {long}");
    for (manifest, word) in [
        (of(&["*.refused.test"]), "wildcard"),
        (of(&names), "100"),
        (of(&["under_score", "x"]), "full DNS name"),
        (of(&[]), "at least one"),
        (certificate_with("app", "refused", &[&long], &common_name), "spec.commonName: Too long"),
    ] {
        let error = apply(&world.cluster.client, &manifest).await.err();
        let error = error.map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.contains(word), "{word}: {error}");
    }
    Ok(())
}

pub(crate) async fn a_secret_of_the_wrong_type(world: &World) -> Outcome {
    world
        .apply(
            &[
                "---\napiVersion: v1\nkind: Secret\nmetadata: {name: opaque, namespace: istio-system}\n"
                    .to_owned(),
                gateway("istio-system", "opaque", &[http("opaque", &["www.opaque.test"], "")]),
                certificate("istio-system", "opaque", &["www.opaque.test"]),
            ]
            .concat(),
        )
        .await?;
    let message = world.refused("istio-system", "opaque", "SecretOfWrongType").await?;
    assert!(message.contains("kubernetes.io/tls"), "{message}");
    certificate_is_told_once(world, "istio-system", "opaque", "SecretOfWrongType").await
}

/// Another namespace's Secret needs a ReferenceGrant there, and the message holds it ready.
pub(crate) async fn a_secret_in_another_namespace(world: &World) -> Outcome {
    world.namespaces(&["giver"]).await?;
    let wanted = certificate("app", "elsewhere", &["www.elsewhere.test"])
        .replace("secretName: elsewhere", "secretName: elsewhere, secretNamespace: giver");
    world
        .apply(
            &[gateway("app", "elsewhere", &[http("elsewhere", &["www.elsewhere.test"], "")]), wanted]
                .concat(),
        )
        .await?;
    let message = world.refused("app", "elsewhere", "SecretNamespaceNotAllowed").await?;
    let grant = message.split_once("kubectl apply -f -: ").map(|(_, grant)| grant).unwrap_or_default();
    world.apply(grant).await?;
    world.ready("app", "elsewhere").await?;
    Ok(())
}

/// Said once, however often it is looked at.
pub(crate) async fn annotations_that_can_not_be_read(world: &World) -> Outcome {
    let wrong = gateway("istio-system", "unreadable", &[http("unreadable", &["www.unreadable.test"], "")])
        .replacen("name:", "annotations: {gatecert.dev/issuer: a, gatecert.dev/cluster-issuer: b}, name:", 1);
    world.apply(&wrong).await?;
    let events: Api<Event> = Api::namespaced(world.cluster.client.clone(), "istio-system");
    let about = || async {
        let all = events.list(&ListParams::default()).await?;
        let about = all.items.into_iter().filter(|event| {
            event.regarding.as_ref().is_some_and(|regarding| regarding.name.as_deref() == Some("unreadable"))
        });
        Ok::<_, kube::Error>(about.collect::<Vec<_>>())
    };
    let waited = tokio::time::timeout(PATIENCE, async {
        while about().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, kube::Error>(())
    });
    waited.await.map_err(|_| "no event")??;
    // Other changes have it looked at again.
    world
        .apply(&gateway("istio-system", "unreadable-2", &[http("unreadable-2", &["x.unreadable.test"], "")]))
        .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let events = about().await?;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].reason.as_deref(), events[0].series.as_ref().map(|series| series.count)),
        (Some("InvalidAnnotation"), None)
    );
    Ok(())
}

/// The CA says no to one name: the Certificate waits, and no other one does.
pub(crate) async fn a_name_that_the_ca_refuses(world: &World) -> Outcome {
    world
        .apply(
            &[
                gateway("istio-system", "blocked", &[http("blocked", &["www.blocked.test"], "")]),
                certificate("istio-system", "blocked", &["www.blocked.test"]),
            ]
            .concat(),
        )
        .await?;
    let found = world
        .until("istio-system", "blocked", |certificate| {
            certificate.status.as_ref().is_some_and(|status| status.failed_issuance_attempts.is_some())
        })
        .await?;
    let status = found.status.clone().unwrap_or_default();
    assert_eq!(status.failed_issuance_attempts, Some(1));
    assert!(status.failed_attempts.is_some_and(|attempts| attempts.permanent));
    assert!(condition(&found, "Issuing").is_some_and(|issuing| issuing.reason == "OrderRefused"));
    let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    assert!(issuers.get("pebble").await?.status.is_some());
    Ok(())
}
