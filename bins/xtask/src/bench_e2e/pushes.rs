//! What istiod tells of its pushes, by its metrics.

use anyhow::{Context as _, Result};
use gatecert_testkit::cluster::Istiod;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long istiod pushes nothing when it is done: its debounce is 100 ms after the last change.
const QUIET: Duration = Duration::from_secs(2);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long it may take to be done.
const PATIENCE: Duration = Duration::from_secs(60);

/// The metrics that are kept; of histograms the series `_bucket`, `_sum` and `_count` too.
const KEPT: [&str; 4] = [CONVERGENCE, DEBOUNCE, PUSHES, TRIGGERS];
const CONVERGENCE: &str = "pilot_proxy_convergence_time";
const DEBOUNCE: &str = "pilot_debounce_time";
const PUSHES: &str = "pilot_xds_pushes";
const TRIGGERS: &str = "pilot_push_triggers";

/// istiod's metrics at one moment, or what they grew by: values by metric with its labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// As they are when istiod has nothing more to push.
    pub(super) async fn when_quiet(istiod: &Istiod) -> Result<Self> {
        let quiet = async {
            let (mut last, mut same) = (Self::parse(&istiod.metrics().await?), Duration::ZERO);
            while same < QUIET {
                tokio::time::sleep(INTERVAL).await;
                let now = Self::parse(&istiod.metrics().await?);
                same = if now == last { same + INTERVAL } else { Duration::ZERO };
                last = now;
            }
            Ok::<_, anyhow::Error>(last)
        };
        tokio::time::timeout(PATIENCE, quiet).await.context("istiod does not stop to push")?
    }

    fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| KEPT.iter().any(|name| line.starts_with(name)));
        let values = series.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// What they grew by.
    pub(super) fn since(mut self, before: &Self) -> Self {
        for (series, value) in &mut self.0 {
            *value -= before.0.get(series).copied().unwrap_or_default();
        }
        self
    }

    /// The figures of what happened.
    pub(super) fn figures(&self) -> Value {
        json!({
            "convergenceSeconds": self.histogram(CONVERGENCE),
            "debounceSeconds": self.histogram(DEBOUNCE),
            "pushes": self.by_type(PUSHES),
            "triggers": self.by_type(TRIGGERS),
        })
    }

    /// The values of a counter by its label `type`.
    fn by_type(&self, metric: &str) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        for (series, value) in self.of(metric).filter(|(_, value)| **value > 0.0) {
            *values.entry(label(series, "type").unwrap_or_default().to_owned()).or_default() += value;
        }
        values
    }

    fn histogram(&self, metric: &str) -> Value {
        let sum = |suffix: &str| self.of(&format!("{metric}_{suffix}")).map(|(_, value)| value).sum::<f64>();
        let (sum, count) = (sum("sum"), sum("count"));
        let mut upto: BTreeMap<String, f64> = BTreeMap::new();
        for (series, value) in self.of(&format!("{metric}_bucket")) {
            *upto.entry(label(series, "le").unwrap_or_default().to_owned()).or_default() += value;
        }
        let mean = if count > 0.0 { thousandth(sum / count) } else { f64::NAN };
        json!({"count": count, "mean": mean, "upTo": shares(&upto, count)})
    }

    fn of(&self, metric: &str) -> impl Iterator<Item = (&String, &f64)> {
        let is_of = move |series: &str| {
            series.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.0.iter().filter(move |(series, _)| is_of(series))
    }
}

/// Which share of all took no longer than each bound, in the order of the bounds, up to the one that holds all.
fn shares(upto: &BTreeMap<String, f64>, count: f64) -> Value {
    let mut bounds: Vec<_> =
        upto.iter().filter_map(|(bound, value)| Some((bound.parse::<f64>().ok()?, bound, value))).collect();
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole = bounds.iter().position(|(_, _, value)| **value >= count).map_or(bounds.len(), |at| at + 1);
    bounds
        .iter()
        .take(whole)
        .map(|(_, bound, value)| ((*bound).clone(), thousandth(*value / count)))
        .collect()
}

fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    let labels = series.split_once('{')?.1;
    let value = labels.split([',', '}']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}

fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# TYPE pilot_proxy_convergence_time histogram
pilot_proxy_convergence_time_bucket{le=\"0.1\"} 1
pilot_proxy_convergence_time_bucket{le=\"0.5\"} 1
pilot_proxy_convergence_time_bucket{le=\"+Inf\"} 1
pilot_proxy_convergence_time_sum 0.05
pilot_proxy_convergence_time_count 1
pilot_xds_pushes{type=\"lds\"} 3
pilot_xds_push_time_sum{type=\"lds\"} 9
";

    const AFTER: &str = "pilot_proxy_convergence_time_bucket{le=\"0.1\"} 4
pilot_proxy_convergence_time_bucket{le=\"0.5\"} 5
pilot_proxy_convergence_time_bucket{le=\"+Inf\"} 5
pilot_proxy_convergence_time_sum 0.85
pilot_proxy_convergence_time_count 5
pilot_xds_pushes{type=\"lds\"} 7
pilot_xds_pushes{type=\"cds\"} 2
";

    #[test]
    fn what_happened_between_two_moments() {
        let figures = Metrics::parse(AFTER).since(&Metrics::parse(BEFORE)).figures();
        assert_eq!(
            figures["convergenceSeconds"],
            json!({"count": 4.0, "mean": 0.2, "upTo": {"0.1": 0.75, "0.5": 1.0}})
        );
        assert_eq!(figures["pushes"], json!({"cds": 2.0, "lds": 4.0}));
        assert_eq!(figures["debounceSeconds"]["count"], 0.0);
    }
}
