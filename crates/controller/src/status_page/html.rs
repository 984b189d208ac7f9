//! The page for people.

use super::time_line::time_line;
use crate::metrics::AccountLimits;
use crate::overview::Tally;
use gatecert_api::time_in_words::relative;
use gatecert_api::{CertificateSummary, Health};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

/// How many Certificates the page has.
pub(super) const MOST: usize = 200;

/// How many errors it has, and issuances under way: the causes repeat themselves.
const MOST_ERRORS: usize = 50;

/// After how many seconds a browser looks again.
const REFRESH: u32 = 30;

/// What a page shows.
pub(super) struct Seen<'a> {
    pub(super) identity: &'a str,
    pub(super) leads: bool,
    pub(super) now: Timestamp,
    pub(super) tally: Tally,
    /// The worst first.
    pub(super) rows: &'a [CertificateSummary],
    pub(super) left_out: usize,
    /// Known to whoever leads.
    pub(super) limits: Option<Vec<AccountLimits>>,
}

pub(super) fn page(seen: &Seen<'_>) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH);
                title { "gatecert" }
                link rel="stylesheet" href="status.css";
            }
            body {
                header {
                    h1 { "gatecert" }
                    p {
                        (seen.identity) @if seen.leads { ", which leads" } @else { ", which does not lead" }
                        " · " time datetime=(seen.now) { (day(seen.now)) }
                    }
                }
                main {
                    (tiles(&seen.tally))
                    (in_flight(seen))
                    (problems(seen))
                    @if let Some(time_line) = time_line(seen.rows, seen.now) { (time_line) }
                    (certificates(seen))
                    (limits(seen))
                }
                footer { p { "The same for programs: " a href="status.json" { "status.json" } ", " a href="metrics" { "metrics" } "." } }
            }
        }
    };
    markup.into_string()
}

fn tiles(tally: &Tally) -> Markup {
    let tile = |count: usize, word: &str, class: &str| {
        let class = if count == 0 { "zero" } else { class };
        html! { li class=(class) { b { (count) } " " (word) } }
    };
    html! {
        ul.tiles {
            (tile(tally.ready, "ready", "ready"))
            (tile(tally.late, "late", "late"))
            (tile(tally.not_ready, "not ready", "not-ready"))
            (tile(tally.issuing, "being issued", "issuing"))
        }
    }
}

/// What is being issued.
fn in_flight(seen: &Seen<'_>) -> Markup {
    let all: Vec<_> = seen.rows.iter().filter(|row| row.step.is_some()).collect();
    html! {
        @if !all.is_empty() {
            section aria-labelledby="in-flight" {
                h2 id="in-flight" { "Being issued" }
                ul.plain {
                    @for row in all.iter().take(MOST_ERRORS) {
                        li {
                            (name(row)) ": " (row.step.as_deref().unwrap_or_default())
                            @if let Some(since) = row.step_since { ", begun " (relative(since, seen.now)) }
                            @if !row.message.is_empty() { ", " (row.message) }
                        }
                    }
                }
                (more(all.len()))
            }
        }
    }
}

/// Why others are not, and what to do.
fn problems(seen: &Seen<'_>) -> Markup {
    let is_one = |row: &&CertificateSummary| {
        row.last_error.is_some() || (row.health(seen.now) != Health::Ready && row.step.is_none())
    };
    let all: Vec<_> = seen.rows.iter().filter(is_one).collect();
    html! {
        @if !all.is_empty() {
            section aria-labelledby="problems" {
                h2 id="problems" { "In the way" }
                ul.problems {
                    @for row in all.iter().take(MOST_ERRORS) { (problem(row, seen.now)) }
                }
                (more(all.len()))
            }
        }
    }
}

fn problem(row: &CertificateSummary, now: Timestamp) -> Markup {
    let (message, hint) = match &row.last_error {
        Some(error) => (error.message.clone(), error.hint.as_deref()),
        None if !row.reason.is_empty() => (row.message.clone(), None),
        None => (passed(row, now), None),
    };
    let kind = row.last_error.as_ref().map_or_else(|| row.why(now), |error| error.kind.as_str());
    html! {
        li class=(class(row.health(now))) {
            p { (name(row)) " " code { (kind) } }
            p { (message) }
            @if let Some(hint) = hint { p.hint { "To do: " (hint) } }
            @if row.failed_attempts > 0 {
                p.note {
                    (row.failed_attempts) @if row.failed_attempts == 1 { " attempt" } @else { " attempts" } " failed"
                    @if let Some(next) = row.next_attempt_time { ", the next is made " (relative(next, now)) }
                    "."
                }
            }
        }
    }
}

/// Nothing is said to be in the way, and yet a time has passed.
fn passed(row: &CertificateSummary, now: Timestamp) -> String {
    match (row.not_after, row.renewal_time) {
        (Some(end), _) if end <= now => {
            format!("it ended {}, and nothing is said to be in the way", relative(end, now))
        }
        (_, Some(renewal)) => {
            format!("its renewal was due {}, and nothing is said to be in the way", relative(renewal, now))
        }
        _ => "nothing is said to be in the way".to_owned(),
    }
}

fn more(count: usize) -> Markup {
    html! { @if count > MOST_ERRORS { p.note { (count - MOST_ERRORS) " more." } } }
}

fn certificates(seen: &Seen<'_>) -> Markup {
    html! {
        section aria-labelledby="certificates" {
            h2 id="certificates" { "Certificates" }
            @if seen.rows.is_empty() {
                p { "There are none yet." }
            } @else {
                div.wide {
                    table {
                        thead {
                            tr {
                                @for title in ["Certificate", "State", "Names", "Issuer", "Not after", "Renewal"] {
                                    th scope="col" { (title) }
                                }
                            }
                        }
                        tbody { @for row in seen.rows { (certificate(row, seen.now)) } }
                    }
                }
                @if seen.left_out > 0 {
                    p.note { (seen.left_out) " more are not shown: they are in order, or end later. "
                        code { "gatecert status -A" } " shows all." }
                }
            }
        }
    }
}

fn certificate(row: &CertificateSummary, now: Timestamp) -> Markup {
    let health = row.health(now);
    let time = |time: Option<Timestamp>| {
        html! { @if let Some(time) = time { time datetime=(time) title=(day(time)) { (relative(time, now)) } } @else { "–" } }
    };
    html! {
        tr {
            th scope="row" data-title="Certificate" { (name(row)) }
            td data-title="State" {
                span {
                    span class=(format!("state {}", class(health))) { (word(health)) }
                    " " (row.step.as_deref().unwrap_or_else(|| row.why(now)))
                }
            }
            td data-title="Names" {
                (row.names.first().map(String::as_str).unwrap_or_default())
                @if row.name_count > 1 { " +" (row.name_count - 1) }
            }
            td data-title="Issuer" { (row.issuer.name) }
            td data-title="Not after" { (time(row.not_after)) }
            td data-title="Renewal" { (time(row.renewal_time)) }
        }
    }
}

fn limits(seen: &Seen<'_>) -> Markup {
    html! {
        section aria-labelledby="limits" {
            h2 id="limits" { "Limits of the CAs" }
            @match &seen.limits {
                None => p { "The replica that leads knows what is left of them." },
                Some(limits) if limits.is_empty() => p { "Nothing has been ordered since this replica leads." },
                Some(limits) => ul.plain {
                    @for account in limits {
                        li {
                            (account.account) ":"
                            @if account.new_orders.is_none() && account.certificates_per_domain.is_none() {
                                " no limits are known"
                            }
                            @if let Some(left) = account.new_orders { " " b { (left) } " new orders left" }
                            @if let Some(left) = account.certificates_per_domain {
                                ", " b { (left) } " certificates for the domain with the fewest"
                            }
                            @if account.waiting > 0 { ", " b { (account.waiting) } " wait for their turn" }
                        }
                    }
                },
            }
        }
    }
}

fn name(row: &CertificateSummary) -> Markup {
    html! { span.name { (row.namespace) "/" b { (row.name) } } }
}

fn class(health: Health) -> &'static str {
    match health {
        Health::Ready => "ready",
        Health::Late => "late",
        _ => "not-ready",
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Ready => "ready",
        Health::Late => "late",
        _ => "not ready",
    }
}

fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
