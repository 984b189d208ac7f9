//! Reads from the cluster what the checks go by. Nothing is written.

use super::small::{Pod, Service};
use crate::error::Failure;
use gatecert_api::{Certificate, ClusterIssuer, Issuer};
use gatecert_controller::cluster::Cluster;
use gatecert_render::{ObjectName, istio};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{GroupVersionKind, ObjectList, Request};
use kube::discovery::ApiResource;
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects in a page of a list.
const PAGE: u32 = 500;

/// Pages that are read of a kind: 100,000 objects.
const MAX_PAGES: usize = 200;

/// Secrets that are read: a name is served with one or two.
const MAX_SECRETS: usize = 16;

/// Sets of Pods that are read: a name comes in by one or two.
const MAX_POD_SETS: usize = 16;

/// The name of the Lease that the controller's replicas share.
const LEASE: &str = "gatecert-controller";

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// Gateways, routes, Services, as the controller sees them.
    pub(super) cluster: Cluster,
    /// VirtualServices with all that stands in them.
    pub(super) virtual_services: BTreeMap<ObjectName, serde_json::Value>,
    /// The addresses or names of load balancers, by Service.
    pub(super) balancers: BTreeMap<ObjectName, BTreeSet<String>>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) issuers: Vec<Issuer>,
    pub(super) cluster_issuers: Vec<ClusterIssuer>,
    pub(super) leases: Vec<Lease>,
    pub(super) mesh: Mesh,
    /// What could not be read.
    pub(super) unread: Vec<Unread>,
}

/// Istio's policies.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    pub(super) authorization_policies: Vec<DynamicObject>,
    pub(super) request_authentications: Vec<DynamicObject>,
    pub(super) peer_authentications: Vec<DynamicObject>,
    pub(super) destination_rules: Vec<DynamicObject>,
}

/// A kind that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// As kubectl names it: `certificates.gatecert.dev`.
    pub(super) resource: String,
    pub(super) why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The cluster has no such kind.
    Absent,
    /// Whoever asks may not see it.
    Forbidden,
}

/// Reads lists.
pub(super) struct Reader {
    client: Client,
    unread: Mutex<Vec<Unread>>,
}

impl Reader {
    pub(super) fn new(client: Client) -> Self {
        Self { client, unread: Mutex::default() }
    }

    /// Everything, each kind by a list of its own.
    pub(super) async fn gather(&self) -> Result<Gathered, Failure> {
        let others = async {
            let mut cluster = self.gateways().await?;
            let services: Vec<Service> = self.list().await?;
            let balancers = services.iter().map(|service| (name_of(service), service.balancer())).collect();
            cluster.services =
                services.into_iter().map(|service| Arc::new(service.of_controller())).collect();
            Ok::<_, Failure>((cluster, balancers))
        };
        let ours = async {
            tokio::try_join!(
                self.list::<Certificate>(),
                self.list::<Issuer>(),
                self.list::<ClusterIssuer>(),
                self.leases()
            )
        };
        let ((mut cluster, balancers), (certificates, issuers, cluster_issuers, leases), mesh, routes) =
            tokio::try_join!(others, ours, self.mesh(), self.kind("networking.istio.io", "VirtualService"))?;
        let mut virtual_services = BTreeMap::new();
        for route in routes {
            let value = serde_json::to_value(&route).unwrap_or_default();
            if let Ok(typed) = serde_json::from_value::<istio::VirtualService>(value.clone()) {
                cluster.virtual_services.push(Arc::new(typed));
            }
            virtual_services.insert(name_of(&route), value);
        }
        let unread = std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Gathered {
            cluster,
            virtual_services,
            balancers,
            certificates,
            issuers,
            cluster_issuers,
            leases,
            mesh,
            unread,
        })
    }

    async fn gateways(&self) -> Result<Cluster, Failure> {
        Ok(Cluster {
            istio_gateways: self.shared().await?,
            virtual_services: Vec::new(),
            gateways: self.shared().await?,
            listener_sets: self.shared().await?,
            http_routes: self.shared().await?,
            reference_grants: self.shared().await?,
            ingresses: self.shared().await?,
            ingress_classes: self.shared().await?,
            services: Vec::new(),
            endpoint_slices: self.shared().await?,
            namespaces: self.shared().await?,
        })
    }

    async fn mesh(&self) -> Result<Mesh, Failure> {
        let (authorization_policies, request_authentications, peer_authentications, destination_rules) = tokio::try_join!(
            self.kind("security.istio.io", "AuthorizationPolicy"),
            self.kind("security.istio.io", "RequestAuthentication"),
            self.kind("security.istio.io", "PeerAuthentication"),
            self.kind("networking.istio.io", "DestinationRule"),
        )?;
        Ok(Mesh { authorization_policies, request_authentications, peer_authentications, destination_rules })
    }

    async fn leases(&self) -> Result<Vec<Lease>, Failure> {
        let parameters = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        self.pages(&ApiResource::erase::<Lease>(&()), parameters).await
    }

    async fn kind(&self, group: &str, kind: &str) -> Result<Vec<DynamicObject>, Failure> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        self.pages(&resource, ListParams::default()).await
    }

    async fn shared<K>(&self) -> Result<Vec<Arc<K>>, Failure>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        Ok(self.list().await?.into_iter().map(Arc::new).collect())
    }

    async fn list<K>(&self) -> Result<Vec<K>, Failure>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.pages(&ApiResource::erase::<K>(&()), ListParams::default()).await
    }

    async fn pages<K>(&self, resource: &ApiResource, parameters: ListParams) -> Result<Vec<K>, Failure>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let mut parameters = parameters.limit(PAGE);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let path = DynamicObject::url_path(resource, None);
            let page: ObjectList<K> = match self.page(path, &parameters).await? {
                Ok(text) => parsed(&text)?,
                Err(why) => {
                    self.miss(resource, why);
                    return Ok(all);
                }
            };
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
        Ok(all)
    }

    /// A page of a list, as text. It is the same code for all kinds, of which each would have its own.
    async fn page(&self, path: String, parameters: &ListParams) -> Result<Result<String, Why>, Failure> {
        let request = Request::new(path).list(parameters);
        let request = request.map_err(|error| Failure::local("cluster", &error))?;
        match self.client.request_text(request).await {
            Ok(text) => Ok(Ok(text)),
            Err(error) => why(error).map(Err),
        }
    }

    /// Notes that a kind could not be read.
    fn miss(&self, resource: &ApiResource, why: Why) {
        let unread = Unread { resource: title(resource), why };
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).push(unread);
    }

    /// The Pods with these labels, by namespace; `None` where they can not be read.
    pub(super) async fn pods(
        &self,
        wanted: &BTreeSet<(String, BTreeMap<String, String>)>,
    ) -> Result<Vec<Pod>, Failure> {
        let mut pods = Vec::new();
        for (namespace, labels) in wanted.iter().filter(|(_, labels)| !labels.is_empty()).take(MAX_POD_SETS) {
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let parameters = ListParams::default().labels(&labels.join(",")).limit(PAGE);
            // Where they can not be read the labels of selectors will do.
            if let Ok(text) = self.page(Pod::url_path(&(), Some(namespace)), &parameters).await? {
                pods.extend(parsed::<ObjectList<Pod>>(&text)?.items);
            }
        }
        Ok(pods)
    }

    /// Some Secrets; what may not be read is an error of its own.
    pub(super) async fn secrets(
        &self,
        wanted: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<ObjectName, Result<Option<Secret>, Why>>, Failure> {
        let mut secrets = BTreeMap::new();
        for name in wanted.iter().take(MAX_SECRETS) {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &name.namespace);
            let secret = match api.get_opt(&name.name).await {
                Ok(secret) => Ok(secret),
                Err(error) => Err(why(error)?),
            };
            secrets.insert(name.clone(), secret);
        }
        Ok(secrets)
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::local("cluster", &error))
}

/// A kind as kubectl names it.
fn title(resource: &ApiResource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    }
}

/// Why something can not be read, if that is no failure of the whole.
fn why(error: kube::Error) -> Result<Why, Failure> {
    match &error {
        kube::Error::Api(status) if status.code == 404 => Ok(Why::Absent),
        kube::Error::Api(status) if status.code == 403 => Ok(Why::Forbidden),
        _ => Err(Failure::local("cluster", &error).hint(
            "is the API server of the kubeconfig reachable, and its token good? --no-cluster looks from outside only",
        )),
    }
}

/// Namespace and name.
pub(super) fn name_of<K: Resource>(object: &K) -> ObjectName {
    ObjectName::new(object.namespace().unwrap_or_default(), object.name_any())
}
