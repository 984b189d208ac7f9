//! An API server whose priority and fairness has no room for the controller most of the time.

use crate::Outcome;
use crate::alone::Alone;
use crate::harness::{RESPONDER, World};
use crate::manifest::{gateway, http};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use kube::Api;
use kube::api::DeleteParams;
use reqwest::StatusCode;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A namespace whose ServiceAccount shares few seats with a crowd.
const BUSY: Alone = Alone("busy-api");

/// How many others ask in the name of the same ServiceAccount. There are three seats, and no queue.
const CROWD: usize = 12;

/// How soon each asks again: so that seats are taken much of the time, and not all of it.
const AGAIN: Duration = Duration::from_millis(10);

/// How soon, after it was refused. The API server says a second, as it does to the controller.
const REFUSED: Duration = Duration::from_millis(300);

/// How many certificates are issued.
const CERTIFICATES: usize = 6;

/// What failed in spite of all is tried again within a minute, and more than one thing may.
const PATIENCE: Duration = Duration::from_secs(240);

/// One share of about 250 is three seats of 600. None is borrowed, and what finds no seat is refused.
const FEW_SEATS: &str = "
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: few-seats}
spec:
  type: Limited
  limited: {nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: few-seats}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: few-seats}
  rules:
  - subjects: [{kind: ServiceAccount, serviceAccount: {namespace: busy-api, name: gatecert}}]
    resourceRules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*'], namespaces: ['*'], clusterScope: true}]
";

/// All certificates come, each with one order, and nothing is left behind.
pub(crate) async fn has_room_in_the_end(world: &World) -> Outcome {
    BUSY.install(world).await?;
    let options = BUSY.replica(RESPONDER, &["--only-namespace", "busy-api"]);
    let mut replica = world.replica(&options).await?;
    let server = &world.cluster.server;
    world.apply(FEW_SEATS).await?;
    let token = server.service_account_token(BUSY.0, "gatecert").await?;
    let (mut crowd, mut refusals) = crowd(&server.url(), &token)?;
    // The API server begins to count seats some time after it was told of them.
    tokio::time::timeout(PATIENCE, refusals.wait_for(|refused| *refused > CROWD)).await??;

    let names: Vec<_> = (0..CERTIFICATES).map(|i| format!("busy-{i}")).collect();
    for name in &names {
        let host = format!("www.{name}.test");
        let gateway = gateway(BUSY.0, name, &[http(name, &[&host], "")]);
        world.apply(&[gateway, Alone::certificate(BUSY.0, name, &host)].concat()).await?;
    }
    for name in &names {
        let ready = world.ready_within(BUSY.0, name, PATIENCE).await;
        let ready = ready.map_err(|error| format!("{error}: {}", replica.process.log()))?;
        let status = ready.status.clone().unwrap_or_default();
        assert_eq!(status.recent_orders.len(), 1, "{status:#?}");
    }
    crowd.shutdown().await;
    assert_eq!(replica.terminate().await?, 0);
    let mut requests = server.requests();
    requests.retain(|request| request.user.has_token(&replica.token));
    let refused = requests.iter().filter(|request| request.response_status.code == 429).count();
    eprintln!("{refused} of {} requests refused by priority and fairness", requests.len());
    assert!(refused > 5, "there was room: {refused}");

    let client = &world.cluster.client;
    let parameters = DeleteParams::default();
    Api::<FlowSchema>::all(client.clone()).delete("few-seats", &parameters).await?;
    Api::<PriorityLevelConfiguration>::all(client.clone()).delete("few-seats", &parameters).await?;
    Ok(())
}

/// Others that ask for one thing again and again, with the rights of the controller, and how often they were refused.
fn crowd(server: &str, token: &str) -> Result<(JoinSet<()>, watch::Receiver<usize>), reqwest::Error> {
    // Who it speaks to is started by the same test.
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build()?;
    let url = format!("{server}/api/v1/namespaces/{}/secrets", BUSY.0);
    let (sender, refusals) = watch::channel(0);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let (request, sender) = (client.get(&url).bearer_auth(token), sender.clone());
        crowd.spawn(async move {
            while let Some(request) = request.try_clone() {
                let Ok(answer) = request.send().await else { continue };
                if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                    sender.send_modify(|refused| *refused += 1);
                    tokio::time::sleep(REFUSED).await;
                }
                let _ = answer.bytes().await;
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    Ok((crowd, refusals))
}
