//! The controller while it leads.

use crate::blocked::Blocked;
use crate::budget::Budgets;
use crate::caches::Caches;
use crate::certificate;
use crate::certificates::{Certificates, reference_to};
use crate::fence::Fence;
use crate::follow::follow;
use crate::issuer::{self, IssuerKey, IssuerObject, Issuers};
use crate::journal::SecretJournal;
use crate::metrics::Metrics;
use crate::options::{Options, Scope};
use crate::probe::Prober;
use crate::secrets::Secrets;
use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use gatecert_acme::Clock;
use gatecert_api::{Certificate, ClusterIssuer, Issuer, annotation};
use gatecert_render::{ObjectName, Owner, ServiceName};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::runtime::{applier, controller::ReconcileRequest};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde_json::json;
use std::convert::Infallible;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How soon after a panic its object is looked at again.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// How many changes of account keys are remembered; if there are more at once, all issuers are looked at.
const ACCOUNT_KEYS: usize = 64;

/// The least time between two looks at what is blocked.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How fast CAs are asked about renewals: a hundredth of what Let's Encrypt's edge takes of all that are behind one address
/// (1,000 a second), and twice what 100,000 certificates need that are each asked about every six hours.
const QUESTIONS: Quota =
    Quota::per_second(NonZeroU32::new(10).unwrap()).allow_burst(NonZeroU32::new(100).unwrap());

/// How many Certificates are looked at at once: twice as many as there are requests to the API server at once.
const TURNS: usize = 64;

/// Everything that looks at objects share.
pub(crate) struct Controller {
    pub(crate) client: Client,
    pub(crate) fence: Fence,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) issuers: Issuers,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) caches: Caches,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) prober: Prober,
    /// The responder's Service.
    pub(crate) responder: ServiceName,
    /// Told when something could not be taken away.
    pub(crate) left_behind: Notify,
    /// Bounds how many Certificates are looked at at once, those apart that wait for a CA.
    pub(crate) turns: Semaphore,
    /// Bounds how many issuances are under way at once.
    pub(crate) permits: Semaphore,
    /// Bounds how fast CAs are asked about renewals.
    pub(crate) questions: DefaultDirectRateLimiter,
    /// The Secrets with account keys that changed.
    account_keys: broadcast::Sender<ObjectName>,
    reporter: Reporter,
    queue: UnboundedSender<ReconcileRequest<Certificate>>,
    /// Certificates that something is in the way of, which a change of a gateway may have removed.
    pub(crate) blocked: Blocked,
}

/// Why a look at an object did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("the look at it panicked")]
struct Panicked;

/// Leads, until it is dropped: then nothing of it writes any more.
pub(crate) async fn lead(
    client: Client,
    fence: Fence,
    options: Options,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    prober: Prober,
) {
    let mut tasks = JoinSet::new();
    let scope = options.scope();
    let caches = Caches::fill(&client, &scope, &mut tasks).await;
    let (queue, requests) = unbounded();
    let account_keys = broadcast::Sender::new(ACCOUNT_KEYS);
    let budgets = Arc::new(Budgets::new(Arc::clone(&clock)));
    metrics.show_budgets(&budgets);
    let heard =
        Heard { queue: queue.clone(), account_keys: account_keys.clone(), budgets: Arc::clone(&budgets) };
    let (certificates, secrets) = watch_own(&client, &scope, heard, &mut tasks).await;
    let reporter =
        Reporter { controller: annotation::MANAGER.to_owned(), instance: Some(options.identity.clone()) };
    let controller = Arc::new(Controller {
        account_keys,
        reporter,
        responder: ServiceName {
            namespace: options.namespace.clone(),
            name: options.responder_service.clone(),
            port: options.responder_port,
        },
        left_behind: Notify::new(),
        turns: Semaphore::new(TURNS),
        permits: Semaphore::new(options.max_issuances.max(1)),
        questions: RateLimiter::direct(QUESTIONS),
        issuers: Issuers::default(),
        budgets,
        blocked: Blocked::new(caches.changed()),
        client,
        fence,
        options,
        clock,
        certificates,
        secrets,
        caches,
        metrics,
        prober,
        queue,
    });
    match &scope {
        Scope::Cluster => {
            let issuers: Api<Issuer> = Api::all(controller.client.clone());
            run_issuers(issuers, &controller, &mut tasks).await;
            let issuers: Api<ClusterIssuer> = Api::all(controller.client.clone());
            run_issuers(issuers, &controller, &mut tasks).await;
        }
        Scope::Namespace(namespace) => {
            let issuers: Api<Issuer> = Api::namespaced(controller.client.clone(), namespace);
            run_issuers(issuers, &controller, &mut tasks).await;
        }
    }
    tasks.spawn(crate::sweep::sweep(Arc::clone(&controller)));
    tasks.spawn(crate::sources::run(Arc::clone(&controller)));
    tasks.spawn(look_at_blocked(Arc::clone(&controller)));
    run_certificates(&controller, requests).await;
}

/// Who hears of changes.
struct Heard {
    queue: UnboundedSender<ReconcileRequest<Certificate>>,
    account_keys: broadcast::Sender<ObjectName>,
    budgets: Arc<Budgets>,
}

/// Follows the Certificates and gatecert's own Secrets, until both are known once.
async fn watch_own(
    client: &Client,
    scope: &Scope,
    heard: Heard,
    tasks: &mut JoinSet<()>,
) -> (Arc<Certificates>, Arc<Secrets>) {
    let (store, writer) = reflector::store();
    let (certificates, secrets) = (Arc::new(Certificates::new(store)), Arc::new(Secrets::default()));
    let (secrets_synced, mut secrets_known) = watch::channel(false);
    let (certificates_synced, mut certificates_known) = watch::channel(false);

    let Heard { queue, account_keys, budgets } = heard;
    let (known, of, to) = (Arc::clone(&secrets), Arc::clone(&certificates), queue.clone());
    let see_secret = move |event: &watcher::Event<Secret>| {
        for name in known.observe(event) {
            if is_account_key(event) {
                // Nobody listens before issuers are looked at.
                let _ = account_keys.send(name.clone());
            }
            for reference in of.of_secret(&name) {
                let _ = to.unbounded_send(reference.into());
            }
        }
    };
    let ours =
        watcher::Config::default().labels(&format!("{}={}", annotation::MANAGED_BY, annotation::MANAGER));
    let api = scoped(client, scope);
    tasks.spawn(follow(api, ours, None, |_| (), see_secret, secrets_synced));

    let (known, to) = (Arc::clone(&certificates), queue);
    let mut seen = crate::certificates::Seen::default();
    let see_certificate = move |event: &watcher::Event<Certificate>| {
        let changed = known.observe(event);
        if let watcher::Event::Delete(certificate) = event {
            budgets.withdraw(&certificate.uid().unwrap_or_default());
        }
        if seen.is_news(event) {
            for reference in changed {
                let _ = to.unbounded_send(reference.into());
            }
        }
    };
    let api = scoped(client, scope);
    let all = watcher::Config::default();
    tasks.spawn(follow(api, all, Some(writer), without_excess, see_certificate, certificates_synced));
    // Both lists come at once. What they ask to be looked at waits in the queue until both are known.
    let _ = secrets_known.wait_for(|known| *known).await;
    let _ = certificates_known.wait_for(|known| *known).await;
    (certificates, secrets)
}

/// What `kubectl apply` keeps in an annotation is the object once more; and a list that is read has room for four, where most
/// have one or two.
fn without_excess(certificate: &mut Certificate) {
    certificate.annotations_mut().remove("kubectl.kubernetes.io/last-applied-configuration");
    if let Some(dns_names) = &mut certificate.spec.dns_names {
        dns_names.shrink_to_fit();
    }
    if let Some(status) = &mut certificate.status {
        status.conditions.shrink_to_fit();
        status.recent_orders.shrink_to_fit();
    }
}

fn is_account_key(event: &watcher::Event<Secret>) -> bool {
    match event {
        watcher::Event::Apply(secret)
        | watcher::Event::InitApply(secret)
        | watcher::Event::Delete(secret) => {
            secret.labels().get(annotation::PART).is_some_and(|part| part == annotation::PART_ACCOUNT_KEY)
        }
        _ => false,
    }
}

fn scoped<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match scope {
        Scope::Cluster => Api::all(client.clone()),
        Scope::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

/// Looks at Certificates as they are asked for, each by a task of its own.
async fn run_certificates(
    controller: &Arc<Controller>,
    requests: UnboundedReceiver<ReconcileRequest<Certificate>>,
) {
    let store = controller.certificates.store.clone();
    let look = |certificate: Arc<Certificate>, controller: Arc<Controller>| {
        Box::pin(guarded(controller.metrics.clone(), async move {
            Ok::<_, Infallible>(certificate::reconcile(certificate, controller).await)
        }))
    };
    run_applier(store, requests, Arc::clone(controller), look).await;
}

/// Follows issuers and looks at each as it changes. Returns when all are known, so that no Certificate is said to have
/// none. They are pending until they were looked at: a CA that does not answer keeps no other from being asked.
async fn run_issuers<K>(api: Api<K>, controller: &Arc<Controller>, tasks: &mut JoinSet<()>)
where
    K: IssuerObject,
{
    let (store, writer) = reflector::store();
    let (queue, requests) = unbounded::<ReconcileRequest<K>>();
    let (synced, mut known) = watch::channel(false);
    tasks.spawn(look_at_account_keys(store.clone(), Arc::clone(controller), queue.clone()));
    let registry = Arc::clone(controller);
    let mut seen = crate::certificates::Seen::default();
    let see = move |event: &watcher::Event<K>| match event {
        watcher::Event::Apply(issuer) | watcher::Event::InitApply(issuer) => {
            if seen.is_news(event) {
                registry.issuers.expect(&issuer.key());
                let _ = queue.unbounded_send(ObjectRef::from_obj(issuer).into());
            }
        }
        watcher::Event::Delete(issuer) => registry.forget_issuer(&issuer.key()),
        watcher::Event::Init | watcher::Event::InitDone => {}
    };
    tasks.spawn(follow(api, watcher::Config::default(), Some(writer), |_: &mut K| (), see, synced));
    let _ = known.wait_for(|known| *known).await;
    let look = |issuer: Arc<K>, controller: Arc<Controller>| {
        Box::pin(guarded(controller.metrics.clone(), issuer::reconcile(issuer, controller)))
    };
    let controller = Arc::clone(controller);
    tasks.spawn(async move { run_applier(store, requests, controller, look).await });
}

/// Looks at an issuer again when the Secret with its account's key changes.
async fn look_at_account_keys<K: IssuerObject>(
    issuers: Store<K>,
    controller: Arc<Controller>,
    queue: UnboundedSender<ReconcileRequest<K>>,
) {
    let mut changed = controller.account_keys.subscribe();
    loop {
        let name = match changed.recv().await {
            Ok(name) => Some(name),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let is_its = |issuer: &K| {
            name.as_ref().is_none_or(|name| *name == issuer.account_key(&controller.options.namespace))
        };
        for issuer in issuers.state_filter(is_its) {
            let _ = queue.unbounded_send(ObjectRef::from_obj(&*issuer).into());
        }
    }
}

async fn run_applier<K, F>(
    store: Store<K>,
    requests: UnboundedReceiver<ReconcileRequest<K>>,
    controller: Arc<Controller>,
    look: impl FnMut(Arc<K>, Arc<Controller>) -> F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, Panicked>> + Unpin,
{
    let after_panic = |_: Arc<K>, _: &Panicked, _: Arc<Controller>| Action::requeue(AFTER_PANIC);
    let requests = requests.map(Ok::<_, Infallible>);
    let looks = applier(look, after_panic, controller, store, requests, Config::default());
    looks
        .for_each(|look| async move {
            if let Err(error) = look {
                tracing::debug!(%error, "a look at an object");
            }
        })
        .await;
}

/// Runs a look in a task of its own, so that a panic in it ends nothing else. The task ends with whoever waits for it.
async fn guarded(
    metrics: Arc<Metrics>,
    look: impl Future<Output = Result<Action, Infallible>> + Send + 'static,
) -> Result<Action, Panicked> {
    match AbortOnDropHandle::new(tokio::spawn(look)).await {
        Ok(Ok(action)) => Ok(action),
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(%error, "a look at an object panicked; the others go on");
            metrics.panicked();
            Err(Panicked)
        }
    }
}

/// Looks again at Certificates that something was in the way of, when gateways or routes change.
async fn look_at_blocked(controller: Arc<Controller>) {
    let mut changes = controller.caches.changed();
    while let Some(blocked) = controller.blocked.after_change(&mut changes).await {
        controller.look_at(blocked);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

impl Controller {
    /// The present time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The journal of a Certificate.
    pub(crate) fn journal<'a>(&'a self, owner: &'a Owner) -> SecretJournal<'a> {
        SecretJournal::new(self, owner)
    }

    /// Has Certificates looked at soon.
    pub(crate) fn look_at(&self, certificates: impl IntoIterator<Item = ObjectRef<Certificate>>) {
        for certificate in certificates {
            // The receiver lives as long as the controller leads.
            let _ = self.queue.unbounded_send(certificate.into());
        }
    }

    /// Has the other Certificates looked at that want a Secret which one of them has written: the watch has nothing to tell of what
    /// is known already.
    pub(crate) fn look_at_rivals(&self, certificate: &Certificate, secret: &ObjectName) {
        let own = reference_to(certificate);
        self.look_at(self.certificates.of_secret(secret).into_iter().filter(|reference| *reference != own));
    }

    fn forget_issuer(&self, key: &IssuerKey) {
        self.issuers.remove(key);
        self.look_at(self.certificates.of_issuer(key.kind, key.namespace.as_deref(), &key.name));
    }

    /// Writes an event.
    pub(crate) async fn tell(&self, about: &ObjectReference, is_good: bool, reason: &str, message: &str) {
        let event = Event {
            type_: if is_good { EventType::Normal } else { EventType::Warning },
            reason: reason.to_owned(),
            note: Some(message.to_owned()),
            action: "Issuing".to_owned(),
            secondary: None,
        };
        // A recorder that is kept keeps each event for six minutes, to count those that come again: 3 kB for each Certificate
        // of a crowd. Here an event comes once.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, about).await {
            tracing::warn!(%error, reason, "an event was not written");
        }
    }

    /// Takes away the annotation that asked for a renewal, once it was done. Says whether that is so.
    pub(crate) async fn take_renewal_request(&self, certificate: &Certificate) -> bool {
        if !certificate.annotations().contains_key(annotation::RENEW) {
            return true;
        }
        let api: Api<Certificate> =
            Api::namespaced(self.client.clone(), &certificate.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {(annotation::RENEW): null}}}));
        match api.patch(&certificate.name_any(), &PatchParams::default(), &patch).await {
            Ok(after) => self.certificates.obeyed(&after),
            Err(kube::Error::Api(error)) if error.is_not_found() => {}
            Err(error) => {
                tracing::warn!(%error, "the annotation that asked for a renewal stays for now");
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_without_excess() {
        let condition = |kind| {
            json!({
                "type": kind, "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2026-11-26T12:00:00Z",
            })
        };
        let order = json!({"url": "https://ca.test/order/1", "time": "2026-11-26T12:00:00Z", "type": "New"});
        let object = json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
            "metadata": {"name": "www", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"secretName": "www", "issuerRef": {"name": "le"}, "dnsNames": ["www.example.com"]},
            "status": {"conditions": [condition("Ready"), condition("Issuing")], "recentOrders": [order]},
        });
        let mut certificate: Certificate = serde_json::from_str(&object.to_string()).unwrap();
        without_excess(&mut certificate);
        assert!(certificate.annotations().is_empty());
        let (dns_names, status) = (certificate.spec.dns_names.unwrap(), certificate.status.unwrap());
        assert_eq!(dns_names.capacity(), 1);
        assert_eq!((status.conditions.capacity(), status.recent_orders.capacity()), (2, 1));
    }

    #[tokio::test]
    async fn a_look_that_panics_ends_no_other() {
        let metrics = Metrics::new(Arc::default());
        let looks = ["good", "bad", "late"].map(|name| {
            guarded(Arc::clone(&metrics), async move {
                tokio::task::yield_now().await;
                assert_ne!(name, "bad");
                tokio::task::yield_now().await;
                Ok(Action::await_change())
            })
        });
        let ends = futures::future::join_all(looks).await;
        assert_eq!(ends.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(metrics.text().contains("gatecert_panics_total 1"), "{}", metrics.text());
    }

    #[tokio::test]
    async fn a_look_ends_with_whoever_waits_for_it() {
        let (began, mut begun) = watch::channel(false);
        let (_held, mut ended) = tokio::sync::mpsc::channel::<()>(1);
        let look = guarded(Metrics::new(Arc::default()), async move {
            let _held = _held;
            began.send_replace(true);
            std::future::pending().await
        });
        tokio::select! {
            _ = look => unreachable!("it waits for ever"),
            begun = begun.wait_for(|begun| *begun) => drop(begun),
        }
        assert_eq!(ended.recv().await, None);
    }
}
