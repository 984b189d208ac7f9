//! Issuers: an account with a CA, registered once, and used by every issuance of the issuer.

mod account;
mod registry;

pub(crate) use registry::{Authority, IssuerKey, Issuers, NotReady, PENDING};

use crate::controller::Controller;
use account::Registration;
use gatecert_api::{
    AcmeIssuer, AcmeStatus, ClusterIssuer, ConditionType, Issuer, IssuerKind, IssuerStatus, annotation,
    conditions_with,
};
use gatecert_render::ObjectName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// How often an issuer that is ready is looked at: its Secrets may have been changed by their owners.
const LOOK: Duration = Duration::from_secs(600);

/// When an account that could not be looked at is looked at again.
const AGAIN: Duration = Duration::from_secs(60);

/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// An Issuer or a ClusterIssuer.
pub(crate) trait IssuerObject:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// Which of the two.
    const KIND: IssuerKind;
    /// The CA and the account.
    fn acme(&self) -> &AcmeIssuer;
    /// What was reported last.
    fn status(&self) -> Option<&IssuerStatus>;
    /// Access to it.
    fn api(&self, client: kube::Client) -> Api<Self>;

    /// The Secret with the key of its account. `own` is the controller's namespace, where those of ClusterIssuers are.
    fn account_key(&self, own: &str) -> ObjectName {
        let named = self.acme().private_key_secret_ref.as_ref().map(|reference| reference.name.clone());
        let name = named.unwrap_or_else(|| format!("{}-account-key", self.name_any()));
        ObjectName::new(self.namespace().as_deref().unwrap_or(own), name)
    }

    /// By what it is referred to.
    fn key(&self) -> IssuerKey {
        IssuerKey { kind: Self::KIND, namespace: self.namespace(), name: self.name_any() }
    }
}

impl IssuerObject for Issuer {
    const KIND: IssuerKind = IssuerKind::Issuer;
    fn acme(&self) -> &AcmeIssuer {
        &self.spec.acme
    }
    fn status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
    fn api(&self, client: kube::Client) -> Api<Self> {
        Api::namespaced(client, &self.namespace().unwrap_or_default())
    }
}

impl IssuerObject for ClusterIssuer {
    const KIND: IssuerKind = IssuerKind::ClusterIssuer;
    fn acme(&self) -> &AcmeIssuer {
        &self.spec.acme
    }
    fn status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
    fn api(&self, client: kube::Client) -> Api<Self> {
        Api::all(client)
    }
}

/// Brings one issuer to where it should be: its account registered, its status true.
pub(crate) async fn reconcile<K: IssuerObject>(
    issuer: Arc<K>,
    controller: Arc<Controller>,
) -> Result<Action, Infallible> {
    let key = issuer.key();
    let known = controller.issuers.status(&*issuer).acme;
    let key_secret = issuer.account_key(&controller.options.namespace);
    let outcome = account::register(&controller, &key_secret, issuer.acme(), known.as_ref()).await;
    if let Err(error) = &outcome
        && error.is_passing()
        && controller.issuers.is_ready(&key)
    {
        tracing::warn!(issuer = %key, "the account was not looked at, and stays in use: {}", error.message());
        return Ok(Action::requeue(AGAIN));
    }
    let (reason, message) = match &outcome {
        Ok(registration) => ("Registered".to_owned(), registration.message(&key_secret)),
        Err(error) => (error.reason().to_owned(), error.message()),
    };
    let acme = outcome.as_ref().ok().map(Registration::status).or(known);
    let was_known = controller.issuers.get(&key);
    let wait = match outcome {
        Ok(registration) => {
            controller.issuers.set_ready(&key, registration.into_authority(issuer.acme()));
            LOOK
        }
        Err(error) => {
            let failures = controller
                .issuers
                .set_failed(&key, NotReady { reason: reason.clone(), message: message.clone() });
            error.wait().unwrap_or_else(|| Duration::from_secs(5 << failures.min(6))).min(LONGEST_WAIT)
        }
    };
    report(&controller, &*issuer, acme, &reason, &message).await;
    if controller.issuers.differs(&key, was_known.as_ref()) {
        controller.look_at(controller.certificates.of_issuer(key.kind, key.namespace.as_deref(), &key.name));
    }
    Ok(Action::requeue(wait))
}

/// Writes the status, if it differs from the one that is there.
async fn report<K: IssuerObject>(
    controller: &Controller,
    issuer: &K,
    acme: Option<AcmeStatus>,
    reason: &str,
    message: &str,
) {
    let before = controller.issuers.status(issuer);
    let is_ready = reason == "Registered";
    let conditions = conditions_with(
        &before.conditions,
        ConditionType::Ready,
        is_ready,
        reason,
        message,
        issuer.meta().generation,
        Time(controller.now()),
    );
    let status = IssuerStatus { conditions, acme };
    if status == before {
        return;
    }
    let was = before.conditions.iter().find(|condition| condition.type_ == "Ready");
    if was.is_none_or(|was| was.reason != reason) {
        controller.tell(&issuer.object_ref(&()), is_ready, reason, message).await;
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": issuer.name_any(), "uid": issuer.uid() },
        "status": status,
    });
    let parameters = PatchParams::apply(annotation::MANAGER).force();
    let api = issuer.api(controller.client.clone());
    match api.patch_status(&issuer.name_any(), &parameters, &Patch::Apply(patch)).await {
        Ok(written) => controller.issuers.wrote(&written, status),
        Err(error) => {
            tracing::warn!(issuer = %issuer.name_any(), %error, "the issuer's status was not written");
        }
    }
}
