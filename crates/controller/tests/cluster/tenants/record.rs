//! Every challenge route that is there, if only for a moment, by the Certificate that it is for.

use crate::Outcome;
use crate::harness::World;
use futures::StreamExt as _;
use gatecert_api::annotation;
use gatecert_render::{gateway_api, istio};
use k8s_openapi::api::networking::v1::Ingress;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// From the uids of Certificates to their routes, each as `kind namespace/name`, as often as one was written.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

/// A record, which goes on until it is dropped.
pub(super) struct Record {
    seen: Seen,
    _watches: JoinSet<()>,
}

impl Record {
    /// Begins one, when it sees what comes from now on.
    pub(super) async fn start(world: &World) -> Self {
        let (seen, mut watches) = (Seen::default(), JoinSet::new());
        let (client, begun) = (&world.cluster.client, Arc::new(Barrier::new(5)));
        watches.spawn(watch::<istio::VirtualService>(client.clone(), seen.clone(), Arc::clone(&begun)));
        watches.spawn(watch::<istio::Gateway>(client.clone(), seen.clone(), Arc::clone(&begun)));
        watches.spawn(watch::<gateway_api::HttpRoute>(client.clone(), seen.clone(), Arc::clone(&begun)));
        watches.spawn(watch::<Ingress>(client.clone(), seen.clone(), Arc::clone(&begun)));
        begun.wait().await;
        Self { seen, _watches: watches }
    }

    /// The routes so far for a Certificate.
    pub(super) fn of(&self, uid: &str) -> Vec<String> {
        self.seen.0.lock().unwrap().get(uid).cloned().unwrap_or_default()
    }

    /// Waits until there was one.
    pub(super) async fn until_route_for(&self, world: &World, namespace: &str, name: &str) -> Outcome {
        let uid = world.certificates(namespace).get(name).await?.uid().unwrap_or_default();
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while self.of(&uid).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.map_err(|_| format!("no route was recorded for {namespace}/{name}").into())
    }
}

async fn watch<K>(client: Client, seen: Seen, begun: Arc<Barrier>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let challenges = format!("{}={}", annotation::PART, annotation::PART_CHALLENGE);
    let mut events = pin!(watcher(Api::<K>::all(client), watcher::Config::default().labels(&challenges)));
    let mut is_begun = false;
    while let Some(event) = events.next().await {
        if matches!(event, Ok(Event::InitDone)) && !std::mem::replace(&mut is_begun, true) {
            begun.wait().await;
        }
        if let Ok(Event::Apply(route) | Event::InitApply(route)) = event {
            let uid = route.labels().get(annotation::CERTIFICATE_UID).cloned().unwrap_or_default();
            let (kind, namespace) = (K::kind(&()), route.namespace().unwrap_or_default());
            let title = format!("{kind} {namespace}/{}", route.name_any());
            seen.0.lock().unwrap().entry(uid).or_default().push(title);
        }
    }
}
