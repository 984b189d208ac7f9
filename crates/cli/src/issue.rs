//! `gatecert issue`

use crate::Exit;
use crate::args::Issue;
use crate::error::Failure;
use crate::issuance::{Present, ask_first, perform};
use crate::output::Output;
use crate::request::Order;
use crate::session::Session;
use crate::stop::{self, GOES_ON};
use gatecert_acme::Clock;
use gatecert_issue::Plan;
use gatecert_publish::{CertificateFiles, FileStore, Record, RenewalWindow};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

pub(crate) async fn run(arguments: &Issue, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let order = Order::from_arguments(arguments)?;
    crate::authority::transport(&order.authority)?;
    let session = Session::new(FileStore::open(&arguments.out.out)?, output, clock);
    let present = Present::look(&session.store, &order);
    let files = session.store.files(&order.name);
    match (present.plan(&order, arguments.force, None, session.clock.now()), present.record()) {
        (Plan::UpToDate { look_again_at }, Some(record)) => {
            let record = with_options(&session, &order, record.clone())?;
            up_to_date(output, &record, &files, look_again_at)?;
        }
        (Plan::Issue { reason, .. } | Plan::Wait { reason, .. }, before) => {
            if before.is_some() {
                session.output.note(&format!("{}: {reason}", order.name));
            }
            same_elsewhere(&session, &order);
            let mut record = stop::or_stopped(perform(&session, &order, &present), Some(GOES_ON)).await?;
            let asked = async {
                ask_first(&session, &order, &mut record).await;
                Ok(())
            };
            // Whoever stops it here has the certificate all the same.
            let _ = stop::or_stopped(asked, None).await;
            issued(output, &record, &files, &reason.to_string())?;
        }
        (Plan::UpToDate { .. }, None) => {}
    }
    Ok(Exit::Done)
}

/// CAs count certificates by their sets of names, whatever those are called here.
fn same_elsewhere(session: &Session, order: &Order) {
    // One that can not be read is told of by `gatecert list`.
    let others = session.store.list().unwrap_or_default();
    let names: BTreeSet<_> = order.identifiers.iter().map(ToString::to_string).collect();
    let same = others.iter().filter(|one| one.name != order.name).find(|one| {
        let is_same = |record: &Record| {
            record.server == order.authority.server
                && record.identifiers.iter().cloned().collect::<BTreeSet<_>>() == names
        };
        one.record.as_ref().is_ok_and(is_same)
    });
    if let Some(same) = same {
        session.output.warning(&format!(
            "certificate `{}` has the same names, and CAs count both together: the first -d names the one that is meant",
            same.name
        ));
    }
}

/// The options of this run are those of the next renewals too, although the certificate itself stays.
fn with_options(session: &Session, order: &Order, mut record: Record) -> Result<Record, Failure> {
    if record.renewal != order.renewal_options() {
        record.renewal = order.renewal_options();
        session.store.update_record(&record)?;
        session.output.note("renewals will use the options of this run");
    }
    Ok(record)
}

fn up_to_date(
    output: &Output,
    record: &Record,
    files: &CertificateFiles,
    look_again_at: Timestamp,
) -> Result<(), Failure> {
    let mut value = value(record, files);
    value["status"] = json!("up-to-date");
    value["lookAgainAt"] = json!(look_again_at);
    output.result(&value, || {
        format!(
            "{} is as wanted and valid until {}: nothing to do (--force issues all the same)\n",
            record.name,
            day(record.not_after)
        )
    })
}

fn issued(output: &Output, record: &Record, files: &CertificateFiles, reason: &str) -> Result<(), Failure> {
    let mut value = value(record, files);
    value["status"] = json!("issued");
    value["reason"] = json!(reason);
    output.result(&value, || text(record, files))
}

fn text(record: &Record, files: &CertificateFiles) -> String {
    let mut text = String::new();
    let more = match record.identifiers.len() {
        1 => String::new(),
        count => format!(" with {count} names"),
    };
    // Writing to a text does not fail.
    let _ = writeln!(text, "issued {}{more}, valid until {}", record.name, day(record.not_after));
    let _ = writeln!(text, "  certificate  {}", files.certificate.display());
    let _ = writeln!(text, "  key          {}", files.key.display());
    let _ = writeln!(text, "  for Envoy    {}", files.sds.display());
    text
}

/// When the CA wants it renewed (RFC 9773), for programs.
fn window(ari: &RenewalWindow) -> Value {
    json!({
        "certificateId": ari.certificate_id,
        "start": ari.start,
        "end": ari.end,
        "selected": ari.selected,
        "fetchedAt": ari.fetched_at,
        "askAgainAt": ari.ask_again_at,
        "explanationUrl": ari.explanation_url,
    })
}

/// A record for programs, with the paths of its files.
pub(crate) fn value(record: &Record, files: &CertificateFiles) -> Value {
    json!({
        "name": record.name,
        "identifiers": record.identifiers,
        "server": record.server,
        "profile": record.profile,
        "keyType": record.key_type,
        "issuer": record.issuer,
        "serial": record.serial,
        "notBefore": record.not_before,
        "notAfter": record.not_after,
        "issuedAt": record.issued_at,
        "revokedAt": record.revoked_at,
        "certificateId": record.certificate_id,
        "renewalWindow": record.ari.as_ref().map(window),
        "failures": record.failures,
        "account": record.account_url,
        "order": record.order_url,
        "files": {
            "certificate": files.certificate,
            "key": files.key,
            "chain": files.chain,
            "record": files.record,
            "sds": files.sds,
        },
    })
}

/// A time to the minute, in UTC.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
