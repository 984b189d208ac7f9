//! The caches of what others own: gateways, routes, Services.

use crate::cluster::{Cluster, EndpointSlice, IngressClass, Namespace, Service};
use crate::follow::follow;
use crate::options::Scope;
use gatecert_api::annotation;
use gatecert_render::{gateway_api, istio};
use k8s_openapi::api::networking::v1::Ingress;
use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use std::fmt::Debug;
use std::hash::Hash;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Annotations that are read of others' objects; all else is dropped.
const READ_ANNOTATIONS: [&str; 2] = ["gatecert.dev/", "kubernetes.io/ingress.class"];

/// The caches. They are filled by tasks of their own, and say when something in them changed.
#[derive(Debug)]
pub(crate) struct Caches {
    istio_gateways: Store<istio::Gateway>,
    virtual_services: Store<istio::VirtualService>,
    gateways: Store<gateway_api::Gateway>,
    listener_sets: Store<gateway_api::ListenerSet>,
    http_routes: Store<gateway_api::HttpRoute>,
    reference_grants: Store<gateway_api::ReferenceGrant>,
    ingresses: Store<Ingress>,
    ingress_classes: Store<IngressClass>,
    services: Store<Service>,
    endpoint_slices: Store<EndpointSlice>,
    namespaces: Store<Namespace>,
    changed: watch::Receiver<u64>,
}

/// Fills caches, each by a task.
struct Filler<'a> {
    client: &'a Client,
    scope: &'a Scope,
    tasks: &'a mut JoinSet<()>,
    synced: Vec<watch::Receiver<bool>>,
    changed: watch::Sender<u64>,
}

impl Caches {
    /// Begins to fill the caches, and waits until each has been filled once.
    pub(crate) async fn fill(client: &Client, scope: &Scope, tasks: &mut JoinSet<()>) -> Self {
        let (changed, receiver) = watch::channel(0);
        let mut filler = Filler { client, scope, tasks, synced: Vec::new(), changed };
        let caches = Self {
            istio_gateways: filler.cache(),
            virtual_services: filler.cache(),
            gateways: filler.cache(),
            listener_sets: filler.cache(),
            http_routes: filler.cache(),
            reference_grants: filler.cache(),
            ingresses: filler.cache(),
            ingress_classes: filler.cache_of_cluster(),
            services: filler.cache(),
            endpoint_slices: filler.cache(),
            namespaces: filler.cache_of_cluster(),
            changed: receiver,
        };
        for mut synced in filler.synced {
            // A task that ends takes its channel with it; there is nothing to wait for then.
            let _ = synced.wait_for(|synced| *synced).await;
        }
        caches
    }

    /// Changes when something in the caches does.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// What there is now.
    pub(crate) fn snapshot(&self) -> Cluster {
        Cluster {
            istio_gateways: self.istio_gateways.state(),
            virtual_services: self.virtual_services.state(),
            gateways: self.gateways.state(),
            listener_sets: self.listener_sets.state(),
            http_routes: self.http_routes.state(),
            reference_grants: self.reference_grants.state(),
            ingresses: self.ingresses.state(),
            ingress_classes: self.ingress_classes.state(),
            services: self.services.state(),
            endpoint_slices: self.endpoint_slices.state(),
            namespaces: self.namespaces.state(),
        }
    }

    /// Whether there is an IngressClass of this name.
    pub(crate) fn has_ingress_class(&self, name: &str) -> bool {
        self.ingress_classes.get(&ObjectRef::new(name)).is_some()
    }

    /// The ReferenceGrants alone.
    pub(crate) fn reference_grants(&self) -> Vec<std::sync::Arc<gateway_api::ReferenceGrant>> {
        self.reference_grants.state()
    }
}

impl Filler<'_> {
    fn cache<K>(&mut self) -> Store<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K: Lookup<DynamicType = <K as Resource>::DynamicType>,
        K: Clone + Debug + Send + Sync + serde::de::DeserializeOwned + 'static,
        <K as Resource>::DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync + Unpin,
    {
        match &self.scope {
            Scope::Cluster => self.follow(Api::all(self.client.clone())),
            Scope::Namespace(namespace) => self.follow(Api::namespaced(self.client.clone(), namespace)),
        }
    }

    fn cache_of_cluster<K>(&mut self) -> Store<K>
    where
        K: Resource<Scope = k8s_openapi::ClusterResourceScope>,
        K: Lookup<DynamicType = <K as Resource>::DynamicType>,
        K: Clone + Debug + Send + Sync + serde::de::DeserializeOwned + 'static,
        <K as Resource>::DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync + Unpin,
    {
        match &self.scope {
            Scope::Cluster => self.follow(Api::all(self.client.clone())),
            // Whoever serves one namespace may not see what belongs to the whole cluster.
            Scope::Namespace(_) => reflector::store().0,
        }
    }

    fn follow<K>(&mut self, api: Api<K>) -> Store<K>
    where
        K: Resource + Lookup<DynamicType = <K as Resource>::DynamicType>,
        K: Clone + Debug + Send + Sync + serde::de::DeserializeOwned + 'static,
        <K as Resource>::DynamicType: Default + Eq + Hash + Clone + Debug + Send + Sync + Unpin,
    {
        let (store, writer) = reflector::store();
        let (synced, receiver) = watch::channel(false);
        self.synced.push(receiver);
        let changed = self.changed.clone();
        let note = move |event: &watcher::Event<K>| {
            if is_change(event) {
                changed.send_modify(|count| *count = count.wrapping_add(1));
            }
        };
        self.tasks.spawn(follow(api, watcher::Config::default(), Some(writer), trim, note, synced));
        store
    }
}

/// Whether others have changed something. The begin of a list is no change: where there is no such kind, lists are begun
/// for ever. Nor are our own routes, which come and go with each challenge.
fn is_change<K: Resource>(event: &watcher::Event<K>) -> bool {
    match event {
        watcher::Event::Init | watcher::Event::InitApply(_) => false,
        watcher::Event::InitDone => true,
        watcher::Event::Apply(object) | watcher::Event::Delete(object) => {
            let part = object.meta().labels.as_ref().and_then(|labels| labels.get(annotation::PART));
            part.is_none_or(|part| part != annotation::PART_CHALLENGE)
        }
    }
}

fn trim<K: Resource>(object: &mut K) {
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.retain(|key, _| READ_ANNOTATIONS.iter().any(|read| key.starts_with(read)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Response, StatusCode};
    use kube::client::Body;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_there_is_no_change() {
        let (asked, mut looks) = watch::channel(0);
        let absent = move |_| {
            asked.send_modify(|count| *count += 1);
            let body = r#"{"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}"#;
            let answer =
                Response::builder().status(StatusCode::NOT_FOUND).body(Body::from(body.as_bytes().to_vec()));
            async { answer.map_err(tower::BoxError::from) }
        };
        let client = Client::new(tower::service_fn(absent), "default");
        let mut tasks = JoinSet::new();
        let caches = Caches::fill(&client, &Scope::Cluster, &mut tasks).await;
        let many = looks.wait_for(|asked| *asked > 100);
        tokio::time::timeout(Duration::from_secs(24 * 60 * 60), many).await.unwrap().unwrap();
        assert_eq!(*caches.changed().borrow(), 0);
    }
}
