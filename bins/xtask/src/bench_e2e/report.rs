//! The figures as text, made from their JSON.

use crate::percentiles::text as times;
use serde_json::Value;
use std::fmt::Write as _;

/// How long istiod took from a change to the proxies that have it, as a multiple of the same by hand: the mean debounce,
/// and the mean convergence behind it.
pub(super) fn push_time_ratio(at_once: &Value) -> f64 {
    let time = |run: &str| {
        let mean = |metric: &str| at_once[run][metric]["mean"].as_f64().unwrap_or(f64::NAN);
        mean("debounceSeconds") + mean("convergenceSeconds")
    };
    (time("istiod") / time("istiodByHand") * 100.0).round() / 100.0
}

/// The figures for people. Writing to a String does not fail.
pub(super) fn text(figures: &Value) -> String {
    let mut text = String::new();
    for (name, what) in [
        ("appliedToServedMs", "from `apply` to served"),
        ("renewalAskedToServedMs", "from `gatecert.dev/renew: now` to served"),
    ] {
        if figures[name]["count"].as_u64().is_some_and(|count| count > 0) {
            let _ = writeln!(text, "{what:44} {}", times(&figures[name]));
        }
    }
    for run in figures["atOnce"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "\n{} hosts annotated at once, all served after {} ms",
            run["hosts"], run["allServedMs"]
        );
        let _ = writeln!(text, "{:44} {}", "  from annotation to served", times(&run["annotatedToServedMs"]));
        for (name, what) in [("istiod", "  istiod meanwhile"), ("istiodByHand", "  istiod, routes by hand")] {
            pushes(&mut text, what, &run[name]);
        }
        let _ = writeln!(text, "{:44} {}", "  debounce and convergence, times by hand", run["pushTimeRatio"]);
    }
    text
}

fn pushes(text: &mut String, what: &str, istiod: &Value) {
    let _ = writeln!(text, "{what}");
    for (name, what) in [("convergenceSeconds", "    convergence"), ("debounceSeconds", "    debounce")] {
        let Value::Object(histogram) = &istiod[name] else { continue };
        let [count, mean, up_to] = ["count", "mean", "upTo"].map(|key| &histogram[key]);
        let _ = writeln!(text, "{what:44} {count} in all, mean {mean} s, up to {}", counts(up_to));
    }
    for (name, what) in [("pushes", "    pushes"), ("triggers", "    triggers")] {
        let _ = writeln!(text, "{what:44} {}", counts(&istiod[name]));
    }
}

fn counts(counts: &Value) -> String {
    let each = counts.as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}"));
    each.collect::<Vec<_>>().join(", ")
}
