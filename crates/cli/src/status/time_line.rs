//! When certificates end and are renewed, as bars.

use super::view::{View, cut, tick};
use gatecert_api::CertificateSummary;
use gatecert_api::time_in_words::relative;
use jiff::{SignedDuration, Timestamp};

/// More bars than this are no picture any more.
const MOST_BARS: usize = 40;

/// The longest label, in characters.
const LONGEST_LABEL: usize = 36;

/// What a bar consists of.
struct Marks {
    holds: char,
    renews: char,
}

const PLAIN: Marks = Marks { holds: '#', renews: '=' };
const UNICODE: Marks = Marks { holds: '█', renews: '░' };

/// From now to the last of the ends.
struct Scale {
    now: Timestamp,
    span: SignedDuration,
    width: usize,
}

/// The bars of those that have a certificate, the first end first; nothing where none has.
pub(super) fn text(summaries: &[&CertificateSummary], view: &View, now: Timestamp) -> String {
    let mut ends: Vec<_> =
        summaries.iter().filter_map(|summary| Some((summary.not_after?, *summary))).collect();
    ends.sort_by_key(|(end, summary)| (*end, &summary.namespace, &summary.name));
    let left_out = ends.len().saturating_sub(MOST_BARS);
    ends.truncate(MOST_BARS);
    let Some(last) = ends.last().map(|(end, _)| *end) else { return String::new() };

    let labels: Vec<_> = ends.iter().map(|(_, summary)| label(summary, view)).collect();
    let label_width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    let scale = Scale::new(now, last, view.width.saturating_sub(label_width + 2));
    let marks = if view.has_unicode { UNICODE } else { PLAIN };
    let mut lines = vec![
        format!("Time line: {} until its renewal, {} until its end", marks.holds, marks.renews),
        format!("{:label_width$}  {}", "", scale.axis()),
    ];
    for ((end, summary), label) in ends.iter().zip(labels) {
        let bar = scale.bar(*end, summary.renewal_time, &marks);
        lines.push(format!("{label:label_width$}  {bar}"));
    }
    if left_out > 0 {
        lines.push(format!("{left_out} more end later"));
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn label(summary: &CertificateSummary, view: &View) -> String {
    let longest = if view.is_wide { usize::MAX } else { LONGEST_LABEL.min(view.width / 2) };
    cut(&format!("{}/{}", summary.namespace, summary.name), longest)
}

impl Scale {
    fn new(now: Timestamp, last: Timestamp, width: usize) -> Self {
        // Where all have ended there is no span to divide by.
        Self { now, span: last.duration_since(now).max(SignedDuration::from_secs(1)), width: width.max(1) }
    }

    /// How many columns there are before a time: one at least where it is to come.
    fn columns(&self, time: Timestamp) -> usize {
        let part = time.duration_since(self.now).as_secs_f64() / self.span.as_secs_f64();
        // Rounded up and cut to the width, which fits.
        (part * self.width as f64).ceil().clamp(0.0, self.width as f64) as usize
    }

    fn bar(&self, end: Timestamp, renewal: Option<Timestamp>, marks: &Marks) -> String {
        if end <= self.now {
            return format!("x ended {}", relative(end, self.now));
        }
        let (whole, holds) = (self.columns(end), renewal.map_or(0, |renewal| self.columns(renewal)));
        let holds = holds.min(whole);
        let parts = [(marks.holds, holds), (marks.renews, whole - holds)];
        parts.iter().flat_map(|(mark, count)| std::iter::repeat_n(*mark, *count)).collect()
    }

    /// Times at the begin, in between and at the end, as many as there is room for.
    fn axis(&self) -> String {
        let last = tick(self.now + self.span, self.span);
        let mut line = "now".to_owned();
        for quarter in 1..4 {
            let at = self.width * quarter / 4;
            let text = tick(self.now + self.span * i32::try_from(quarter).unwrap_or(1) / 4, self.span);
            let has_room = at >= line.len() + 2 && at + text.len() + 2 + last.len() <= self.width;
            if has_room {
                line = format!("{line:at$}{text}");
            }
        }
        match self.width.checked_sub(last.len()).filter(|at| *at >= line.len() + 2) {
            Some(at) => format!("{line:at$}{last}"),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_api::Certificate;
    use serde_json::json;

    fn summary(name: &str, renewal: Option<&str>, end: Option<&str>) -> CertificateSummary {
        let certificate: Certificate = serde_json::from_value(json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"secretName": name, "dnsNames": ["a.test"], "issuerRef": {"name": "le"}},
            "status": {"notAfter": end, "renewalTime": renewal},
        }))
        .unwrap();
        CertificateSummary::of(&certificate, 1)
    }

    fn drawn(summaries: &[CertificateSummary], width: usize, has_unicode: bool) -> String {
        let all: Vec<_> = summaries.iter().collect();
        let view = View { width, has_unicode, has_color: false, is_wide: false };
        text(&all, &view, "2026-11-01T00:00:00Z".parse().unwrap())
    }

    fn some() -> [CertificateSummary; 4] {
        [
            summary("www", Some("2026-12-11T00:00:00Z"), Some("2026-12-31T00:00:00Z")),
            summary("gone", Some("2026-10-11T00:00:00Z"), Some("2026-10-29T00:00:00Z")),
            summary("none", None, None),
            summary("short", Some("2026-11-04T00:00:00Z"), Some("2026-11-07T00:00:00Z")),
        ]
    }

    #[test]
    fn bars_reach_to_renewal_and_end() {
        let expected = "\
Time line: # until its renewal, = until its end
            now            2026-11-16     2026-12-01          2026-12-31
shop/gone   x ended 3 d ago
shop/short  ###===
shop/www    ########################################====================
";
        assert_eq!(drawn(&some(), 72, false), expected);
    }

    #[test]
    fn a_terminal_with_unicode_gets_blocks_and_none_is_too_wide() {
        for width in [40, 41, 57, 80, 200] {
            let text = drawn(&some(), width, true);
            assert!(text.contains('█') && text.contains('░') && !text.contains('#'), "{text}");
            let widest = text.lines().skip(1).map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} > {width}: {text}");
        }
    }

    #[test]
    fn a_crowd_is_cut_with_a_word() {
        let crowd: Vec<_> =
            (0..50).map(|i| summary(&format!("c{i}"), None, Some("2026-12-31T00:00:00Z"))).collect();
        let text = drawn(&crowd, 80, false);
        assert!(text.ends_with("10 more end later\n") && text.lines().count() == 2 + 40 + 1, "{text}");
        assert_eq!(drawn(&[summary("none", None, None)], 80, false), "");
    }
}
