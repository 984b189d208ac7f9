//! Takes away what an issuance has left: one that was cut off by a crash, or whose Certificate went meanwhile.

use crate::controller::Controller;
use crate::solver::{delete, delete_as_seen};
use gatecert_api::annotation;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// How often everything is swept.
const EVERY: Duration = Duration::from_secs(600);

/// How soon after something could not be taken away.
const AGAIN: Duration = Duration::from_secs(5);

/// Sweeps at once, then on a slow timer, and soon where something is known to be left.
pub(crate) async fn sweep(controller: Arc<Controller>) {
    loop {
        sweep_routes(&controller, None).await;
        sweep_secrets(&controller).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = controller.left_behind.notified() => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Takes away the routes of one Certificate whose issuance was interrupted.
pub(crate) async fn sweep_one(controller: &Controller, uid: &str) {
    sweep_routes(controller, Some(uid)).await;
}

async fn sweep_routes(controller: &Controller, only: Option<&str>) {
    let cluster = controller.caches.snapshot();
    sweep_kind(controller, only, &cluster.virtual_services).await;
    sweep_kind(controller, only, &cluster.istio_gateways).await;
    sweep_kind(controller, only, &cluster.http_routes).await;
    sweep_kind(controller, only, &cluster.ingresses).await;
}

async fn sweep_kind<K>(controller: &Controller, only: Option<&str>, objects: &[Arc<K>])
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    for object in objects {
        if object.labels().get(annotation::PART).is_none_or(|part| part != annotation::PART_CHALLENGE) {
            continue;
        }
        let Some(uid) = object.labels().get(annotation::CERTIFICATE_UID) else { continue };
        let is_left = || match controller.certificates.is_known_and_running(uid) {
            (_, true) => false,
            (is_known, false) => !(is_known && is_pending(controller, uid)),
        };
        let deleted = match only {
            Some(only) if uid == only => delete(controller, &**object).await,
            // One that is begun in this moment writes its routes anew.
            None if is_left() => delete_as_seen(controller, &**object).await,
            _ => continue,
        };
        if let Err(error) = deleted {
            tracing::warn!(name = %object.name_any(), %error, "a challenge route stays behind for now");
            controller.left_behind.notify_one();
        }
    }
}

/// Whether an order of this Certificate is in its journal. Whoever goes on with it needs the routes that are there: the
/// CA may be asking already.
fn is_pending(controller: &Controller, uid: &str) -> bool {
    controller.secrets.all().into_iter().any(|(_, secret)| {
        secret.part.as_deref() == Some(annotation::PART_PENDING_KEY)
            && secret.certificate_uid.as_deref() == Some(uid)
    })
}

/// Takes away the pending keys and placeholders of Certificates that are gone.
async fn sweep_secrets(controller: &Controller) {
    for (name, secret) in controller.secrets.all() {
        let is_passing = matches!(
            secret.part.as_deref(),
            Some(annotation::PART_PENDING_KEY | annotation::PART_PLACEHOLDER)
        );
        let Some(uid) = secret.certificate_uid.as_ref().filter(|_| is_passing) else { continue };
        if controller.certificates.is_known_and_running(uid).0 {
            continue;
        }
        let mut gone = Secret::default();
        (gone.metadata.namespace, gone.metadata.name) =
            (Some(name.namespace.clone()), Some(name.name.clone()));
        match delete(controller, &gone).await {
            Ok(()) => controller.secrets.remove(&name),
            Err(error) => {
                tracing::warn!(%name, %error, "a Secret stays behind for now");
                controller.left_behind.notify_one();
            }
        }
    }
}
