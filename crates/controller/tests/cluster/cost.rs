//! What a certificate costs the API server.

use crate::Outcome;
use crate::harness::{USER, World};
use crate::manifest::{certificate, gateway, http, route};
use gatecert_testkit::cluster::ApiRequest;
use std::time::Duration;

/// How long the API server may take to write its audit log.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);

pub(crate) async fn eight_writes_for_one_certificate(world: &World) -> Outcome {
    world.namespaces(&["cost"]).await?;
    let gateway = gateway("cost", "cost", &[http("cost", &["www.cost.test"], "")]);
    world.apply(&[gateway, route("app", "cost", "cost/cost", &["www.cost.test"])].concat()).await?;
    // Without a gateway there would be a refusal to write first.
    world.answers("www.cost.test", "/", 200).await?;
    world.apply(&certificate("cost", "cost", &["www.cost.test"])).await?;
    world.ready("cost", "cost").await?;
    tokio::time::sleep(SETTLE).await;
    let requests = world.cluster.server.requests();
    let ours =
        |request: &&ApiRequest| request.user.username == USER && request.object_ref.namespace == "cost";
    let ours: Vec<_> = requests.iter().filter(ours).collect();
    let writes = ours.iter().filter(|request| !matches!(request.verb.as_str(), "get" | "list")).count();
    let all: Vec<_> = ours
        .iter()
        .map(|one| format!("{} {}/{}", one.verb, one.object_ref.resource, one.object_ref.subresource))
        .collect();
    assert!(writes <= 8 && ours.len() <= 12, "{writes} writes of {}: {all:#?}", ours.len());
    assert!(writes >= 4, "too few to be all: {all:#?}");
    Ok(())
}
