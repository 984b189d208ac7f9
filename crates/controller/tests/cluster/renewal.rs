//! Renewals in time.

use crate::Outcome;
use crate::cost::SETTLE;
use crate::harness::{RESPONDER, World};
use crate::manifest::{certificate, gateway, http};
use crate::replica::ReplicaOptions;
use gatecert_api::Certificate;
use gatecert_testkit::cluster::ApiRequest;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// The CA's window is asked for again when it said so, and obeyed.
pub(crate) async fn the_ca_asks_for_it(world: &World) -> Outcome {
    let started =
        |identity, hours_ahead| ReplicaOptions { hours_ahead, ..ReplicaOptions::new(identity, RESPONDER) };
    let mut before = world.replica(&started("before", 0)).await?;
    let host = "www.renewal.test";
    world
        .apply(
            &[
                gateway("istio-system", "renewal", &[http("renewal", &[host], "")]),
                certificate("istio-system", "renewal", &[host]),
            ]
            .concat(),
        )
        .await?;
    let issued = world.ready("istio-system", "renewal").await?;
    let status = issued.status.unwrap_or_default();
    let ari = status.ari.clone().ok_or("the CA was not asked when to renew")?;
    assert_eq!(before.terminate().await?, 0);

    let secrets: Api<Secret> = Api::namespaced(world.cluster.client.clone(), "istio-system");
    let chain = secrets.get("renewal").await?.data.unwrap_or_default().remove("tls.crt").ok_or("no chain")?;
    let window = r#"{"suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}}"#;
    world.cluster.pebble.set_renewal_info(&String::from_utf8(chain.0)?, window).await?;
    let not_before = status.not_before.ok_or("no date")?.0;
    assert!(
        status.renewal_time.as_ref().is_some_and(|time| time.0 > not_before),
        "{:?}",
        status.renewal_time
    );
    // Behind the next question, and behind the time after an issue in which age is no reason for another.
    let wait = ari.ask_again_at.0.duration_since(not_before).as_hours().max(12) + 2;
    let _after = world.replica(&started("after", wait)).await?;
    let renewed = world
        .until("istio-system", "renewal", |certificate| {
            certificate.status.as_ref().is_some_and(|status| status.revision == Some(2))
        })
        .await?;
    let renewed = renewed.status.unwrap_or_default();
    assert_ne!(renewed.serial_number, status.serial_number);
    // The new certificate has a window of its own, and is not renewed again.
    let next = renewed.ari.ok_or("the CA was not asked when to renew the new one")?;
    assert_ne!(next.certificate_id, ari.certificate_id);
    assert!(renewed.renewal_time > renewed.not_before, "{:?}", renewed.renewal_time);
    Ok(())
}

/// The same answer again is not worth a write, and is remembered all the same.
pub(crate) async fn the_same_answer_is_not_written(world: &World) -> Outcome {
    let started =
        |identity, hours_ahead| ReplicaOptions { hours_ahead, ..ReplicaOptions::new(identity, RESPONDER) };
    let mut before = world.replica(&started("before", 0)).await?;
    let (host, name) = ("www.same.test", "same-answer");
    world
        .apply(
            &[
                gateway("istio-system", name, &[http(name, &[host], "")]),
                certificate("istio-system", name, &[host]),
            ]
            .concat(),
        )
        .await?;
    let issued = world.ready("istio-system", name).await?;
    let status = issued.status.clone().unwrap_or_default();
    let ari = status.ari.ok_or("the CA was not asked when to renew")?;
    assert_eq!(before.terminate().await?, 0);

    let not_before = status.not_before.ok_or("no date")?.0;
    let wait = ari.ask_again_at.0.duration_since(not_before).as_hours() + 2;
    let writes_before = writes_of_status(world, name).await;
    let after = world.replica(&started("after", wait)).await?;
    let asking = format!("asking when to renew certificate=Certificate.v1.gatecert.dev/{name}.istio-system");
    after.logs(&asking).await?;
    // A reason to look at it once more, and to write what was seen.
    let labels = json!({ "spec": { "secretTemplate": { "labels": { "looked-at": "again" } } } });
    let certificates = world.certificates("istio-system");
    certificates.patch(name, &PatchParams::default(), &Patch::Merge(labels)).await?;
    let seen = |certificate: &Certificate| {
        let observed = certificate.status.as_ref().and_then(|status| status.observed_generation);
        observed == certificate.metadata.generation && observed > issued.metadata.generation
    };
    let again = world.until("istio-system", name, seen).await?;
    let again = again.status.and_then(|status| status.ari).ok_or("the window was forgotten")?;
    assert!(again.ask_again_at > ari.ask_again_at, "the answer was forgotten: {again:?}");
    assert_eq!(writes_of_status(world, name).await - writes_before, 1, "the answer alone was written");
    assert_eq!(after.log().matches(&asking).count(), 1, "it was asked again too soon");
    Ok(())
}

/// How often a status was written.
async fn writes_of_status(world: &World, name: &str) -> usize {
    tokio::time::sleep(SETTLE).await;
    let is_one = |request: &&ApiRequest| {
        let object = &request.object_ref;
        request.verb == "patch"
            && object.resource == "certificates"
            && object.subresource == "status"
            && object.name == name
    };
    world.cluster.server.requests().iter().filter(is_one).count()
}
