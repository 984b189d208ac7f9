//! One certificate, from what is there to what is published: what `issue`, `renew` and `serve` have in common.

use crate::account_store;
use crate::error::{Failure, chain};
use crate::journal::FileJournal;
use crate::progress::Reporter;
use crate::request::Order;
use crate::session::Session;
use gatecert_acme::{CertificateId, Client, Retry};
use gatecert_issue::{
    Bundle, CertificateFacts, CertificateKey, Entry, Failures, Journal as _, Observed, Origin, Plan, Stored,
    StoredWindow, facts, obtain, plan, renewal,
};
use gatecert_publish::{
    Certificate, CertificateName, FileStore, Record, RenewalWindow, StoreError, StoreReader,
    UnansweredQuestion,
};
use jiff::Timestamp;

/// What is published under a name now.
pub(crate) struct Present {
    record: Option<Record>,
    facts: Result<Option<CertificateFacts>, String>,
    /// The order that an earlier run began and did not end.
    pending_order: Option<url::Url>,
}

impl Present {
    pub(crate) fn look(store: &StoreReader, order: &Order) -> Self {
        let pending_order = pending_order(store, order);
        match store.load(&order.name) {
            Ok(None) => Self { record: None, facts: Ok(None), pending_order },
            Ok(Some(certificate)) => Self {
                facts: facts_of(&certificate).map(Some),
                record: Some(certificate.record),
                pending_order,
            },
            Err(error) => Self { record: None, facts: Err(chain(&error)), pending_order },
        }
    }

    /// What to do about it now.
    pub(crate) fn plan(
        &self,
        order: &Order,
        forced: bool,
        failures: Option<&Failures>,
        now: Timestamp,
    ) -> Plan {
        let record = self.record.as_ref();
        let origin = record.map(|record| Origin {
            directory: record.server.clone(),
            profile: record.profile.clone(),
            issued_at: record.issued_at,
        });
        let window = record.and_then(stored_window);
        // A revoked certificate is as good as none.
        let is_revoked = record.is_some_and(|record| record.revoked_at.is_some());
        plan(&Observed {
            certificate: match &self.facts {
                Err(why) => Stored::Unreadable(why),
                Ok(Some(facts)) if !is_revoked => Stored::Certificate(facts),
                Ok(_) => Stored::Missing,
            },
            origin: origin.as_ref(),
            wanted: &order.wanted(),
            ari: window.as_ref(),
            failures,
            pending_order: self.pending_order.as_ref(),
            forced,
            now,
            jitter: self.facts().map_or(0.0, CertificateFacts::jitter),
            renew_before: None,
        })
    }

    pub(crate) fn facts(&self) -> Option<&CertificateFacts> {
        self.facts.as_ref().ok()?.as_ref()
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The certificate that a new one would replace: of the same CA, not expired, sharing a name.
    fn replaces(&self, order: &Order, now: Timestamp) -> Option<CertificateId> {
        let (record, facts) = (self.record.as_ref()?, self.facts()?);
        let shares_a_name = order.identifiers.iter().any(|identifier| facts.identifiers.contains(identifier));
        let is_replaceable =
            record.server == order.authority.server && !facts.is_expired(now) && shares_a_name;
        facts.certificate_id.clone().filter(|_| is_replaceable && record.revoked_at.is_none())
    }
}

/// The order in the journal, if it is for what is wanted. A journal that can not be read counts as none, as it does for
/// the issuance.
fn pending_order(store: &StoreReader, order: &Order) -> Option<url::Url> {
    let journal = store.load_journal(&order.name).ok()??;
    let entry: Entry = serde_json::from_slice(&journal).ok()?;
    entry.is_for(&order.wanted()).then_some(entry.order_url)
}

/// The facts of a certificate whose key is its own.
fn facts_of(certificate: &Certificate) -> Result<CertificateFacts, String> {
    let key = CertificateKey::from_pem(&certificate.key_pem).map_err(|error| chain(&error))?;
    let facts = facts(&certificate.chain_pem).map_err(|error| chain(&error))?;
    let check = gatecert_issue::verify(&certificate.chain_pem, &key, &facts.identifiers, facts.not_before);
    check.map_err(|error| chain(&error))
}

/// Whether chain and key belong together.
pub(crate) fn check_pair(certificate: &Certificate) -> Result<(), String> {
    facts_of(certificate).map(drop)
}

/// The directory of a certificate, made ready. One that was made for it goes with this where nothing came into it, so that whoever gave a wrong
/// URL, or stopped the program, finds nothing that looks like a certificate.
struct Prepared<'a> {
    store: &'a FileStore,
    name: &'a CertificateName,
    is_new: bool,
}

impl<'a> Prepared<'a> {
    fn new(store: &'a FileStore, name: &'a CertificateName) -> Result<Self, StoreError> {
        Ok(Self { store, name, is_new: store.prepare(name)? })
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.is_new
            && let Err(error) = self.store.remove_unused(self.name)
        {
            tracing::debug!(name = %self.name, %error, "the directory of what was not issued stays");
        }
    }
}

/// Issues and publishes.
pub(crate) async fn perform(session: &Session, order: &Order, present: &Present) -> Result<Record, Failure> {
    // All that can be refused on this machine comes before the first request.
    let _prepared = Prepared::new(&session.store, &order.name)?;
    let solver = session.solver(&order.http01).await?;
    let client = session.client(&order.authority).await?;
    let Session { store, output, clock, .. } = session;
    let reporter = Reporter::new(output, &order.identifiers);

    let enrolling = session.enrolling(&order.authority).await;
    let account = account_store::ensure(store, &client, &order.enrolment, |line| reporter.note(line)).await?;
    drop(enrolling);
    let request = order.request().replaces(present.replaces(order, clock.now()));
    let journal = FileJournal::new(store, &order.name);
    let bundle = obtain(&account, &request, solver.as_solver(), &journal, &reporter).await?;
    drop(reporter);

    let record = record(order, &bundle, account.url(), clock.now());
    let Bundle { chain_pem, key_pem, .. } = bundle;
    store.publish(&Certificate { record: record.clone(), chain_pem, key_pem })?;
    // Only now: until the pair is published, the journal is the only place that has its key.
    if let Err(error) = journal.clear().await {
        output.warning(&format!("the journal stays behind: {}", chain(&error)));
    }
    Ok(record)
}

/// Asks the CA when a certificate that was just issued should be renewed. It is published already, so nothing that
/// happens here makes it less than that.
pub(crate) async fn ask_first(session: &Session, order: &Order, record: &mut Record) {
    let Ok(client) = session.client(&order.authority).await else { return };
    if ask(&client, record, session.clock.now()).await
        && let Err(error) = session.store.update_record(record)
    {
        session.output.warning(&format!("the renewal window was not kept: {}", chain(&error)));
    }
}

fn record(order: &Order, bundle: &Bundle, account_url: &url::Url, now: Timestamp) -> Record {
    Record {
        name: order.name.clone(),
        identifiers: order.identifiers.iter().map(ToString::to_string).collect(),
        server: order.authority.server.clone(),
        profile: order.profile.clone(),
        key_type: order.key_type.to_string(),
        account_url: Some(account_url.clone()),
        order_url: Some(bundle.order_url.clone()),
        certificate_id: bundle.certificate_id().map(ToString::to_string),
        not_before: bundle.not_before(),
        not_after: bundle.not_after(),
        issued_at: now,
        issuer: bundle.facts.issuer.clone(),
        serial: bundle.facts.serial.clone(),
        ari: None,
        unanswered: None,
        revoked_at: None,
        renewal: order.renewal_options(),
        failures: gatecert_publish::Failures::default(),
    }
}

/// Asks the CA when the certificate should be renewed, and notes the answer in the record, or that there was none.
/// Whether it was asked; a CA that does not answer is no failure of anything.
pub(crate) async fn ask(client: &Client, record: &mut Record, now: Timestamp) -> bool {
    let Some(id) = record.certificate_id.as_ref().and_then(|id| id.parse::<CertificateId>().ok()) else {
        return false;
    };
    if client.directory().renewal_info.is_none() {
        return false;
    }
    let known = StoredWindow::of(stored_window(record), &id, now);
    let (answer, explanation_url) = match client.renewal_info(&id).await {
        Ok(info) => (known.answered(info.window, info.retry_after, now, random()), info.explanation_url),
        Err(error) => {
            tracing::debug!(%error, "no renewal information");
            (known.failed(error.retry(), now), None)
        }
    };
    (record.ari, record.unanswered) = match answer.window.zip(answer.renew_at) {
        Some((window, selected)) => {
            let known = RenewalWindow {
                certificate_id: id.to_string(),
                start: window.start,
                end: window.end,
                selected,
                fetched_at: now,
                ask_again_at: Some(answer.ask_at),
                explanation_url,
            };
            (Some(known), None)
        }
        None => {
            let unanswered = UnansweredQuestion {
                certificate_id: id.to_string(),
                asked_at: now,
                ask_again_at: answer.ask_at,
            };
            (None, Some(unanswered))
        }
    };
    true
}

/// Whether the CA is to be asked about this certificate now.
pub(crate) fn is_to_be_asked(present: &Present, now: Timestamp) -> bool {
    let window = present.record().and_then(stored_window);
    present.facts().is_some_and(|facts| renewal::question(facts, window.as_ref(), now).is_some())
}

fn stored_window(record: &Record) -> Option<StoredWindow> {
    let Some(ari) = &record.ari else { return unanswered(record) };
    Some(StoredWindow {
        certificate_id: ari.certificate_id.parse().ok()?,
        window: Some(gatecert_acme::RenewalWindow { start: ari.start, end: ari.end }),
        renew_at: Some(ari.selected),
        ask_at: ari.ask_again_at.unwrap_or(ari.fetched_at),
    })
}

fn unanswered(record: &Record) -> Option<StoredWindow> {
    let question = record.unanswered.as_ref()?;
    let certificate_id = question.certificate_id.parse().ok()?;
    Some(StoredWindow { certificate_id, window: None, renew_at: None, ask_at: question.ask_again_at })
}

/// From 0 to below 1.
fn random() -> f64 {
    rand::random()
}

/// The failures that a record remembers, as the planner takes them.
pub(crate) fn failures_of(record: &Record, order: &Order) -> Option<Failures> {
    let last = record.failures.last?;
    Some(Failures {
        count: record.failures.count,
        last,
        retry_after_until: record.failures.retry_after_until,
        permanent: record.failures.permanent,
        wanted: order.wanted(),
    })
}

/// Notes one more failure in a record, for the planner.
pub(crate) fn note_failure(record: &mut Record, order: &Order, retry: Retry, now: Timestamp) {
    let failures = Failures::add(failures_of(record, order).as_ref(), &order.wanted(), retry, now);
    record.failures = gatecert_publish::Failures {
        count: failures.count,
        last: Some(failures.last),
        retry_after_until: failures.retry_after_until,
        permanent: failures.permanent,
    };
}
