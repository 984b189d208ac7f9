//! What must not be read in a log.

use crate::Outcome;
use crate::harness::{RESPONDER, World};
use crate::manifest::{certificate, gateway, http};
use crate::replica::ReplicaOptions;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gatecert_api::ClusterIssuer;
use gatecert_testkit::Pebble;
use gatecert_testkit::cluster::{base64, delete};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use std::time::Duration;

/// A key that a CA has given for binding accounts, in base64 of either alphabet.
const EXTERNAL_KEY: &str = "tQ4hV9sXk2LmZ7cRb0WyJ6nEoG3uKd8fPaTi5vUxMqYwHrBj1SgNlCzDeOpFAI84";

/// Everything that is logged at all while a certificate is issued and renewed, and the keys: no line has a piece of one.
pub(crate) async fn no_key_is_logged(world: &World) -> Outcome {
    let (name, host) = ("secrecy", "www.secrecy.test");
    let all = [("RUST_LOG", "trace".to_owned())];
    let options = ReplicaOptions { variables: &all, ..ReplicaOptions::new(name, RESPONDER) };
    let mut replica = world.replica(&options).await?;
    // Another CA, which makes no account without a binding.
    let binding = Pebble::builder().eab(&[("kid-1", EXTERNAL_KEY)]).start().await?;
    let bound = bound_issuer(world, &binding);
    world.apply(&bound).await?;
    world
        .apply(
            &[
                // Its account is made while all is logged.
                world.issuer("secret"),
                gateway("istio-system", name, &[http(name, &[host], "")]),
                certificate("istio-system", name, &[host]).replace("name: pebble,", "name: secret,"),
            ]
            .concat(),
        )
        .await?;
    let pending = pending_keys(world, "istio-system").await?;
    world.ready("istio-system", name).await?;
    is_bound(world).await?;
    let secrets: Api<Secret> = Api::all(world.cluster.client.clone());
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=gatecert");
    let mut keys = pending;
    for secret in secrets.list(&ours).await?.items {
        keys.extend(secret.data.unwrap_or_default().remove("tls.key").map(|key| key.0));
    }
    assert!(keys.len() >= 2, "the keys are not found");
    keys.push(replica.token.clone().into_bytes());
    keys.push(EXTERNAL_KEY.as_bytes().to_vec());
    assert_eq!(replica.terminate().await?, 0);
    delete(&world.cluster.client, &bound).await?;
    let log = replica.process.log();
    assert!(log.contains("TRACE") && log.contains(name), "not everything is logged");
    for piece in keys.iter().flat_map(|key| pieces(key)) {
        assert!(!log.contains(&piece), "a piece of a secret is in the log: {piece}");
    }
    Ok(())
}

/// An issuer whose account is bound to one that the CA knows already, and the Secret with the key for it.
fn bound_issuer(world: &World, binding: &Pebble) -> String {
    let issuer = world
        .issuer("bound")
        .replace(world.cluster.pebble.directory_url().as_str(), binding.directory_url().as_str())
        .replace(&world.bundle(), &base64(binding.ca_pem()))
        .replace(
            "email:",
            "externalAccountBinding: {keyID: kid-1, keySecretRef: {name: secrecy-eab}}, email:",
        );
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: secrecy-eab, namespace: gatecert-system}}
stringData: {{secret: {EXTERNAL_KEY}}}
---
{issuer}"
    )
}

/// Waits until the account is registered, for which the key has to be used.
async fn is_bound(world: &World) -> Outcome {
    let issuers: Api<ClusterIssuer> = Api::all(world.cluster.client.clone());
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let status = issuers.get_status("bound").await?.status.unwrap_or_default();
            if status.acme.is_some_and(|acme| acme.external_account_key_id.as_deref() == Some("kid-1")) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.map_err(|_| "no account is bound to the external one")?
}

/// The journals of issuances under way, of which there is one for a moment.
async fn pending_keys(
    world: &World,
    namespace: &str,
) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), namespace);
    let pending = ListParams::default().labels("gatecert.dev/part=pending-key");
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let found = secrets.list(&pending).await?.items;
            if !found.is_empty() {
                return Ok::<_, kube::Error>(found);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let journals = waited.await.map_err(|_| "no journal was seen")??;
    let journals = journals.into_iter().filter_map(|secret| secret.data?.remove("journal.json"));
    let keys = journals.map(|journal| {
        let journal: serde_json::Value = serde_json::from_slice(&journal.0)?;
        let key = journal
            .as_object()
            .into_iter()
            .flatten()
            .find_map(|(_, value)| value.as_str().filter(|text| text.contains("PRIVATE KEY")));
        Ok(key.ok_or("a journal without key")?.as_bytes().to_vec())
    });
    keys.collect()
}

/// What would give a secret away: pieces of its text, of its base64, and of its bytes as debuggers print them.
fn pieces(secret: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(secret);
    // Lines of PEM, and strings of JSON.
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c));
    let words: Vec<_> = words.filter(|word| word.len() >= 32 && !word.starts_with("-----")).collect();
    let mut pieces: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
    for word in words {
        let bytes = STANDARD.decode(word).unwrap_or_default();
        let numbers: Vec<_> = bytes.iter().take(12).map(ToString::to_string).collect();
        let hex: String = bytes.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        pieces.extend(
            [numbers.join(", "), hex, URL_SAFE_NO_PAD.encode(&bytes)]
                .into_iter()
                .filter(|piece| piece.len() >= 20),
        );
        pieces.push(STANDARD.encode(word.get(..30).unwrap_or(word)));
    }
    pieces
}
