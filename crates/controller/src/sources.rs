//! Keeps the Certificates of annotated objects in step with them.

use crate::controller::Controller;
use crate::source::{Changes, Wanted, wanted};
use gatecert_api::{Certificate, annotation};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long changes are gathered: an object and what it refers to are often applied together.
const GATHER: Duration = Duration::from_millis(10);

/// When writes that failed are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What was said of a source already, so that it is said once.
type Said = HashSet<(String, String)>;

/// Compares whenever a source, a gateway's Service or a Certificate changed, for ever.
pub(crate) async fn run(controller: Arc<Controller>) {
    let (mut caches, mut certificates) = (controller.caches.changed(), controller.certificates.deleted());
    let mut said = Said::new();
    loop {
        caches.mark_unchanged();
        certificates.mark_unchanged();
        let is_done = compare(&controller, &mut said).await;
        let retry = async {
            match is_done {
                true => std::future::pending().await,
                false => tokio::time::sleep(RETRY).await,
            }
        };
        // Whoever changes caches lives as long as the controller leads.
        tokio::select! {
            _ = caches.changed() => {}
            _ = certificates.changed() => {}
            () = retry => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Writes what differs, and gives whether all of it was written.
async fn compare(controller: &Controller, said: &mut Said) -> bool {
    let wanted = wanted(&controller.caches.snapshot());
    let changes = wanted.changes(&controller.certificates.store.state());
    let applied = futures::future::join_all(changes.apply.iter().map(|one| apply(controller, one))).await;
    let deleted = futures::future::join_all(changes.delete.iter().map(|one| delete(controller, one))).await;
    say(controller, said, &wanted, &changes).await;
    applied.into_iter().chain(deleted).all(|is_done| is_done)
}

async fn apply(controller: &Controller, certificate: &Certificate) -> bool {
    let parameters = PatchParams::apply(annotation::MANAGER).force();
    let applied = api(controller, certificate)
        .patch(&certificate.name_any(), &parameters, &Patch::Apply(certificate))
        .await;
    match applied {
        Ok(_) => true,
        // The API server refuses names and sizes that no Certificate can have; waiting does not mend that.
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            let source = certificate.owner_references().first();
            let kind = source.map(|source| source.kind.clone()).unwrap_or_default();
            tracing::warn!(
                kind,
                name = certificate.name_any(),
                reason = status.message,
                "no Certificate can be made"
            );
            true
        }
        Err(error) => {
            tracing::warn!(name = certificate.name_any(), %error, "a Certificate was not written");
            false
        }
    }
}

async fn delete(controller: &Controller, certificate: &Certificate) -> bool {
    let deleted = crate::solver::delete(controller, certificate).await;
    if let Err(error) = &deleted {
        tracing::warn!(name = certificate.name_any(), %error, "a Certificate was not deleted");
    }
    deleted.is_ok()
}

fn api(controller: &Controller, certificate: &Certificate) -> Api<Certificate> {
    Api::namespaced(controller.client.clone(), &certificate.namespace().unwrap_or_default())
}

/// Tells, once, what sources do not get.
async fn say(controller: &Controller, said: &mut Said, wanted: &Wanted, changes: &Changes) {
    let errors = wanted.errors.iter().map(|(source, error)| (source, "InvalidAnnotation", error.to_string()));
    let warnings =
        wanted.warnings.iter().map(|(source, warning)| (source, "NotAllNames", warning.to_string()));
    let conflicts = changes
        .conflicts
        .iter()
        .map(|conflict| (&conflict.source, "CertificateConflict", conflict.to_string()));
    let now: Vec<(&ObjectReference, &str, String)> = errors.chain(warnings).chain(conflicts).collect();
    let keys: Said =
        now.iter().map(|(source, _, text)| (source.uid.clone().unwrap_or_default(), text.clone())).collect();
    for (source, reason, text) in now {
        if !said.contains(&(source.uid.clone().unwrap_or_default(), text.clone())) {
            tracing::warn!(
                kind = source.kind,
                namespace = source.namespace,
                name = source.name,
                reason,
                "{text}"
            );
            controller.tell(source, false, reason, &text).await;
        }
    }
    *said = keys;
}
