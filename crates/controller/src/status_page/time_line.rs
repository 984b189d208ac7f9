//! When certificates end and are renewed, as pictures of one bar each: their labels stay text, which a phone can break.

use gatecert_api::CertificateSummary;
use gatecert_api::time_in_words::relative;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// More bars than this are no picture any more.
const MOST_BARS: usize = 50;

/// The width of a bar that reaches to the last end, in the units of its own picture.
const WIDTH: f64 = 1000.0;

/// The bars of those that have a certificate, the first end first; nothing where none has.
pub(super) fn time_line(rows: &[CertificateSummary], now: Timestamp) -> Option<Markup> {
    let mut ends: Vec<_> = rows.iter().filter_map(|row| Some((row.not_after?, row))).collect();
    ends.sort_by_key(|(end, row)| (*end, &row.namespace, &row.name));
    let left_out = ends.len().saturating_sub(MOST_BARS);
    ends.truncate(MOST_BARS);
    let last = ends.last().map(|(end, _)| *end)?;
    let span = last.duration_since(now).max(SignedDuration::from_secs(1));
    Some(html! {
        section aria-labelledby="time-line" {
            h2 id="time-line" { "Time line" }
            p.legend {
                span.key.holds {} " until its renewal "
                span.key.renews {} " until its end"
            }
            div.axis {
                @for quarter in 0..=4 { span { (tick(now, span, quarter)) } }
            }
            ol.bars {
                @for (end, row) in &ends { (line(row, *end, now, span)) }
            }
            @if left_out > 0 { p.note { (left_out) " more end later." } }
        }
    })
}

fn line(row: &CertificateSummary, end: Timestamp, now: Timestamp, span: SignedDuration) -> Markup {
    let place = |time: Timestamp| {
        let part = time.duration_since(now).as_secs_f64() / span.as_secs_f64();
        (part * WIDTH).clamp(0.0, WIDTH)
    };
    let whole = place(end);
    let holds = row.renewal_time.map_or(0.0, place).min(whole);
    let said = match row.renewal_time {
        _ if end <= now => format!("ended {}", relative(end, now)),
        Some(renewal) => {
            format!("renewal {}, end {}", relative(renewal, now), relative(end, now))
        }
        None => format!("end {}", relative(end, now)),
    };
    html! {
        li {
            span.label { (row.namespace) "/" b { (row.name) } }
            span.said { (said) }
            svg viewBox=(format!("0 0 {WIDTH} 10")) preserveAspectRatio="none" role="img" aria-label=(said) {
                rect.track width=(WIDTH) height="10" {}
                @if end > now {
                    rect.renews width=(format!("{whole:.1}")) height="10" {}
                    rect.holds width=(format!("{holds:.1}")) height="10" {}
                } @else {
                    rect.ended width="12" height="10" {}
                }
            }
        }
    }
}

fn tick(now: Timestamp, span: SignedDuration, quarter: i32) -> String {
    if quarter == 0 {
        return "now".to_owned();
    }
    let format = if span < SignedDuration::from_hours(72) { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    (now + span * quarter / 4).strftime(format).to_string()
}
