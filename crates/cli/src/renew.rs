//! `gatecert renew`

use crate::Exit;
use crate::args::Renew;
use crate::error::Failure;
use crate::issuance::{self, Present};
use crate::issue::day;
use crate::look::{Looked, Patience, look};
use crate::output::Output;
use crate::request::Order;
use crate::session::Session;
use crate::stop::{self, GOES_ON};
use gatecert_acme::Clock;
use gatecert_issue::Plan;
use gatecert_publish::{CertificateName, FileStore, Record, StoreReader};
use serde_json::{Value, json};
use std::sync::Arc;

/// What became of one certificate.
struct Outcome {
    name: CertificateName,
    status: &'static str,
    text: String,
}

pub(crate) async fn run(arguments: &Renew, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let mut outcomes = Vec::new();
    if arguments.dry_run {
        let store = FileStore::open_read_only(&arguments.out.out)?;
        let names = crate::show::chosen(&store, &arguments.names)?;
        outcomes.extend(names.into_iter().map(|name| foresee(&store, name, &*clock)));
    } else {
        // Reading first: a mistyped directory is not made.
        FileStore::open_read_only(&arguments.out.out)?;
        let store = FileStore::open(&arguments.out.out)?;
        let names = crate::show::chosen(&store, &arguments.names)?;
        let session = Session::new(store, output, clock);
        let ended = stop::or_stopped(all(&session, names, &mut outcomes), Some(GOES_ON)).await;
        if let Err(stopped) = ended {
            report_until(output, &outcomes, &stopped)?;
            return Ok(stopped.exit);
        }
    }
    report(output, &outcomes)?;
    Ok(exit(&outcomes))
}

fn report(output: &Output, outcomes: &[Outcome]) -> Result<(), Failure> {
    output.result(&json!({"certificates": values(outcomes)}), || match outcomes {
        [] if !output.is_quiet() => "there are no certificates yet (`gatecert issue` gets one)\n".into(),
        outcomes => lines(outcomes, output.is_quiet()),
    })
}

/// What was done before the run was stopped, in one document with why it was.
fn report_until(output: &Output, outcomes: &[Outcome], stopped: &Failure) -> Result<(), Failure> {
    let value = json!({"certificates": values(outcomes), "error": stopped});
    output.explain("error: ", stopped);
    output.result(&value, || lines(outcomes, output.is_quiet()))
}

fn values(outcomes: &[Outcome]) -> Vec<Value> {
    let value =
        |outcome: &Outcome| json!({"name": outcome.name, "status": outcome.status, "detail": outcome.text});
    outcomes.iter().map(value).collect()
}

/// `is_quiet` is for those who read it only where something happened, as cron's mail is.
fn lines(outcomes: &[Outcome], is_quiet: bool) -> String {
    let is_told = |outcome: &&Outcome| !is_quiet || ["renewed", "due", "failed"].contains(&outcome.status);
    outcomes.iter().filter(is_told).map(|outcome| format!("{}: {}\n", outcome.name, outcome.text)).collect()
}

fn exit(outcomes: &[Outcome]) -> Exit {
    let failed = outcomes.iter().filter(|outcome| outcome.status == "failed").count();
    match failed {
        0 => Exit::Done,
        _ if failed == outcomes.len() => Exit::Failed,
        _ => Exit::Partly,
    }
}

/// What would be done, without asking anybody.
fn foresee(store: &StoreReader, name: CertificateName, clock: &dyn Clock) -> Outcome {
    let (order, record) = match order_of(store, &name) {
        Ok((_, record)) if record.revoked_at.is_some() => return revoked(name),
        Ok(found) => found,
        Err(failure) => return Outcome { name, status: "failed", text: failure.message },
    };
    let failures = issuance::failures_of(&record, &order);
    match Present::look(store, &order).plan(&order, false, failures.as_ref(), clock.now()) {
        Plan::Issue { reason, .. } => {
            Outcome { name, status: "due", text: format!("would be renewed: {reason}") }
        }
        plan => waiting(name, &plan),
    }
}

/// Somebody did not want it any more, so that none is made in its place without being asked for.
fn revoked(name: CertificateName) -> Outcome {
    Outcome { name, status: "revoked", text: "revoked: `gatecert issue` replaces it".into() }
}

fn waiting(name: CertificateName, plan: &Plan) -> Outcome {
    let (status, text) = match plan {
        Plan::Wait { until, why, .. } => {
            ("waiting", format!("{why}: to be tried again after {}", day(*until)))
        }
        Plan::UpToDate { look_again_at } => {
            ("up-to-date", format!("up to date, look again by {}", day(*look_again_at)))
        }
        Plan::Issue { .. } => ("due", String::new()),
    };
    Outcome { name, status, text }
}

fn order_of(store: &StoreReader, name: &CertificateName) -> Result<(Order, Record), Failure> {
    let record =
        store.record(name)?.ok_or_else(|| Failure::usage(format!("there is no certificate `{name}`")))?;
    Ok((Order::from_record(&record)?, record))
}

/// Each outcome is there as soon as it is known: whoever stops the run is told of those before.
async fn all(
    session: &Session,
    names: Vec<CertificateName>,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Failure> {
    for name in names {
        match one(session, &name).await {
            Ok((outcome, renewed)) => {
                outcomes.push(outcome);
                if let Some((order, mut record)) = renewed {
                    issuance::ask_first(session, &order, &mut record).await;
                }
            }
            Err(failure) => {
                session.output.failure_of(name.as_str(), &failure);
                let text = format!("failed: {}", failure.message);
                outcomes.push(Outcome { name, status: "failed", text });
            }
        }
    }
    Ok(())
}

/// What became of a certificate, and the new one, if there is one.
async fn one(
    session: &Session,
    name: &CertificateName,
) -> Result<(Outcome, Option<(Order, Record)>), Failure> {
    let (order, record) = order_of(&session.store, name)?;
    if record.revoked_at.is_some() {
        return Ok((revoked(name.clone()), None));
    }
    match look(session, &order, Patience::Planned(None)).await? {
        Looked::Issued(renewed) => {
            let text = format!("renewed, valid until {}", day(renewed.not_after));
            Ok((Outcome { name: name.clone(), status: "renewed", text }, Some((order, *renewed))))
        }
        Looked::Planned(plan) => Ok((waiting(name.clone(), &plan), None)),
    }
}
