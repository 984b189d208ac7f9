//! The control of [`super::at_once`]: as many challenge routes, applied and deleted by hand when the controller did it.

use super::at_once::{Writes, host, name, prepare};
use super::pushes::Metrics;
use crate::rig::Rig;
use anyhow::Result;
use gatecert_render::istio::VirtualService;
use gatecert_render::{Answer, Challenge, ObjectName, Owner, VirtualServiceRoute, virtual_service};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use std::time::Duration;

const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const THUMBPRINT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

/// What istiod tells of its pushes meanwhile.
#[allow(clippy::disallowed_methods, reason = "a benchmark needs the time")]
pub(super) async fn run(rig: &Rig, count: usize, writes: &Writes) -> Result<Value> {
    prepare(rig, count).await?;
    let before = Metrics::when_quiet(&rig.cluster.istiod).await?;
    let api: Api<VirtualService> = Api::namespaced(rig.cluster.client.clone(), "istio-system");
    let start = tokio::time::Instant::now();
    let routes = (0..count).map(|number| {
        let api = api.clone();
        // The controller may have put many hosts on one route.
        let at = |times: &[Duration]| {
            times.get(number * times.len() / count).map_or(start, |offset| start + *offset)
        };
        let (written, deleted) = (at(&writes.written), at(&writes.deleted));
        async move {
            let route = route(number);
            tokio::time::sleep_until(written).await;
            let parameters = PatchParams::apply("test").force();
            api.patch(&route.name_any(), &parameters, &Patch::Apply(&route)).await?;
            tokio::time::sleep_until(deleted).await;
            api.delete(&route.name_any(), &Default::default()).await?;
            Ok::<_, anyhow::Error>(())
        }
    });
    futures::future::try_join_all(routes).await?;
    Ok(Metrics::when_quiet(&rig.cluster.istiod).await?.since(&before).figures())
}

fn route(number: usize) -> VirtualService {
    let owner =
        Owner { namespace: "istio-system".to_owned(), name: name(number), uid: format!("uid-{number}") };
    let mut route = virtual_service(&VirtualServiceRoute {
        owner: &owner,
        name: format!("by-hand-{number}"),
        gateways: &[ObjectName::new("istio-system", name(number))].into(),
        export_to: &["istio-system".to_owned()].into(),
        hosts: &[host(number)].into(),
        challenges: &[Challenge {
            host: host(number),
            token: TOKEN.to_owned(),
            key_authorization: format!("{TOKEN}.{THUMBPRINT}"),
        }],
        answer: &Answer::Direct,
    });
    // The Certificate that would own it is not there.
    route.metadata.owner_references = None;
    route.metadata.labels = None;
    route
}
