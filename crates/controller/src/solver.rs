//! Puts the challenges of a Certificate on the gateways that serve its names, and takes them away.

use crate::controller::Controller;
use crate::policy;
use crate::probe::Miss;
use crate::route::{IngressPlace, Placement};
use async_trait::async_trait;
use futures::future::{join, try_join_all};
use gatecert_api::annotation;
use gatecert_issue::{Presentation, Solver, SolverError};
use gatecert_render::{
    Challenge, HttpRouteForm, IngressForm, ObjectName, Owner, RedirectBypass, VirtualServiceRoute,
    challenge_name, gateway_api, http_route, ingress, istio, placeholder_secret, redirect_bypass,
    reference_grant, virtual_service,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Istio's root namespace, unless a mesh has another.
const ROOT_NAMESPACE: &str = "istio-system";

/// Proves the names of one Certificate by routes on gateways.
pub(crate) struct RouteSolver<'a> {
    pub(crate) controller: &'a Controller,
    pub(crate) owner: &'a Owner,
    pub(crate) placement: &'a Placement,
    /// Shows the challenges in the Certificate's status, which every replica's responder reads.
    pub(crate) show: &'a (dyn Shows + 'a),
}

/// Shows what is being proved.
#[async_trait]
pub(crate) trait Shows: Send + Sync {
    async fn show(&self, challenges: &[Challenge]);
}

/// A route that stands for some challenges.
pub(crate) enum Route {
    VirtualService(istio::VirtualService),
    Gateway(istio::Gateway),
    HttpRoute(gateway_api::HttpRoute),
    Grant(gateway_api::ReferenceGrant),
    Ingress(Box<Ingress>),
}

#[async_trait]
impl Solver for RouteSolver<'_> {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        self.write_placeholders().await?;
        let routes = self.routes(&challenges);
        let applied = try_join_all(routes.iter().map(|route| route.apply(self.controller)));
        let (applied, ()) = join(applied, self.show.show(&challenges)).await;
        applied.map_err(|error| {
            SolverError::general("a challenge route can not be written").with_source(error)
        })?;
        Ok(())
    }

    async fn ready(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        let timeout = self.controller.options.route_timeout();
        let ready = self.controller.prober.until_ready(&self.placement.probes, &challenges, timeout).await;
        let Err(misses) = ready else { return Ok(()) };
        let policies = match misses.iter().any(Miss::is_denied) {
            true => policy::of_namespaces(&self.controller.client, &self.gateway_namespaces()).await,
            false => Vec::new(),
        };
        Err(unreachable(presentations, &misses, &policies))
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        let challenges: Vec<_> = presentations.iter().map(challenge).collect();
        let routes = self.routes(&challenges);
        let deleted = try_join_all(routes.iter().map(|route| route.delete(self.controller))).await;
        deleted.map_err(|error| {
            SolverError::general("a challenge route can not be deleted").with_source(error)
        })?;
        Ok(())
    }
}

fn challenge(presentation: &Presentation) -> Challenge {
    Challenge {
        host: presentation.identifier.value(),
        token: presentation.token.clone(),
        key_authorization: presentation.key_authorization.clone(),
    }
}

fn unreachable(presentations: &[Presentation], misses: &[Miss], policies: &[String]) -> SolverError {
    let failures = presentations.iter().filter_map(|presentation| {
        let host = presentation.identifier.value();
        let first = misses.iter().find(|miss| miss.host == host)?;
        Some((presentation.identifier.clone(), first.message(policies)))
    });
    SolverError::all(failures)
}

impl RouteSolver<'_> {
    /// The namespaces whose policies gateways obey: their own, and the mesh's root namespace.
    fn gateway_namespaces(&self) -> BTreeSet<String> {
        let placement = self.placement;
        let of_gateways = placement.virtual_services.iter().flat_map(|place| &place.gateways);
        let mut namespaces: BTreeSet<_> = of_gateways.map(|gateway| gateway.namespace.clone()).collect();
        namespaces.extend(placement.bypasses.iter().map(|place| place.namespace.clone()));
        namespaces.extend(placement.http_routes.iter().map(|place| place.namespace.clone()));
        namespaces.insert(ROOT_NAMESPACE.to_owned());
        namespaces
    }

    /// Everything that the challenges need. The names of the objects depend on the Certificate and the place alone, so
    /// that a later attempt finds what an earlier one has left.
    fn routes(&self, challenges: &[Challenge]) -> Vec<Route> {
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

    /// A gateway's TLS server exists only when its Secret does, so that a challenge which is answered there needs one.
    async fn write_placeholders(&self) -> Result<(), SolverError> {
        for secret in &self.placement.placeholders {
            if self.controller.secrets.get(secret).is_some() {
                continue;
            }
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                SolverError::general(format!("the placeholder Secret {secret} can not be written"))
                    .with_source(error)
            };
            let pair = rcgen::generate_simple_self_signed(vec!["placeholder.invalid".to_owned()]);
            let pair = pair.map_err(|error| failed(error.into()))?;
            let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
            let placeholder = placeholder_secret(self.owner, secret, &certificate, &key);
            let api = Api::namespaced(self.controller.client.clone(), &secret.namespace);
            match api.create(&Default::default(), &placeholder).await {
                Ok(written) => {
                    self.controller.secrets.insert(&written);
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }
}

impl Route {
    async fn apply(&self, controller: &Controller) -> Result<(), kube::Error> {
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

    async fn delete(&self, controller: &Controller) -> Result<(), kube::Error> {
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
    let api: Api<K> = Api::namespaced(controller.client.clone(), &object.namespace().unwrap_or_default());
    match api.delete(&object.name_any(), &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
