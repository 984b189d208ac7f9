//! Keeps each certificate: a task that looks at it again and again, whatever becomes of the others.

use super::services::in_words_of_the_file;
use crate::error::Failure;
use crate::issuance::ask_first;
use crate::issue::day;
use crate::look::{Looked, Patience, look};
use crate::request::Order;
use crate::session::Session;
use futures::FutureExt as _;
use futures::future::join_all;
use gatecert_acme::{Clock, Retry};
use gatecert_issue::{Failures, Plan};
use gatecert_publish::CertificateName;
use gatecert_publish::sds::Secrets;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use url::Url;

/// How many certificates of one CA are looked at at once, and so issued. More would not be faster: the nonces of a CA are limited.
const AT_ONCE: usize = 8;

/// When what this machine refused, such as a full disk, is tried again.
const LOCAL_RETRY: SignedDuration = SignedDuration::from_mins(1);

/// The longest sleep without a look at the clock: a machine that was suspended, or whose clock was set, is late by no more.
const NAP: Duration = Duration::from_secs(60);

/// How long an issuance that is under way may go on after the end was asked for. It takes seconds with most CAs; what takes
/// longer is gone on with at the next start. systemd waits for 90 s.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// The tasks, by certificate.
pub(super) struct Keepers {
    session: Arc<Session>,
    secrets: Secrets,
    /// Of each CA its own: one that hangs keeps no other waiting.
    turns: HashMap<Url, Arc<Semaphore>>,
    again: watch::Sender<()>,
    tasks: BTreeMap<CertificateName, Task>,
}

struct Task {
    order: Order,
    ending: CancellationToken,
    handle: JoinHandle<()>,
}

impl Keepers {
    pub(super) fn new(session: Arc<Session>, secrets: Secrets) -> Self {
        let again = watch::Sender::new(());
        Self { session, secrets, turns: HashMap::new(), again, tasks: BTreeMap::new() }
    }

    /// Keeps these, and no others. Those that are kept already, and have not changed, are not disturbed.
    pub(super) async fn keep(&mut self, orders: &[Order]) {
        let is_wanted = |task: &Task| orders.contains(&task.order) && !task.handle.is_finished();
        let (stay, end) = std::mem::take(&mut self.tasks).into_iter().partition(|(_, task)| is_wanted(task));
        self.tasks = stay;
        let ended: BTreeMap<_, _> = end;
        for name in ended.keys().filter(|name| !orders.iter().any(|order| order.name == **name)) {
            self.secrets.remove(name);
            self.session.output.note(&format!("{name}: not kept any more; its files stay"));
        }
        end_all(ended.into_values()).await;
        for order in orders {
            if !self.tasks.contains_key(&order.name) {
                let task = self.spawn(order.clone());
                self.tasks.insert(order.name.clone(), task);
            }
        }
    }

    /// Has all that waits after a failure try again now.
    pub(super) fn try_again(&self) {
        self.again.send_replace(());
    }

    /// Ends all; what is under way is ended first.
    pub(super) async fn end(&mut self) {
        end_all(std::mem::take(&mut self.tasks).into_values()).await;
    }

    fn spawn(&mut self, order: Order) -> Task {
        let turns = self.turns.entry(order.authority.server.clone());
        let turns = turns.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone();
        let ending = CancellationToken::new();
        let keeper = Keeper {
            session: self.session.clone(),
            secrets: self.secrets.clone(),
            turns,
            again: self.again.subscribe(),
            ending: ending.clone(),
            order: order.clone(),
            failures: None,
        };
        // Which of them it is that orders and validates.
        let span = tracing::info_span!("keep", certificate = %order.name);
        Task { order, ending, handle: tokio::spawn(keeper.run().instrument(span)) }
    }
}

/// Together, so that several that are slow do not add up.
async fn end_all(tasks: impl Iterator<Item = Task>) {
    join_all(tasks.map(Task::end)).await;
}

impl Task {
    async fn end(mut self) {
        self.ending.cancel();
        if tokio::time::timeout(DRAIN_TIME, &mut self.handle).await.is_err() {
            self.handle.abort();
            // Until it is gone, it has the journal.
            let _ = (&mut self.handle).await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// One certificate.
struct Keeper {
    session: Arc<Session>,
    secrets: Secrets,
    turns: Arc<Semaphore>,
    again: watch::Receiver<()>,
    ending: CancellationToken,
    order: Order,
    /// Those that no record can remember, since there is none of what is wanted yet.
    failures: Option<Failures>,
}

impl Keeper {
    async fn run(mut self) {
        self.serve();
        let mut is_told = false;
        loop {
            let turns = self.turns.clone();
            let turn = tokio::select! {
                turn = turns.acquire() => turn,
                () = self.ending.cancelled() => return,
            };
            let next = self.look(is_told).await;
            drop(turn);
            is_told = tokio::select! {
                () = until(&*self.session.clock, next) => false,
                told = self.again.changed() => told.is_ok(),
                () = self.ending.cancelled() => return,
            };
        }
    }

    /// Looks once. When to look again.
    async fn look(&mut self, is_told: bool) -> Timestamp {
        let patience = if is_told { Patience::None } else { Patience::Planned(self.failures.as_ref()) };
        let looked = AssertUnwindSafe(look(&self.session, &self.order, patience)).catch_unwind().await;
        match looked.unwrap_or_else(|_| Err(panicked())) {
            Ok(Looked::Issued(mut record)) => {
                self.failures = None;
                self.serve();
                let until = day(record.not_after);
                self.session.output.note(&format!("{}: issued, valid until {until}", self.order.name));
                ask_first(&self.session, &self.order, &mut record).await;
                self.session.clock.now()
            }
            Ok(Looked::Planned(plan)) => self.planned(&plan),
            Err(failure) => self.failed(failure).await,
        }
    }

    fn planned(&self, plan: &Plan) -> Timestamp {
        match plan {
            Plan::UpToDate { look_again_at } => *look_again_at,
            Plan::Wait { until, why, .. } => {
                let text = format!("{}: {why}: to be tried again after {}", self.order.name, day(*until));
                self.session.output.note(&text);
                *until
            }
            Plan::Issue { .. } => self.session.clock.now(),
        }
    }

    async fn failed(&mut self, failure: Failure) -> Timestamp {
        let now = self.session.clock.now();
        self.session.output.failure_of(self.order.name.as_str(), &for_a_log(failure.clone()));
        // The CA may have moved, or its roots may have changed.
        self.session.forget(&self.order.authority).await;
        match failure.retry {
            Some(retry) => {
                let wanted = self.order.wanted();
                self.failures = Some(Failures::add(self.failures.as_ref(), &wanted, retry, now));
                now
            }
            None => now.saturating_add(LOCAL_RETRY).unwrap_or(now),
        }
    }

    /// Gives Envoys the pair that is published, if it is one.
    fn serve(&self) {
        let name = &self.order.name;
        let served = match self.session.store.load(name) {
            Ok(None) => return,
            Ok(Some(pair)) => crate::issuance::check_pair(&pair).and_then(|()| {
                self.secrets.set(name, &pair.chain_pem, pair.key_pem).map_err(|error| error.to_string())
            }),
            Err(error) => Err(crate::error::chain(&error)),
        };
        if let Err(why) = served {
            self.session.output.warning(&format!("{name}: what is there can not be served: {why}"));
        }
    }
}

/// A bug must not end the others, nor be repeated at once: it counts as a failed attempt.
fn panicked() -> Failure {
    Failure {
        kind: "bug",
        exit: crate::Exit::Failed,
        retry: Some(Retry::Now),
        ..Failure::usage("the attempt ended by a bug; please report it with this log")
    }
}

/// Nobody runs a command again, and the fields are not options.
fn for_a_log(failure: Failure) -> Failure {
    let failure = in_words_of_the_file(failure);
    let hint = failure.hint.filter(|hint| !hint.contains("run the same command"));
    Failure { hint, ..failure }
}

async fn until(clock: &dyn Clock, time: Timestamp) {
    loop {
        let left = time.duration_since(clock.now());
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => clock.sleep(left.min(NAP)).await,
            _ => return,
        }
    }
}
