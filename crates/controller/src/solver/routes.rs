//! The objects that challenges need on gateways: rendered from a placement, applied, deleted.

use crate::controller::Controller;
use crate::route::{IngressPlace, Placement};
use gatecert_api::annotation;
use gatecert_render::{
    Challenge, HttpRouteForm, IngressForm, ObjectName, Owner, RedirectBypass, VirtualServiceRoute,
    challenge_name, gateway_api, http_route, ingress, istio, redirect_bypass, reference_grant,
    virtual_service,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// A route that stands for some challenges.
pub(super) enum Route {
    VirtualService(istio::VirtualService),
    Gateway(istio::Gateway),
    HttpRoute(gateway_api::HttpRoute),
    Grant(gateway_api::ReferenceGrant),
    Ingress(Box<Ingress>),
}

/// The routes of one Certificate.
pub(super) struct Routes<'a> {
    pub(super) controller: &'a Controller,
    pub(super) owner: &'a Owner,
    pub(super) placement: &'a Placement,
}

impl Routes<'_> {
    /// Everything that the challenges need. The names of the objects depend on the Certificate and the place alone, so
    /// that a later attempt finds what an earlier one has left.
    pub(super) fn all(&self, challenges: &[Challenge]) -> Vec<Route> {
        let of = |hosts: &BTreeSet<String>| -> Vec<Challenge> {
            challenges.iter().filter(|challenge| hosts.contains(&challenge.host)).cloned().collect()
        };
        let mut routes = Vec::new();
        for (index, place) in self.placement.virtual_services.iter().enumerate() {
            let challenges = of(&place.hosts);
            if challenges.is_empty() {
                continue;
            }
            routes.push(Route::VirtualService(virtual_service(&VirtualServiceRoute {
                owner: self.owner,
                name: challenge_name(self.owner, &format!("virtual-service-{index}")),
                gateways: &place.gateways,
                export_to: &place.export_to,
                hosts: &place.patterns,
                challenges: &challenges,
                answer: &place.answer,
            })));
        }
        for place in &self.placement.bypasses {
            let challenges = of(&[place.host.clone()].into());
            if challenges.is_empty() {
                continue;
            }
            let (gateway, route) = redirect_bypass(&RedirectBypass {
                owner: self.owner,
                name: challenge_name(self.owner, &format!("bypass-{}-{}", place.namespace, place.host)),
                namespace: place.namespace.clone(),
                export_to: &place.export_to,
                selector: &place.selector,
                port: &place.port,
                host: &place.host,
                challenges: &challenges,
                answer: &place.answer,
            });
            routes.extend([Route::VirtualService(route), Route::Gateway(gateway)]);
        }
        routes.extend(self.http_routes(&of));
        routes.extend(self.ingresses(challenges));
        routes
    }

    fn http_routes(&self, of: &dyn Fn(&BTreeSet<String>) -> Vec<Challenge>) -> Vec<Route> {
        let responder = &self.controller.responder;
        let mut routes = Vec::new();
        for (index, place) in self.placement.http_routes.iter().enumerate() {
            let challenges = of(&place.hosts);
            if challenges.is_empty() {
                continue;
            }
            let name = challenge_name(self.owner, &format!("http-route-{index}"));
            if place.namespace != responder.namespace {
                routes.push(Route::Grant(reference_grant(&place.namespace, responder)));
            }
            routes.push(Route::HttpRoute(http_route(&HttpRouteForm {
                owner: self.owner,
                name: ObjectName::new(&place.namespace, name),
                parents: &place.parents,
                hostnames: &place.patterns,
                challenges: &challenges,
                responder,
            })));
        }
        routes
    }

    fn ingresses(&self, challenges: &[Challenge]) -> Vec<Route> {
        let is_open = |place: &&IngressPlace| {
            let mut names = place.hosts.values().flatten();
            names.any(|name| challenges.iter().any(|challenge| challenge.host == *name))
        };
        let places = self.placement.ingresses.iter().filter(is_open);
        let render = |place: &IngressPlace| {
            let mut hosts: BTreeMap<String, Vec<Challenge>> = BTreeMap::new();
            for (pattern, names) in &place.hosts {
                let of_names = challenges.iter().filter(|challenge| names.contains(&challenge.host)).cloned();
                hosts.entry(pattern.clone()).or_default().extend(of_names);
            }
            Route::Ingress(Box::new(ingress(&IngressForm {
                owner: self.owner,
                // istiod serves a host by the Gateway of its oldest Ingress alone, and takes the first by name where
                // several are of one second: ours has no TLS server and must not be that one.
                name: format!("zz-{}", challenge_name(self.owner, &format!("ingress-{}", place.class))),
                class: &place.class,
                is_annotated: !self.controller.caches.has_ingress_class(&place.class),
                hosts: &hosts,
                responder: &self.controller.responder,
            })))
        };
        places.map(render).collect()
    }
}

impl Route {
    /// Which object it is.
    pub(super) fn key(&self) -> (&'static str, String) {
        match self {
            Self::VirtualService(route) => ("VirtualService", full_name(route)),
            Self::Gateway(gateway) => ("Gateway", full_name(gateway)),
            Self::HttpRoute(route) => ("HTTPRoute", full_name(route)),
            Self::Ingress(ingress) => ("Ingress", full_name(&**ingress)),
            Self::Grant(grant) => ("ReferenceGrant", full_name(grant)),
        }
    }

    pub(super) async fn apply(&self, controller: &Controller) -> Result<(), kube::Error> {
        match self {
            Self::VirtualService(route) => apply(controller, route).await,
            Self::Gateway(gateway) => apply(controller, gateway).await,
            Self::HttpRoute(route) => apply(controller, route).await,
            Self::Ingress(ingress) => apply(controller, &**ingress).await,
            Self::Grant(grant) => {
                let is_there = controller.caches.reference_grants().iter().any(|other| {
                    (other.namespace(), other.name_any()) == (grant.namespace(), grant.name_any())
                });
                if is_there { Ok(()) } else { apply(controller, grant).await }
            }
        }
    }

    pub(super) async fn delete(&self, controller: &Controller) -> Result<(), kube::Error> {
        match self {
            Self::VirtualService(route) => delete(controller, route).await,
            Self::Gateway(gateway) => delete(controller, gateway).await,
            Self::HttpRoute(route) => delete(controller, route).await,
            Self::Ingress(ingress) => delete(controller, &**ingress).await,
            // It stays for the next time: it lets nobody do anything but be answered.
            Self::Grant(_) => Ok(()),
        }
    }
}

fn full_name<K: Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

async fn apply<K>(controller: &Controller, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = Api::namespaced(controller.client.clone(), &object.namespace().unwrap_or_default());
    let parameters = PatchParams::apply(annotation::MANAGER).force();
    api.patch(&object.name_any(), &parameters, &Patch::Apply(object)).await.map(|_| ())
}

/// Deletes an object; that there is none is as good.
pub(crate) async fn delete<K>(controller: &Controller, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    delete_with(controller, object, &DeleteParams::default()).await
}

/// The same, but not where somebody has written it since it was seen.
pub(crate) async fn delete_as_seen<K>(controller: &Controller, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let seen = Preconditions { resource_version: object.resource_version(), uid: object.uid() };
    let parameters = DeleteParams { preconditions: Some(seen), ..DeleteParams::default() };
    match delete_with(controller, object, &parameters).await {
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(()),
        deleted => deleted,
    }
}

async fn delete_with<K>(
    controller: &Controller,
    object: &K,
    parameters: &DeleteParams,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(controller.client.clone(), &object.namespace().unwrap_or_default());
    match api.delete(&object.name_any(), parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
