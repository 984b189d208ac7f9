//! `gatecert issue`

use crate::Exit;
use crate::args::Issue;
use crate::error::Failure;
use crate::issuance::{Present, perform};
use crate::output::Output;
use crate::request::Order;
use crate::stop;
use gatecert_acme::Clock;
use gatecert_issue::Plan;
use gatecert_publish::{CertificateFiles, FileStore, Record};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

pub(crate) async fn run(arguments: &Issue, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let order = Order::from_arguments(arguments)?;
    crate::authority::transport(&order.authority)?;
    let store = FileStore::open(&arguments.out.out)?;
    let present = Present::look(&store, &order);
    match (present.plan(&order, arguments.force, None, clock.now()), present.record()) {
        (Plan::UpToDate { look_again_at }, Some(record)) => {
            up_to_date(output, record, &store.files(&order.name), look_again_at);
        }
        (Plan::Issue { reason, .. } | Plan::Wait { reason, .. }, _) => {
            let record = stop::or_stopped(perform(&order, &present, &store, output, &clock)).await?;
            issued(output, &record, &store.files(&order.name), &reason.to_string());
        }
        (Plan::UpToDate { .. }, None) => {}
    }
    Ok(Exit::Done)
}

fn up_to_date(output: &Output, record: &Record, files: &CertificateFiles, look_again_at: Timestamp) {
    let mut value = value(record, files);
    value["status"] = json!("up-to-date");
    value["lookAgainAt"] = json!(look_again_at);
    output.result(&value, || {
        format!(
            "{} is as wanted and valid until {}: nothing to do (--force issues all the same)\n",
            record.name,
            day(record.not_after)
        )
    });
}

fn issued(output: &Output, record: &Record, files: &CertificateFiles, reason: &str) {
    let mut value = value(record, files);
    value["status"] = json!("issued");
    value["reason"] = json!(reason);
    output.result(&value, || text(record, files));
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
        "renewalWindow": record.ari,
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
