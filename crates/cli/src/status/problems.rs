//! What is in the way of Certificates, and what to do.

use crate::issue::day;
use gatecert_api::time_in_words::relative;
use gatecert_api::{CertificateSummary, Health};
use jiff::Timestamp;
use std::fmt::Write as _;

/// More than this nobody reads; the causes repeat themselves.
const MOST: usize = 40;

/// The problems, the worst first; nothing where there are none.
pub(super) fn text(summaries: &[&CertificateSummary], now: Timestamp) -> String {
    let mut all: Vec<_> =
        summaries.iter().map(|summary| (summary.health(now), *summary)).filter(is_worth_a_word).collect();
    all.sort_by_key(|(health, _)| *health);
    if all.is_empty() {
        return String::new();
    }
    let mut text = "What is in the way:\n".to_owned();
    for (_, summary) in all.iter().take(MOST) {
        problem(&mut text, summary, now);
    }
    if all.len() > MOST {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  and {} more: `-o json` has them all", all.len() - MOST);
    }
    text
}

/// One that is being issued for the first time is no problem yet.
fn is_worth_a_word((health, summary): &(Health, &CertificateSummary)) -> bool {
    summary.last_error.is_some() || (*health != Health::Ready && summary.step.is_none())
}

fn problem(text: &mut String, summary: &CertificateSummary, now: Timestamp) {
    let (what, hint) = match &summary.last_error {
        Some(error) => (format!("{}: {}", error.kind, error.message), error.hint.as_deref()),
        None if !summary.reason.is_empty() => (format!("{}: {}", summary.reason, summary.message), None),
        None => overdue(summary, now),
    };
    let mut line = |begin: &str, said: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {begin}{said}");
    };
    line("", &format!("{}/{}: {what}", summary.namespace, summary.name));
    if let Some(hint) = hint {
        line("  hint: ", hint);
    }
    if let (count @ 1.., Some(next)) = (summary.failed_attempts, summary.next_attempt_time) {
        let attempts = if count == 1 { "attempt" } else { "attempts" };
        let next =
            if next <= now { "now".to_owned() } else { format!("{} ({})", relative(next, now), day(next)) };
        line("  ", &format!("{count} {attempts} failed, the next is made {next}"));
    }
}

/// Nothing is said to be in the way, and yet it is not as it should be.
fn overdue(summary: &CertificateSummary, now: Timestamp) -> (String, Option<&'static str>) {
    let hint = Some(
        "does a controller run? `kubectl -n gatecert-system logs deployment/gatecert` tells what it does",
    );
    let ago = |time: Option<Timestamp>| time.map(|time| relative(time, now)).unwrap_or_default();
    let why = summary.why(now);
    match summary.not_after {
        Some(end) if end <= now => (format!("{why}: it ended {}", ago(Some(end))), hint),
        _ => (format!("{why}: its renewal was due {}", ago(summary.renewal_time)), hint),
    }
}
