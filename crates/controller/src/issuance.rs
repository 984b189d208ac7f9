//! One issuance: routes are found, the CA issues, the Secret is published.

use crate::budget::Tally;
use crate::certificate::Obstacle;
use crate::certificates::Interruption;
use crate::controller::Controller;
use crate::route::{Placement, Question, Refusal, place};
use crate::secrets::{Content, KnownSecret};
use crate::solver::{RouteSolver, Shows};
use crate::wish::Wish;
use async_trait::async_trait;
use gatecert_acme::{CertificateId, Identifier};
use gatecert_api::{Certificate, Challenge, Issuance, Step};
use gatecert_issue::budget::Held;
use gatecert_issue::{
    Bundle, CertificateKey, Event, Journal as _, KeySource, ObtainError, Origin, Progress, Request, obtain,
};
use gatecert_publish::kubernetes::{Ownership, pair, publish};
use gatecert_render::{Publication, published_secret, template_fingerprint};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use url::Url;

/// Why there is no new certificate.
pub(crate) enum Interrupted {
    /// The Certificate is another one now, or gone.
    By(Interruption),
    /// Something is in the way; nothing was ordered, or what was issued waits in the journal.
    Obstacle(Obstacle),
    /// A limit of the CA's is used up; nothing was ordered.
    Held(Held),
    /// The CA or a gateway said no.
    Failed(ObtainError),
}

/// Runs one issuance to the published Secret.
pub(crate) async fn run(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: Option<&Arc<KnownSecret>>,
    tally: &Tally,
    interruption: &mut watch::Receiver<Option<Interruption>>,
) -> Result<Arc<KnownSecret>, Interrupted> {
    let first_placement = placement(wish, controller).map_err(Interrupted::Obstacle)?;
    let Ok(_permit) = controller.permits.acquire().await else {
        return Err(Interrupted::By(Interruption::Changed));
    };
    let _in_flight = controller.metrics.begin();
    // Thousands may wait for the permit: they have no room yet for what comes behind it.
    Box::pin(run_now(certificate, wish, controller, present, tally, interruption, first_placement)).await
}

async fn run_now(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: Option<&Arc<KnownSecret>>,
    tally: &Tally,
    interruption: &mut watch::Receiver<Option<Interruption>>,
    first_placement: Placement,
) -> Result<Arc<KnownSecret>, Interrupted> {
    let find = || placement(wish, controller).ok();
    let request = request(wish, controller, present.map(Arc::as_ref)).await.map_err(Interrupted::Obstacle)?;
    let view = View {
        controller,
        certificate,
        wish,
        tally,
        order: Mutex::default(),
        is_resumed: AtomicBool::default(),
    };
    let solver = RouteSolver::new(controller, &wish.owner, first_placement, &find, &view);
    let journal = controller.journal(&wish.owner);
    let leave = controller.leave_to_order(wish, tally).map_err(Interrupted::Held)?;
    let obtained = tokio::select! {
        // What is interrupted before it begins orders nothing.
        biased;
        interruption = interrupted(interruption) => {
            // The dropped future could not take away what it has put in place.
            crate::sweep::sweep_one(controller, &wish.owner.uid).await;
            if interruption == Interruption::Deleted {
                let _ = journal.clear().await;
            }
            return Err(Interrupted::By(interruption));
        }
        obtained = obtain(&wish.authority.account, &request, &solver, &journal, &view) => obtained,
    };
    leave.end(&obtained);
    let bundle = obtained.map_err(Interrupted::Failed)?;
    let known = publish_bundle(certificate, wish, controller, present, &bundle)
        .await
        .map_err(Interrupted::Obstacle)?;
    tracing::debug!(
        namespace = wish.owner.namespace,
        name = wish.owner.name,
        "published in Secret {}",
        wish.secret
    );
    if view.is_resumed.load(Ordering::Relaxed) {
        // Names that were proved before have routes that this issuance has not put there.
        crate::sweep::sweep_one(controller, &wish.owner.uid).await;
    }
    // As long as the journal is there the same certificate is published again, and no other is ordered: a request that
    // outlived it would be obeyed twice.
    if controller.take_renewal_request(certificate).await
        && let Err(error) = journal.clear().await
    {
        tracing::warn!(owner = %wish.owner.name, error = %crate::report::chain(&error), "the journal stays behind");
    }
    Ok(known)
}

async fn interrupted(interruption: &mut watch::Receiver<Option<Interruption>>) -> Interruption {
    let found = interruption.wait_for(Option::is_some).await.ok().and_then(|found| *found);
    match found {
        Some(interruption) => interruption,
        None => std::future::pending().await,
    }
}

/// The gateways that serve the names, if the Certificate may ask for them there.
fn placement(wish: &Wish, controller: &Controller) -> Result<Placement, Obstacle> {
    let hosts: BTreeSet<_> = wish.wanted.identifiers.iter().map(Identifier::value).collect();
    let spec = &wish.authority.spec;
    let question = Question {
        namespace: &wish.owner.namespace,
        hosts: &hosts,
        secret: &wish.secret,
        solvers: spec.solvers.as_deref().unwrap_or_default(),
        allow: spec.allow.as_deref(),
        responder: &controller.responder,
    };
    place(&question, &controller.caches.snapshot()).map_err(|refusals| obstacle(&refusals))
}

/// One obstacle for all refusals: the worst names it.
fn obstacle(refusals: &[Refusal]) -> Obstacle {
    let reason =
        refusals.iter().map(|refusal| refusal.reason).min().map_or("NoGateway", |reason| reason.as_str());
    let mut messages: Vec<_> =
        refusals.iter().map(|refusal| format!("{}: {}", refusal.host, refusal.message)).collect();
    messages.dedup();
    Obstacle::new(reason, messages.join("; "))
}

async fn request(
    wish: &Wish,
    controller: &Controller,
    present: Option<&KnownSecret>,
) -> Result<Request, Obstacle> {
    let key = match wish.is_key_kept {
        true => kept_key(wish, controller).await?,
        false => None,
    };
    let key = match key {
        Some(key) if key.key_type() == wish.wanted.key_type => KeySource::Reuse(key),
        _ => KeySource::New(wish.wanted.key_type),
    };
    Ok(Request::new(wish.wanted.identifiers.iter().cloned())
        .key(key)
        .profile(wish.wanted.profile.clone())
        .replaces(replaces(wish, controller, present))
        .common_name(wish.common_name.clone())
        .preferred_chain(wish.preferred_chain.clone()))
}

/// The key that is published now.
async fn kept_key(wish: &Wish, controller: &Controller) -> Result<Option<CertificateKey>, Obstacle> {
    let secrets: Api<Secret> = Api::namespaced(controller.client.clone(), &wish.secret.namespace);
    let secret = secrets.get_opt(&wish.secret.name).await;
    let secret = secret.map_err(|error| {
        Obstacle::of_api("SecretNotReadable", format!("Secret {}: {error}", wish.secret), &error)
    })?;
    let pem = secret.as_ref().and_then(pair).map(|(_, key)| key);
    Ok(pem.and_then(|pem| CertificateKey::from_pem(&pem).ok()))
}

/// The certificate that the new one replaces: of the same CA, not expired, sharing a name.
fn replaces(wish: &Wish, controller: &Controller, present: Option<&KnownSecret>) -> Option<CertificateId> {
    let Content::Certificate(facts, Some(origin)) = &present?.content else { return None };
    let shares_a_name = wish.wanted.identifiers.iter().any(|name| facts.identifiers.contains(name));
    let is_replaceable =
        origin.directory == wish.wanted.directory && !facts.is_expired(controller.now()) && shares_a_name;
    facts.certificate_id.clone().filter(|_| is_replaceable)
}

async fn publish_bundle(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: Option<&Arc<KnownSecret>>,
    bundle: &Bundle,
) -> Result<Arc<KnownSecret>, Obstacle> {
    let secret = rendered(certificate, wish, &Issued::of(bundle));
    // A placeholder may have been written since.
    let known = controller.secrets.get(&wish.secret);
    let ownership = known.as_ref().or(present).map_or(Ownership::Absent, |known| known.ownership);
    let written = publish(&controller.client, &secret, ownership).await;
    let written = written.map_err(|error| Obstacle::of_secret(&error))?;
    let known = controller.secrets.insert(&written);
    controller.look_at_rivals(certificate, &wish.secret);
    Ok(known)
}

/// What is published, whether it was issued just now or before.
struct Issued<'a> {
    chain_pem: &'a str,
    key_pem: &'a str,
    identifiers: &'a BTreeSet<Identifier>,
    origin: Origin,
}

impl<'a> Issued<'a> {
    fn of(bundle: &'a Bundle) -> Self {
        let Bundle { chain_pem, key_pem, origin, .. } = bundle;
        Self { chain_pem, key_pem, identifiers: bundle.identifiers(), origin: origin.clone() }
    }
}

fn rendered(certificate: &Certificate, wish: &Wish, issued: &Issued<'_>) -> Secret {
    let (mut dns_names, mut ip_addresses) = (Vec::new(), Vec::new());
    for identifier in issued.identifiers {
        match identifier {
            Identifier::Ip(_) => ip_addresses.push(identifier.value()),
            _ => dns_names.push(identifier.value()),
        }
    }
    published_secret(&Publication {
        owner: &wish.owner,
        secret: &wish.secret,
        chain_pem: issued.chain_pem,
        key_pem: issued.key_pem,
        dns_names,
        ip_addresses,
        common_name: wish.common_name.as_ref().map(Identifier::value).as_deref(),
        issuer: &certificate.spec.issuer_ref,
        directory: issued.origin.directory.as_str(),
        profile: issued.origin.profile.as_deref(),
        issued_at: &issued.origin.issued_at.to_string(),
        template: certificate.spec.secret_template.as_ref(),
    })
}

/// Writes annotations and labels anew where another template is wanted, and takes over a Secret that its owner lets
/// gatecert have. The certificate stays.
pub(crate) async fn decorate(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: &KnownSecret,
) -> Result<(), Obstacle> {
    let template = template_fingerprint(certificate.spec.secret_template.as_ref());
    let is_ours =
        present.ownership == Ownership::Ours && present.certificate_uid.as_ref() == Some(&wish.owner.uid);
    let Content::Certificate(facts, origin) = &present.content else { return Ok(()) };
    if is_ours && present.template.as_ref() == Some(&template) {
        return Ok(());
    }
    let secrets: Api<Secret> = Api::namespaced(controller.client.clone(), &wish.secret.namespace);
    let secret = secrets.get(&wish.secret.name).await;
    let secret = secret.map_err(|error| Obstacle::of_api("SecretNotWritten", error.to_string(), &error))?;
    let Some((chain_pem, key_pem)) = pair(&secret) else { return Ok(()) };
    let adopted = || Origin {
        directory: wish.wanted.directory.clone(),
        profile: wish.wanted.profile.clone(),
        issued_at: facts.not_before,
    };
    let issued = Issued {
        chain_pem: &chain_pem,
        key_pem: &key_pem,
        identifiers: &facts.identifiers,
        origin: origin.clone().unwrap_or_else(adopted),
    };
    let written = publish(&controller.client, &rendered(certificate, wish, &issued), Ownership::Ours).await;
    let written = written.map_err(|error| Obstacle::of_secret(&error))?;
    controller.secrets.insert(&written);
    controller.look_at_rivals(certificate, &wish.secret);
    Ok(())
}

/// Shows an issuance in the Certificate's status and in the log.
struct View<'a> {
    controller: &'a Controller,
    certificate: &'a Certificate,
    wish: &'a Wish,
    tally: &'a Tally,
    order: Mutex<Option<Url>>,
    /// Whether it goes on with an order that was begun before.
    is_resumed: AtomicBool,
}

#[async_trait]
impl Shows for View<'_> {
    async fn show(&self, challenges: &[gatecert_render::Challenge]) {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let issuance = Issuance {
            order: order.map(|url| url.to_string()).unwrap_or_default(),
            names: self.wish.wanted.identifiers.iter().map(Identifier::value).collect(),
            step: Step::Proving,
            challenges: challenges
                .iter()
                .map(|challenge| Challenge {
                    name: challenge.host.clone(),
                    token: challenge.token.clone(),
                    key_authorization: challenge.key_authorization.clone(),
                })
                .collect(),
            since: Time(self.controller.now()),
        };
        self.controller.show_issuance(self.certificate, issuance).await;
    }
}

impl Progress for View<'_> {
    fn event(&self, event: Event) {
        let name = &self.wish.owner;
        self.tally.observe(&event, self.controller.now());
        match &event {
            Event::OrderCreated { url } | Event::OrderResumed { url } => {
                self.is_resumed.store(matches!(event, Event::OrderResumed { .. }), Ordering::Relaxed);
                *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.clone());
                tracing::debug!(namespace = name.namespace, name = name.name, %url, "order");
            }
            Event::Retrying { why, .. } => {
                tracing::info!(namespace = name.namespace, name = name.name, "{why}");
            }
            Event::Warning { message } | Event::CleanUpFailed { message } => {
                tracing::warn!(namespace = name.namespace, name = name.name, "{message}");
            }
            event => tracing::debug!(namespace = name.namespace, name = name.name, ?event),
        }
    }
}
