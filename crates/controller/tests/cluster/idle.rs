//! A controller that has nothing to do.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::World;
use crate::manifest::{gateway, http, route};
use gatecert_testkit::cluster::ApiRequest;
use std::net::Ipv4Addr;
use std::time::Duration;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 51);

/// How long nothing is asked when all is done.
const QUIET: Duration = Duration::from_secs(4);

/// How long it is looked at: the Lease is renewed twice.
const LOOK: Duration = Duration::from_secs(12);

/// How often it may become quiet before that is taken for never.
const TRIES: usize = 10;

/// Where all is valid there are watches and the Lease; of Secrets it asks for its own alone.
pub(crate) async fn asks_for_its_lease_alone(world: &World) -> Outcome {
    let calm = Alone("calm");
    calm.install(world).await?;
    let replica = world.replica(&calm.replica(ADDRESS, &["--only-namespace", "calm"])).await?;
    let requests = || -> Vec<ApiRequest> {
        let all = world.cluster.server.requests().into_iter();
        all.filter(|request| request.user.has_token(&replica.token)).collect()
    };
    let others = || requests().iter().filter(|request| !is_expected(request)).count();
    world
        .apply(
            &[
                gateway("calm", "calm", &[http("calm", &["www.calm.test"], "")]),
                route("calm", "web", "calm/calm", &["www.calm.test"]),
                Alone::certificate("calm", "calm", "www.calm.test"),
            ]
            .concat(),
        )
        .await?;
    world.ready("calm", "calm").await?;
    let mut tries = 0;
    let mut before = others();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = others();
        if now == before {
            break;
        }
        (before, tries) = (now, tries + 1);
        assert!(tries < TRIES, "it does not become quiet: {:#?}", requests());
    }
    let asked = requests().len();
    tokio::time::sleep(LOOK).await;
    let since = requests().split_off(asked);
    let more: Vec<_> = since.iter().filter(|request| !is_expected(request)).collect();
    assert!(more.is_empty(), "{more:#?}");
    assert!(since.iter().any(|request| request.object_ref.resource == "leases"), "{since:#?}");

    let of_secrets = |request: &&ApiRequest| {
        request.object_ref.resource == "secrets" && matches!(request.verb.as_str(), "list" | "watch")
    };
    let all = requests();
    let lists: Vec<_> = all.iter().filter(of_secrets).collect();
    let is_of_ours = |uri: &str| uri.contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dgatecert");
    assert!(!lists.is_empty() && lists.iter().all(|request| is_of_ours(&request.request_uri)), "{lists:#?}");
    Ok(())
}

fn is_expected(request: &ApiRequest) -> bool {
    request.verb == "watch" || request.object_ref.resource == "leases"
}
