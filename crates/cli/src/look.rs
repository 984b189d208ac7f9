//! One look at one certificate that was issued before, or is wanted: what `renew` does once and `serve` again and again.

use crate::error::{Failure, chain};
use crate::issuance::{self, Present, perform};
use crate::request::Order;
use crate::session::Session;
use gatecert_acme::Retry;
use gatecert_issue::{Failures, Plan};
use gatecert_publish::Record;

/// What a look came to.
pub(crate) enum Looked {
    /// A new certificate, which is published.
    Issued(Box<Record>),
    /// Nothing is due now.
    Planned(Box<Plan>),
}

/// Whether earlier failures are waited after.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// After those of the record, or where they can not be in one, after these.
    Planned(Option<&'a Failures>),
    /// Somebody asked to try again.
    None,
}

/// Asks the CA for its renewal window where that is due, plans, and issues where that is due.
///
/// # Errors
/// The certificate is due, and was not issued. The record of the one before it remembers the failure.
pub(crate) async fn look(
    session: &Session,
    order: &Order,
    patience: Patience<'_>,
) -> Result<Looked, Failure> {
    let present = observe(session, order).await?;
    let failures = match patience {
        Patience::Planned(others) => {
            let of_record = same(&present, order).and_then(|record| issuance::failures_of(record, order));
            of_record.or_else(|| others.cloned())
        }
        Patience::None => None,
    };
    match present.plan(order, false, failures.as_ref(), session.clock.now()) {
        Plan::Issue { reason, .. } => {
            session.output.note(&format!("{}: {reason}", order.name));
            Ok(Looked::Issued(Box::new(issue(session, order, &present).await?)))
        }
        plan => Ok(Looked::Planned(Box::new(plan))),
    }
}

/// What is there, with what the CA says about it.
async fn observe(session: &Session, order: &Order) -> Result<Present, Failure> {
    let present = Present::look(&session.store, order);
    let Some(mut record) = present.record().cloned() else { return Ok(present) };
    let is_due = issuance::is_to_be_asked(&present, session.clock.now());
    if is_due && ask(session, order, &mut record).await {
        session.store.update_record(&record)?;
        return Ok(Present::look(&session.store, order));
    }
    Ok(present)
}

/// Asks the CA for its window; where it does not answer, the plan goes by what is known.
async fn ask(session: &Session, order: &Order, record: &mut Record) -> bool {
    match session.client(&order.authority).await {
        Ok(client) => issuance::ask(&client, record, session.clock.now()).await,
        Err(failure) => {
            session.output.warning(&format!("{}: no renewal information: {}", order.name, failure.message));
            false
        }
    }
}

async fn issue(session: &Session, order: &Order, present: &Present) -> Result<Record, Failure> {
    match perform(session, order, present).await {
        Ok(record) => Ok(record),
        Err(failure) => {
            // What this machine refuses may be mended at any time, and has cost the CA nothing.
            if let Some(retry) = failure.retry {
                remember(session, order, present, retry);
            }
            Err(failure)
        }
    }
}

/// The old certificate stays in place; its record remembers when the next attempt may be.
fn remember(session: &Session, order: &Order, present: &Present, retry: Retry) {
    let Some(before) = same(present, order) else { return };
    // The failure may have come after the new certificate was put in place: that has none.
    let Ok(Some(mut record)) = session.store.record(&order.name) else { return };
    if record.serial != before.serial {
        return;
    }
    issuance::note_failure(&mut record, order, retry, session.clock.now());
    if let Err(error) = session.store.update_record(&record) {
        session.output.warning(&format!("the failure was not noted: {}", chain(&error)));
    }
}

/// The record, if it is of what is wanted: the failures in it say nothing about asking for something else.
fn same<'a>(present: &'a Present, order: &Order) -> Option<&'a Record> {
    let is_same = |record: &&Record| {
        Order::from_record(record).is_ok_and(|recorded| recorded.wanted() == order.wanted())
    };
    present.record().filter(is_same)
}
