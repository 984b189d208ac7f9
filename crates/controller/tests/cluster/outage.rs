//! The API server goes away for longer than a Lease holds.

use crate::Outcome;
use crate::harness::{Load, World};
use crate::manifest::{certificate, gateway, http, https, route};
use std::time::Duration;

/// Longer than the controller keeps its Lease without a renewal.
const OUTAGE: Duration = Duration::from_secs(20);

/// How long everybody may take to come back.
const PATIENCE: Duration = Duration::from_secs(180);

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
    let load = Load::start(world, &[("https", host, "/", 200), ("http", host, "/", 200)]);
    world.cluster.server.pause();
    tokio::time::sleep(OUTAGE).await;
    world.cluster.server.resume().await?;
    load.end().await?;
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
