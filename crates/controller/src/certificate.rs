//! One Certificate, from plan to report.

use crate::budget::{self, Tally};
use crate::certificates::{Interruption, reference_to};
use crate::controller::Controller;
use crate::issuance::{self, Interrupted};
use crate::issuer::PENDING;
use crate::report::{
    failures_of, last_error, renewal_information, set_conditions, set_failures, set_published, window_of,
};
use crate::secrets::{Content, KnownSecret};
use crate::wish::{Wish, wish};
use gatecert_api::{Certificate, CertificateStatus, OrderType, RecentOrder, annotation};
use gatecert_issue::budget::OrderKind;
use gatecert_issue::{
    CertificateFacts, Failures, Observed, Origin, Plan, Reason, Stored, StoredWindow, plan, renewal,
    renews_at,
};
use gatecert_publish::kubernetes::Ownership;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::SemaphorePermit;

/// When something that only a person can change is looked at again, if nothing is heard of it.
const LOOK_AT_OBSTACLE: Duration = Duration::from_secs(300);

/// When the API server is asked again that had no answer, though it was asked with patience: first so soon, then each time twice
/// as late.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The longest that it is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What keeps a Certificate from being issued, and is no failure of the CA's: nothing was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// A word in CamelCase.
    pub(crate) reason: String,
    /// What to do.
    pub(crate) message: String,
    /// Whether it goes by itself, and soon.
    pub(crate) is_passing: bool,
}

/// Where a Certificate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    pub(crate) ready: Mark,
    pub(crate) issuing: Mark,
    /// What is worth an event.
    pub(crate) news: Option<News>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) is_true: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) is_good: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Mark {
    pub(crate) fn new(is_true: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { is_true, reason: reason.to_owned(), message: message.into() }
    }
}

/// How a look at a Certificate ended.
enum Outcome {
    /// Nothing to do until then.
    UpToDate(Timestamp),
    /// A new certificate is published.
    Issued(Timestamp),
    /// Something is in the way.
    Blocked(Obstacle),
    /// An attempt failed, now or before.
    Waiting { until: Timestamp, reason: String, message: String },
    /// The Certificate changed meanwhile, or went.
    Interrupted,
}

/// How long a turn is kept at the most: whoever waits longer, for a CA or for an API server that has to be asked again, is to keep
/// no others waiting.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// A turn to look at a Certificate. It is given up by who waits for a CA.
#[derive(Debug)]
struct Turn<'a>(Mutex<Option<SemaphorePermit<'a>>>);

impl Turn<'_> {
    fn give_up(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How the CA is asked about a renewal.
#[derive(Clone, Copy)]
enum Asking<'a, 'permit> {
    /// At once, since it is about a certificate that was issued just now.
    AtOnce,
    /// Later, where many are asked about; the turn ends with the question.
    Paced(&'a Turn<'permit>),
}

/// Brings one Certificate to where it should be.
pub(crate) async fn reconcile(certificate: Arc<Certificate>, controller: Arc<Controller>) -> Action {
    // At the start all Certificates are looked at at once. Those that wait for their turn have no room yet for more.
    let turn = Turn(Mutex::new(controller.turns.acquire().await.ok()));
    // It may have changed, or gone, while others had theirs.
    match controller.certificates.current(&certificate) {
        Some(current) => Box::pin(reconcile_in_turn(&current, &controller, &turn)).await,
        None => Action::await_change(),
    }
}

async fn reconcile_in_turn(certificate: &Certificate, controller: &Controller, turn: &Turn<'_>) -> Action {
    let mut look = pin!(reconcile_now(certificate, controller, turn));
    if let Ok(action) = tokio::time::timeout(LONGEST_TURN, look.as_mut()).await {
        return action;
    }
    turn.give_up();
    look.await
}

/// Whatever waits is boxed: a look that waits for a permit to issue has no room for its report yet.
async fn reconcile_now(certificate: &Certificate, controller: &Controller, turn: &Turn<'_>) -> Action {
    let mut status = controller.certificates.status(certificate);
    let seen = controller.blocked.changes();
    let wish = wish(certificate, controller);
    let (present, outcome) = match &wish {
        Ok(wish) => look(certificate, wish, controller, &mut status, turn).await,
        Err(obstacle) => (None, Outcome::Blocked(obstacle.clone())),
    };
    match &outcome {
        Outcome::Interrupted => return Action::await_change(),
        // The issuer says when it is ready, in a moment: nobody has to read of it.
        Outcome::Blocked(obstacle) if obstacle.reason == PENDING => {
            return Action::requeue(LOOK_AT_OBSTACLE);
        }
        _ => {}
    }
    let now = controller.now();
    let facts = present.as_deref().and_then(facts_of);
    let is_as_wanted = wish.as_ref().is_ok_and(|wish| facts.is_some_and(|facts| fits(facts, wish, now)));
    status.issuance = None;
    set_published(&mut status, facts);
    if let Ok(wish) = &wish {
        let renews_at = observed(wish, controller, present.as_deref(), &status, false, renews_at);
        status.renewal_time = renews_at.map(Time);
    }
    let situation = situation(&outcome, facts, is_as_wanted);
    set_conditions(&mut status, certificate, &situation, now);
    let is_shown = Box::pin(controller.report(certificate, status, &situation)).await;
    if !matches!(outcome, Outcome::Waiting { .. }) {
        controller.budgets.withdraw(&certificate.uid().unwrap_or_default());
    }
    if !is_shown || matches!(&outcome, Outcome::Blocked(obstacle) if obstacle.is_passing) {
        return Action::requeue(pause(controller.certificates.was_not_answered(certificate)));
    }
    controller.certificates.was_answered(certificate);
    match outcome {
        Outcome::UpToDate(at) | Outcome::Issued(at) | Outcome::Waiting { until: at, .. } => until(at, now),
        Outcome::Blocked(_) => {
            controller.blocked.add(reference_to(certificate), seen);
            Action::requeue(LOOK_AT_OBSTACLE)
        }
        Outcome::Interrupted => Action::await_change(),
    }
}

/// How long the API server is left alone after so many looks in a row that it had no answer for.
fn pause(before: u32) -> Duration {
    ASK_AGAIN.saturating_mul(1 << before.min(8)).min(LONGEST_PAUSE)
}

fn until(at: Timestamp, now: Timestamp) -> Action {
    let wait = at.duration_since(now).max(SignedDuration::from_secs(1));
    Action::requeue(wait.unsigned_abs())
}

fn facts_of(secret: &KnownSecret) -> Option<&CertificateFacts> {
    match &secret.content {
        Content::Certificate(facts, _) => Some(facts),
        _ => None,
    }
}

fn fits(facts: &CertificateFacts, wish: &Wish, now: Timestamp) -> bool {
    facts.identifiers == wish.wanted.identifiers && !facts.is_expired(now)
}

/// Looks at what is published, plans, and issues if that is due.
async fn look(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    status: &mut CertificateStatus,
    turn: &Turn<'_>,
) -> (Option<Arc<KnownSecret>>, Outcome) {
    let present = match Box::pin(present(wish, controller)).await {
        Ok(present) => present,
        Err(obstacle) => return (None, Outcome::Blocked(obstacle)),
    };
    if let Some(known) = &present {
        ask_for_window(certificate, wish, controller, known, status, Asking::Paced(turn)).await;
    }
    let is_forced = controller.certificates.asks_for_renewal(certificate);
    let plan = observed(wish, controller, present.as_deref(), status, is_forced, plan);
    tracing::debug!(certificate = %ObjectRef::from_obj(certificate), ?plan, "planned");
    let outcome = match plan {
        Plan::UpToDate { look_again_at } => {
            set_failures(status, None, controller.now());
            status.last_error = None;
            let decorated = match present.as_deref() {
                Some(present) => Box::pin(issuance::decorate(certificate, wish, controller, present)).await,
                None => Ok(()),
            };
            decorated.map_or_else(Outcome::Blocked, |()| Outcome::UpToDate(look_again_at))
        }
        Plan::Wait { reason, until, why } => {
            let message =
                status.last_error.as_ref().map_or_else(|| why.to_string(), |error| error.message.clone());
            let kind =
                status.last_error.as_ref().map_or_else(|| "Waiting".to_owned(), |error| error.kind.clone());
            Outcome::Waiting {
                until,
                reason: kind,
                message: format!("{reason}; {message}; next attempt at {until}"),
            }
        }
        Plan::Issue { reason, resume } => {
            let kind = order_kind(&reason, resume.is_some(), wish, present.as_deref(), status);
            let tally = Tally::new(kind);
            turn.give_up();
            Box::pin(issue(certificate, wish, controller, present.as_ref(), status, &reason, &tally)).await
        }
    };
    let published = controller.secrets.get(&wish.secret).or(present);
    (published, outcome)
}

/// What an order is to the limits of the CA.
fn order_kind(
    reason: &Reason,
    is_resumed: bool,
    wish: &Wish,
    present: Option<&KnownSecret>,
    status: &CertificateStatus,
) -> OrderKind {
    let is_published = match present.map(|present| &present.content) {
        Some(Content::Certificate(facts, Some(origin))) => {
            facts.identifiers == wish.wanted.identifiers && origin.directory == wish.wanted.directory
        }
        _ => false,
    };
    let is_of_these_names =
        |order: &RecentOrder| order.order_type != OrderType::OtherNames && order.failed_names.is_empty();
    match reason {
        _ if is_resumed => OrderKind::Resumed,
        Reason::AriWindow | Reason::Lifetime | Reason::Expired if is_published => OrderKind::Due,
        Reason::NamesChanged { .. } | Reason::IssuerChanged { .. } => OrderKind::New,
        _ if is_published || status.recent_orders.iter().any(is_of_these_names) => OrderKind::Renewal,
        _ => OrderKind::New,
    }
}

/// What is in the Secret now. One that is not gatecert's, or is not known yet, is read.
async fn present(wish: &Wish, controller: &Controller) -> Result<Option<Arc<KnownSecret>>, Obstacle> {
    let known = match controller.secrets.get(&wish.secret) {
        Some(known) => Some(known),
        None => {
            let secrets: Api<Secret> = Api::namespaced(controller.client.clone(), &wish.secret.namespace);
            let secret = secrets.get_opt(&wish.secret.name).await.map_err(|error| {
                Obstacle::of_api("SecretNotReadable", format!("Secret {}: {error}", wish.secret), &error)
            })?;
            secret.map(|secret| Arc::new(KnownSecret::of(&secret)))
        }
    };
    let secret = &wish.secret;
    match known.as_ref().map(|known| known.ownership) {
        None | Some(Ownership::Ours | Ownership::Adoptable | Ownership::Absent) => Ok(known),
        Some(Ownership::WrongType) => Err(Obstacle::new(
            "SecretOfWrongType",
            format!(
                "Secret {secret} is not of type kubernetes.io/tls, which can not be changed: delete it, or choose another secretName"
            ),
        )),
        Some(Ownership::Foreign) => Err(Obstacle::new(
            "SecretNotOwned",
            format!(
                "Secret {secret} is not gatecert's and is left alone; to let gatecert have it: kubectl annotate secret \
                 -n {} {} {}=true",
                secret.namespace,
                secret.name,
                annotation::ADOPT
            ),
        )),
    }
}

/// What there is, as planning sees it. `is_forced` is whether somebody asked for a new certificate.
fn observed<T>(
    wish: &Wish,
    controller: &Controller,
    present: Option<&KnownSecret>,
    status: &CertificateStatus,
    is_forced: bool,
    use_it: impl FnOnce(&Observed<'_>) -> T,
) -> T {
    let entry = controller.journal(&wish.owner).entry().filter(|entry| entry.is_for(&wish.wanted));
    let (stored, origin) = stored(present);
    let facts = present.and_then(facts_of);
    use_it(&Observed {
        certificate: stored,
        origin,
        wanted: &wish.wanted,
        ari: window_of(status).as_ref(),
        failures: failures_of(status, &wish.wanted).as_ref(),
        pending_order: entry.as_ref().map(|entry| &entry.order_url),
        forced: is_forced,
        now: controller.now(),
        jitter: facts.map_or(0.0, CertificateFacts::jitter),
        renew_before: facts.and_then(|facts| wish.renew_before.of(facts)),
    })
}

fn stored(present: Option<&KnownSecret>) -> (Stored<'_>, Option<&Origin>) {
    match present.map(|known| &known.content) {
        None | Some(Content::Placeholder) => (Stored::Missing, None),
        Some(Content::Certificate(facts, origin)) => (Stored::Certificate(facts), origin.as_ref()),
        Some(Content::Unreadable(why)) => (Stored::Unreadable(why), None),
        Some(Content::Pending(_) | Content::Other) => (Stored::Unreadable("it holds no certificate"), None),
    }
}

/// Asks the CA when the published certificate should be renewed, if that is due. To a leader that begins nearly all questions
/// are: then most are put off.
async fn ask_for_window(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: &KnownSecret,
    status: &mut CertificateStatus,
    asking: Asking<'_, '_>,
) {
    let Some(facts) = facts_of(present) else { return };
    let (now, window) = (controller.now(), window_of(status));
    let client = wish.authority.account.client();
    if client.directory().renewal_info.is_none() {
        return;
    }
    let Some(id) = renewal::question(facts, window.as_ref(), now) else { return };
    let known = StoredWindow::of(window, id, now);
    let before = status.ari.take().filter(|ari| ari.certificate_id == id.to_string());
    let url_before = before.and_then(|ari| ari.explanation_url);
    let (answer, explanation_url) =
        if matches!(asking, Asking::Paced(_)) && controller.questions.check().is_err() {
            (known.put_off(now, rand::random()), url_before)
        } else {
            if let Asking::Paced(turn) = asking {
                turn.give_up();
            }
            tracing::debug!(certificate = %ObjectRef::from_obj(certificate), "asking when to renew");
            match Box::pin(client.renewal_info(id)).await {
                Ok(info) => {
                    let answer = known.answered(info.window, info.retry_after, now, rand::random());
                    (answer, info.explanation_url.map(|url| url.to_string()))
                }
                Err(error) => (known.failed(error.retry(), now), url_before),
            }
        };
    controller.certificates.will_ask(certificate, answer.ask_at);
    status.ari = Some(renewal_information(&answer, explanation_url));
}

/// Issues, and notes in the status how that went.
async fn issue(
    certificate: &Certificate,
    wish: &Wish,
    controller: &Controller,
    present: Option<&Arc<KnownSecret>>,
    status: &mut CertificateStatus,
    reason: &Reason,
    tally: &Tally,
) -> Outcome {
    tracing::info!(certificate = %ObjectRef::from_obj(certificate), reason = reason.kind(), "issuing: {reason}");
    let mut running = controller.certificates.begin(certificate);
    let begun = controller.clock.monotonic();
    let result =
        issuance::run(certificate, wish, controller, present, tally, &mut running.interruption).await;
    drop(running);
    let (now, took) = (controller.now(), controller.clock.monotonic().saturating_sub(begun));
    controller.metrics.ordered(tally.kind, tally.made());
    let is_of_other_names = matches!(reason, Reason::NamesChanged { .. });
    status.recent_orders = tally.added_to(&status.recent_orders, is_of_other_names, now);
    match result {
        Ok(known) => {
            set_failures(status, None, now);
            status.last_error = None;
            // One that was published before, by a process that came no further, counts once.
            if status.serial_number.as_ref() != facts_of(&known).map(|facts| &facts.serial) {
                status.revision = Some(status.revision.unwrap_or_default() + 1);
                controller.metrics.issued("issued", took);
            }
            status.ari = None;
            ask_for_window(certificate, wish, controller, &known, status, Asking::AtOnce).await;
            match observed(wish, controller, Some(&known), status, false, plan) {
                Plan::UpToDate { look_again_at } => Outcome::Issued(look_again_at),
                _ => Outcome::Issued(now),
            }
        }
        Err(Interrupted::By(Interruption::Changed | Interruption::Deleted)) => Outcome::Interrupted,
        Err(Interrupted::Obstacle(obstacle)) => Outcome::Blocked(obstacle),
        Err(Interrupted::Held(held)) => {
            let until = held.until;
            let message = format!("{reason}, but {held}; next attempt at {until}");
            Outcome::Waiting { until, reason: budget::reason(&held).to_owned(), message }
        }
        Err(Interrupted::Failed(error)) => {
            controller.metrics.issued("failed", took);
            let before = failures_of(status, &wish.wanted);
            let failures = Failures::add(before.as_ref(), &wish.wanted, error.retry(), now);
            set_failures(status, Some(&failures), now);
            let last = last_error(&error);
            controller.metrics.failed(&last.kind);
            let until = failures.wait(&wish.wanted, now).map_or(now, |(until, _)| until);
            let hint = last.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let message = format!("{}{hint}; next attempt at {until}", last.message);
            tracing::warn!(certificate = %ObjectRef::from_obj(certificate), kind = last.kind, "not issued: {message}");
            let reason = last.kind.clone();
            status.last_error = Some(last);
            Outcome::Waiting { until, reason, message }
        }
    }
}

fn situation(outcome: &Outcome, facts: Option<&CertificateFacts>, is_as_wanted: bool) -> Situation {
    let until = facts.map(|facts| format!("valid until {}", facts.not_after)).unwrap_or_default();
    let ready = |reason: &str, message: &str| match is_as_wanted {
        true => Mark::new(true, "Issued", until.clone()),
        false => Mark::new(false, reason, message),
    };
    let news = |is_good, reason: &str, message: &str| {
        Some(News { is_good, reason: reason.to_owned(), message: message.to_owned() })
    };
    match outcome {
        Outcome::Issued(_) => {
            let message = format!("a certificate was issued, {until}");
            let news = news(true, "Issued", &message);
            Situation { ready: ready("Issued", &until), issuing: Mark::new(false, "Idle", ""), news }
        }
        Outcome::Blocked(Obstacle { reason, message, .. }) => Situation {
            ready: ready(reason, message),
            issuing: Mark::new(false, reason, message.clone()),
            news: news(false, reason, message),
        },
        Outcome::Waiting { reason, message, .. } => Situation {
            ready: ready(reason, message),
            issuing: Mark::new(false, reason, message.clone()),
            news: news(false, reason, message),
        },
        Outcome::UpToDate(_) | Outcome::Interrupted => {
            Situation { ready: ready("Pending", ""), issuing: Mark::new(false, "Idle", ""), news: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<F, A, B>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// What a look is that waits for a permit to issue, with all that is boxed in it.
    fn bytes_for_a_permit() -> usize {
        type With<'a> = (&'a Certificate, &'a Wish, &'a Controller, &'a Turn<'a>);
        let in_turn = bytes(|(certificate, _, controller, turn): With<'static>, ()| {
            reconcile_in_turn(certificate, controller, turn)
        });
        type Issue<'a> = (&'a mut CertificateStatus, &'a Reason, &'a Tally);
        let issue = bytes(|(certificate, wish, controller, _): With<'static>, more: Issue<'static>| {
            issue(certificate, wish, controller, None, more.0, more.1, more.2)
        });
        in_turn + issue
    }

    #[test]
    fn an_api_server_without_an_answer_is_asked_less_and_less() {
        let pauses = [0, 1, 2, 3, 4, 5, u32::MAX].map(|before| pause(before).as_secs());
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60, 60]);
    }

    /// Ten thousand may wait for their turn, or for an issuance to end.
    #[test]
    fn those_that_wait_are_small() {
        let (for_a_turn, for_a_permit) = (bytes(reconcile), bytes_for_a_permit());
        assert!(for_a_turn <= 256 && for_a_permit <= 4096, "{for_a_turn} and {for_a_permit} bytes each");
    }
}
