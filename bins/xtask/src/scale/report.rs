//! The figures of a run: as JSON, and as text made from that.

use super::crowd::Times;
use super::requests::Requests;
use super::usage::Usage;
use crate::percentiles;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The figures of Certificates that were issued.
#[allow(clippy::cast_precision_loss, reason = "these counts are far below 2^52")]
pub(super) fn crowd(
    count: usize,
    names: usize,
    times: &Times,
    requests: &Requests,
    usage: &Usage,
    held: &Usage,
) -> Value {
    let seconds = times.ready.last().map_or(f64::NAN, Duration::as_secs_f64);
    let each = |total: f64| rounded(total / count as f64);
    let cpu: Map<_, _> =
        usage.0.iter().map(|(name, used)| ((*name).to_owned(), each(used.cpu * 1000.0).into())).collect();
    json!({
        "certificates": count,
        "names": names,
        "seconds": rounded(seconds),
        "certificatesPerSecond": rounded(count as f64 / seconds),
        "readyMilliseconds": percentiles::milliseconds(&times.waits),
        "cpuMillisecondsEach": cpu,
        "apiWritesEach": each(requests.writes() as f64),
        "apiRequestsEach": each(requests.api.values().sum::<u64>() as f64),
        "apiRequests": requests.api,
        "caRequestsEach": each(requests.ca.values().sum::<u64>() as f64),
        "caRequests": requests.ca,
        "controllerPeakMegabytes": rounded(held.process("controller").peak),
        "controllerHeldMegabytes": rounded(held.process("controller").memory),
    })
}

/// To the third digit behind the point.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The figures for people: a line each, with a line for each member of an object.
pub(super) fn text(figures: &Value) -> String {
    let mut text = String::new();
    for (name, value) in figures.as_object().into_iter().flatten() {
        match value.as_object() {
            // Writing to a String does not fail.
            Some(members) => {
                let _ = writeln!(text, "{}", words(name));
                for (name, value) in members {
                    let _ = writeln!(text, "    {name:32} {value:>10}");
                }
            }
            None => {
                let _ = writeln!(text, "{:36} {value:>10}", words(name));
            }
        }
    }
    text
}

/// `apiWritesEach` as `api writes each`.
fn words(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_uppercase() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
        text
    })
}

/// The figures of Certificates that were valid already.
pub(super) fn published(
    count: usize,
    first: &Value,
    restarted: &Value,
    idle: &BTreeMap<String, u64>,
) -> Value {
    json!({
        "publishedCertificates": count,
        "firstStart": first,
        "secondStart": restarted,
        "idleRequestsInOneMinute": idle,
    })
}
