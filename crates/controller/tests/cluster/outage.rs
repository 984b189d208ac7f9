//! The API server goes away for longer than a Lease holds.

use crate::Outcome;
use crate::gateway::challenge_is_answered;
use crate::harness::{Load, World};
use crate::manifest::{SILENT, certificate, gateway, http, https, route};
use gatecert_api::Certificate;
use gatecert_testkit::cluster::delete;
use std::error::Error;
use std::time::Duration;

/// Several times as long as the controller keeps its Lease without a renewal.
const OUTAGE: Duration = Duration::from_secs(60);

/// How long everybody may take to come back.
const PATIENCE: Duration = Duration::from_secs(180);

/// The Certificate that is being issued when the API server goes, and its host.
const CAUGHT: &str = "caught";
const CAUGHT_HOST: &str = "www.caught.test";

pub(crate) async fn the_api_server_goes_and_comes_back(world: &World) -> Outcome {
    let host = "www.outage.test";
    let name = "outage";
    world
        .apply(
            &[
                gateway("istio-system", name, &[http(name, &[host], ""), https(name, &[host], name)]),
                route("app", name, "istio-system/outage", &[host]),
                certificate("istio-system", name, &[host]),
            ]
            .concat(),
        )
        .await?;
    world.served(host).await?;
    world.ready("istio-system", name).await?;
    world.answers(host, "/", 200).await?;
    let caught = in_mid_order(world).await?;
    let load = Load::start(
        world,
        &[("https", host, "/", 200), ("http", host, "/", 200), ("http", CAUGHT_HOST, "/", 200)],
    );
    world.cluster.server.pause();
    tokio::time::sleep(OUTAGE).await;
    world.cluster.server.resume().await?;
    is_finished(world, &caught).await?;
    load.end().await?;
    something_new_is_served(world).await
}

/// A Certificate whose challenge the gateway answers, while the controller waits for a Pod that does not.
async fn in_mid_order(world: &World) -> Result<Certificate, Box<dyn Error + Send + Sync>> {
    world
        .apply(
            &[
                SILENT.to_owned(),
                gateway("istio-system", CAUGHT, &[http(CAUGHT, &[CAUGHT_HOST], "")]),
                route("app", CAUGHT, "istio-system/caught", &[CAUGHT_HOST]),
            ]
            .concat(),
        )
        .await?;
    world.answers(CAUGHT_HOST, "/", 200).await?;
    world.apply(&certificate("istio-system", CAUGHT, &[CAUGHT_HOST])).await?;
    let begun = world.begun("istio-system", CAUGHT).await?;
    challenge_is_answered(world, CAUGHT_HOST, &begun).await?;
    Ok(begun)
}

/// It is issued with the order that there was before, and nothing is left of that.
async fn is_finished(world: &World, begun: &Certificate) -> Outcome {
    let issuance = begun.status.as_ref().and_then(|status| status.issuance.as_ref()).ok_or("no issuance")?;
    delete(&world.cluster.client, SILENT).await?;
    let issued = world
        .until_for("istio-system", CAUGHT, PATIENCE, |certificate| {
            certificate.status.as_ref().is_some_and(|status| status.revision == Some(1))
        })
        .await?;
    let orders = issued.status.unwrap_or_default().recent_orders;
    let orders: Vec<_> = orders.iter().map(|order| order.order_url.as_str()).collect();
    assert_eq!(orders, [issuance.order.as_str()]);
    world.nothing_left_of(begun.metadata.uid.as_deref().unwrap_or_default()).await
}

/// Routes and a certificate that come after it.
async fn something_new_is_served(world: &World) -> Outcome {
    let after = [
        gateway("istio-system", "after", &[http("after", &["www.after.test"], "")]),
        route("app", "after", "istio-system/after", &["www.after.test"]),
    ];
    world.apply(&after.concat()).await?;
    // istiod comes back on its own time.
    world.answers_within(PATIENCE, "www.after.test", "/", 200).await?;
    world.apply(&certificate("istio-system", "after", &["www.after.test"])).await?;
    world
        .until_for("istio-system", "after", PATIENCE, |certificate| {
            certificate.status.as_ref().is_some_and(|status| status.revision == Some(1))
        })
        .await?;
    Ok(())
}
