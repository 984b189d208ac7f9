//! The table of Certificates.

use super::view::{View, cut};
use crate::issue::day;
use comfy_table::{Cell, Color, Table, presets};
use gatecert_api::time_in_words::{distance, relative};
use gatecert_api::{CertificateSummary, Health};
use jiff::Timestamp;

/// The longest cell of a table that is not wide, in characters.
const LONGEST: usize = 40;

pub(super) fn text(summaries: &[&CertificateSummary], view: &View, now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // Whether this is a terminal was found out already.
    table.force_no_tty();
    if view.has_color {
        table.enforce_styling();
    }
    let mut header = vec!["NAMESPACE", "NAME", "READY", "NAMES", "ISSUER", "NOT AFTER", "RENEWAL", "WHY"];
    if view.is_wide {
        header.push("SECRET");
    }
    table.set_header(header);
    for summary in summaries {
        table.add_row(row(summary, view, now));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn row(summary: &CertificateSummary, view: &View, now: Timestamp) -> Vec<Cell> {
    let time = |time: Option<Timestamp>, is_long: bool| match time {
        None => "-".to_owned(),
        Some(time) if view.is_wide => day(time),
        Some(time) if is_long => format!("{} {}", time.strftime("%Y-%m-%d"), relative(time, now)),
        Some(time) => relative(time, now),
    };
    let plain = |text: &str| Cell::new(if view.is_wide { text.to_owned() } else { cut(text, LONGEST) });
    let mut cells = vec![
        plain(&summary.namespace),
        plain(&summary.name),
        ready(summary.health(now)),
        plain(&names(summary, view.is_wide)),
        plain(&summary.issuer.name),
        Cell::new(time(summary.not_after, true)),
        Cell::new(time(summary.renewal_time, false)),
        plain(&why(summary, now)),
    ];
    if view.is_wide {
        cells.push(plain(&format!("{}/{}", summary.secret_namespace, summary.secret_name)));
    }
    cells
}

fn ready(health: Health) -> Cell {
    match health {
        Health::Ready => Cell::new("yes").fg(Color::Green),
        Health::Late => Cell::new("late").fg(Color::Yellow),
        _ => Cell::new("no").fg(Color::Red),
    }
}

/// The names: in short the first one, and how many there are beside it.
fn names(summary: &CertificateSummary, is_wide: bool) -> String {
    match (summary.names.first(), summary.name_count) {
        _ if is_wide => summary.names.join(","),
        (None, _) => "-".to_owned(),
        (Some(first), 0 | 1) => first.clone(),
        (Some(first), count) => format!("{} +{}", cut(first, LONGEST - 5), count - 1),
    }
}

/// The step of an issuance, or what is in the way.
fn why(summary: &CertificateSummary, now: Timestamp) -> String {
    match (&summary.step, summary.step_since) {
        (Some(step), Some(since)) => format!("{step} for {}", distance(since, now)),
        _ => Some(summary.why(now)).filter(|why| !why.is_empty()).unwrap_or("-").to_owned(),
    }
}
