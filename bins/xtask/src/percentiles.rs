//! Percentiles of times.

use serde_json::{Value, json};
use std::time::Duration;

/// The 50th, 95th and 99th percentile of times, their least and most, in milliseconds, and how many there are.
pub(crate) fn milliseconds(times: &[Duration]) -> Value {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |percent| percentile(&times, percent).map(|time| time.as_secs_f64() * 1000.0).map(tenth);
    json!({"count": times.len(), "min": at(0), "p50": at(50), "p95": at(95), "p99": at(99), "max": at(100)})
}

/// The same for people.
pub(crate) fn text(times: &Value) -> String {
    let at = |name: &str| &times[name];
    format!(
        "p50 {} ms, p95 {} ms, p99 {} ms ({} to {} ms, {} in all)",
        at("p50"),
        at("p95"),
        at("p99"),
        at("min"),
        at("max"),
        at("count")
    )
}

/// By the nearest rank, of sorted times.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied()
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The middle value; of an even count, the upper one of the two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank() {
        let times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(
            milliseconds(&times),
            json!({"count": 200, "min": 1.0, "p50": 100.0, "p95": 190.0, "p99": 198.0, "max": 200.0})
        );
        assert_eq!(milliseconds(&times[..1])["p99"], 200.0);
        assert!(milliseconds(&[])["p50"].is_null());
    }

    #[test]
    fn the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
