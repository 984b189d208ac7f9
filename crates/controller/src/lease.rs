//! Which of the replicas issues: the one that holds a Lease (`coordination.k8s.io/v1`).
//!
//! [`acquire`] waits until the Lease is ours, and the [`Leadership`] that it gives renews it until it is dropped,
//! released or lost. A holder stops [`LeaseOptions::margin`] before others may take over, so that two never issue at
//! once. Nobody compares the clocks of two machines: a candidate waits as long as the record asks since it saw the
//! record change last, on its own monotonic clock, the one behind [`Clock::sleep`].

use crate::fence::Fence;
use futures::FutureExt;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use gatecert_acme::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// No record keeps a candidate waiting for longer, whatever it says: a slip of the pen must not stop renewals for years.
const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

/// How soon the holder renews again where the record was changed by somebody else.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);

/// How soon the holder renews again where the server has no room for it: a replica that leads anew asks for far more.
const AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// Which Lease, who asks for it, and how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica. No other process may use the same, so the name of a Pod is good.
    pub identity: String,
    /// How long the others wait after a renewal before they take over. In the record it is whole seconds.
    pub duration: Duration,
    /// How often the holder renews.
    pub renew_every: Duration,
    /// How often a candidate looks, and how soon a renewal that failed is tried again. No request waits for its answer
    /// for longer: a connection that has died silently must leave time for another try.
    pub retry_every: Duration,
    /// How long before the others take over a holder that could not renew stops.
    pub margin: Duration,
}

impl LeaseOptions {
    /// The Lease `gatecert-controller` of `namespace` for 15 s, renewed every 5 s, tried every 2 s, given up after 10 s.
    pub fn new(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: "gatecert-controller".to_owned(),
            identity: identity.into(),
            duration: Duration::from_secs(15),
            renew_every: Duration::from_secs(5),
            retry_every: Duration::from_secs(2),
            margin: Duration::from_secs(5),
        }
    }
}

/// Waits until the Lease is held by `options.identity`.
///
/// No error ends the wait: a cluster that does not answer, or does not permit it yet, is asked again and the error is
/// logged. Dropping the future gives up.
pub async fn acquire(client: Client, options: &LeaseOptions, clock: Arc<dyn Clock>) -> Leadership {
    let record = Record {
        api: Api::namespaced(client, &options.namespace),
        options: options.clone(),
        clock: Arc::clone(&clock),
    };
    let mut seen = None;
    loop {
        // Set before the request is sent: the others may count from any moment after that.
        let deadline = record.deadline();
        match record.attempt(&mut seen).await {
            Ok(Some(lease)) => {
                info!(lease = %options.name, identity = %options.identity, "leading");
                return Leadership::start(record, lease, deadline);
            }
            Ok(None) => {}
            Err(error) => warn!(lease = %options.name, %error, "the Lease could not be taken"),
        }
        clock.sleep(options.retry_every).await;
    }
}

/// A Lease that is held and renewed. Dropping it ends the renewals, and the others wait for its end.
#[derive(Debug)]
pub struct Leadership {
    fence: Fence,
    lost: CancellationToken,
    stop: CancellationToken,
    renewals: JoinHandle<()>,
}

impl Leadership {
    fn start(record: Record, lease: Lease, deadline: Alarm) -> Self {
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let fence = Fence::new(Arc::clone(&record.clock));
        fence.set(Some(deadline.at));
        let renewals = tokio::spawn({
            let (lost, stop, fence) = (lost.clone().drop_guard(), stop.clone(), fence.clone());
            async move {
                let held = record.keep(lease, deadline, &fence, &stop).await;
                fence.set(None);
                if let Some(held) = held {
                    record.give_back(held).await;
                }
                drop(lost);
            }
        });
        Self { fence, lost, stop, renewals }
    }

    /// What requests that only the leader may send pass by.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Completes when the Lease is not ours any more: it could not be renewed in time, it is gone, or another holds it.
    /// Whoever leads stops writing then.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.lost.clone().cancelled_owned()
    }

    /// Gives the Lease back, so that the next takes it at once. The work must have ended before. An error is logged:
    /// the next then waits for the end of the Lease.
    pub async fn release(mut self) {
        self.stop.cancel();
        // An error here is a panic of the task, which has been printed.
        let _ = (&mut self.renewals).await;
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

/// The Lease in the cluster, as one replica sees it.
struct Record {
    api: Api<Lease>,
    options: LeaseOptions,
    clock: Arc<dyn Clock>,
}

/// What a candidate saw, and when its holder's time is over.
struct Seen {
    spec: Option<LeaseSpec>,
    end: Alarm,
}

/// How a renewal went.
enum Renewal {
    /// It is ours for the whole duration again.
    Done,
    /// The record was changed by somebody and still names us: once more.
    Again,
    /// It is not ours. Why.
    Lost(String),
}

impl Record {
    /// Takes the Lease if nobody holds it.
    async fn attempt(&self, seen: &mut Option<Seen>) -> Result<Option<Lease>, LeaseError> {
        let name = &self.options.name;
        let Some(lease) = self.answer(self.api.get_opt(name)).await? else {
            let lease = self.taken(Lease {
                metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
                spec: None,
            });
            return won(self.answer(self.api.create(&PostParams::default(), &lease)).await);
        };
        if !self.is_free(&lease, seen) {
            return Ok(None);
        }
        // It carries the resourceVersion that was read, so of two candidates one gets a conflict.
        let lease = self.taken(lease);
        won(self.answer(self.api.replace(name, &PostParams::default(), &lease)).await)
    }

    /// Whether nobody holds it: it was given back, its holder is ourselves (of whose answer we never heard), or its
    /// holder has not renewed it for as long as the record asks.
    fn is_free(&self, lease: &Lease, seen: &mut Option<Seen>) -> bool {
        if holder(lease).is_none_or(|holder| holder == self.options.identity) {
            return true;
        }
        match seen {
            Some(seen) if seen.spec == lease.spec => seen.end.is_over(),
            _ => {
                let end = Alarm::set(&self.clock, self.duration(lease));
                *seen = Some(Seen { spec: lease.spec.clone(), end });
                false
            }
        }
    }

    /// Renews until it is told to stop, and then gives the Lease that it holds, or until it is lost.
    async fn keep(
        &self,
        mut lease: Lease,
        mut deadline: Alarm,
        fence: &Fence,
        stop: &CancellationToken,
    ) -> Option<Lease> {
        let mut wait = self.options.renew_every;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Some(lease),
                () = &mut deadline.timer => return self.report_loss("no renewal worked in time"),
                () = self.clock.sleep(wait) => {}
            }
            let next_deadline = self.deadline();
            let renewal = tokio::select! {
                biased;
                () = &mut deadline.timer => return self.report_loss("no renewal worked in time"),
                renewal = self.renew(&mut lease) => renewal,
            };
            wait = self.options.retry_every;
            match renewal {
                Ok(Renewal::Done) => {
                    fence.set(Some(next_deadline.at));
                    (deadline, wait) = (next_deadline, self.options.renew_every);
                }
                Ok(Renewal::Again) => wait = wait.min(AFTER_CONFLICT),
                Ok(Renewal::Lost(reason)) => return self.report_loss(&reason),
                Err(error) => {
                    warn!(lease = %self.options.name, %error, "the Lease could not be renewed, it is tried again");
                    if error.is_of_busy_server() {
                        wait = wait.min(AFTER_REFUSAL);
                    }
                }
            }
        }
    }

    async fn renew(&self, lease: &mut Lease) -> Result<Renewal, LeaseError> {
        let name = &self.options.name;
        let renewed = self.renewed(lease);
        match self.answer(self.api.replace(name, &PostParams::default(), &renewed)).await {
            Ok(written) => {
                *lease = written;
                return Ok(Renewal::Done);
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        // Another took it; or somebody labelled it; or an answer to us was lost on its way.
        let Some(now) = self.answer(self.api.get_opt(name)).await? else {
            return Ok(Renewal::Lost("the Lease was deleted".to_owned()));
        };
        match holder(&now) {
            Some(holder) if holder == self.options.identity => {
                *lease = now;
                Ok(Renewal::Again)
            }
            Some(holder) => Ok(Renewal::Lost(format!("{holder} holds the Lease"))),
            None => Ok(Renewal::Lost("the Lease was taken away".to_owned())),
        }
    }

    async fn give_back(&self, lease: Lease) {
        let mut free = self.renewed(&lease);
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = None;
        }
        let name = &self.options.name;
        match self.answer(self.api.replace(name, &PostParams::default(), &free)).await {
            Ok(_) => info!(lease = %name, "the Lease is given back"),
            Err(error) => warn!(lease = %name, %error, "the Lease could not be given back"),
        }
    }

    fn report_loss(&self, reason: &str) -> Option<Lease> {
        warn!(lease = %self.options.name, reason, "not leading any more");
        None
    }

    /// The Lease with us as its new holder.
    fn taken(&self, mut lease: Lease) -> Lease {
        let is_change = holder(&lease) != Some(&self.options.identity);
        let mut spec = lease.spec.take().unwrap_or_default();
        let now = MicroTime(self.clock.now());
        // The first holder is no transition, as in client-go.
        let transitions = spec.lease_transitions.map_or(0, |before| before.saturating_add(is_change.into()));
        spec.holder_identity = Some(self.options.identity.clone());
        spec.lease_duration_seconds =
            Some(i32::try_from(self.options.duration.as_secs()).unwrap_or(i32::MAX).max(1));
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
        spec.lease_transitions = Some(transitions);
        Lease { spec: Some(spec), ..lease }
    }

    fn renewed(&self, lease: &Lease) -> Lease {
        let mut lease = lease.clone();
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(self.clock.now()));
        lease
    }

    /// How long a candidate waits for the holder of `lease`.
    fn duration(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let asked = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        asked.unwrap_or(self.options.duration).min(MAX_DURATION)
    }

    /// When a holder that renews now has to stop if it does not renew again.
    fn deadline(&self) -> Alarm {
        Alarm::set(&self.clock, self.options.duration.saturating_sub(self.options.margin))
    }

    /// The answer to a request. One that does not come is given up early enough for another try.
    async fn answer<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
        tokio::select! {
            answer = request => Ok(answer?),
            () = self.clock.sleep(self.options.retry_every) => Err(LeaseError::NoAnswer(self.options.retry_every)),
        }
    }
}

/// Who holds a Lease.
fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Another candidate was faster where the write conflicts.
fn won(written: Result<Lease, LeaseError>) -> Result<Option<Lease>, LeaseError> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A moment to come, on the monotonic clock behind [`Clock::sleep`]. It can be asked again after it has come.
struct Alarm {
    timer: Pin<Box<MaybeDone<BoxFuture<'static, ()>>>>,
    /// The same moment, for who can not wait for a timer.
    at: Duration,
}

impl Alarm {
    fn set(clock: &Arc<dyn Clock>, after: Duration) -> Self {
        let at = clock.monotonic().saturating_add(after);
        let clock = Arc::clone(clock);
        let timer = Box::pin(maybe_done(async move { clock.sleep(after).await }.boxed()));
        let mut alarm = Self { timer, at };
        // A timer counts from its first poll, which has to be now.
        alarm.is_over();
        alarm
    }

    fn is_over(&mut self) -> bool {
        (&mut self.timer).now_or_never().is_some()
    }
}

/// Why a request about the Lease failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the Kubernetes API gave no answer within {0:?}")]
    NoAnswer(Duration),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl LeaseError {
    /// Whether the record was changed since it was read, or is there already.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 409)
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if status.code == 404)
    }

    fn is_of_busy_server(&self) -> bool {
        matches!(self, Self::Api(kube::Error::Api(status)) if matches!(status.code, 429 | 503))
    }
}

#[cfg(test)]
mod tests;
