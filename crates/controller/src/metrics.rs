//! What is counted.

mod certificates;

use crate::budget::Budgets;
use crate::overview::Overview;
use certificates::CertificateCollector;
use gatecert_issue::budget::OrderKind;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The bounds of an issuance's time, in seconds: a second where routes are quick, ten minutes where an order is waited for.
const DURATIONS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// The counters and gauges, all under `gatecert_`.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    issuances: Family<[(&'static str, String); 1], Counter>,
    failures: Family<[(&'static str, String); 1], Counter>,
    orders: Family<[(&'static str, String); 1], Counter>,
    durations: Histogram,
    in_flight: Gauge,
    requests: Family<[(&'static str, String); 3], Counter>,
    leader: Gauge,
    panics: Counter,
    rate_limit_remaining: Family<[(&'static str, String); 2], Gauge>,
    rate_limit_waiting: Family<[(&'static str, String); 1], Gauge>,
    budgets: Mutex<Weak<Budgets>>,
}

/// What is left of the limits of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountLimits {
    pub(crate) account: String,
    pub(crate) new_orders: Option<u32>,
    pub(crate) certificates_per_domain: Option<u32>,
    pub(crate) waiting: usize,
}

/// Counts one issuance as under way until it is dropped.
pub(crate) struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Registers a metric.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// All of them, with what is known of Certificates.
    pub(crate) fn new(overview: Arc<Overview>) -> Arc<Self> {
        let mut registry = Registry::with_prefix("gatecert");
        registry.register_collector(Box::new(CertificateCollector(overview)));
        let of = &mut registry;
        let metrics = Self {
            issuances: registered(of, "issuances", "Issuances by outcome", Family::default()),
            failures: registered(
                of,
                "issuance_failures",
                "Issuances that failed, by kind",
                Family::default(),
            ),
            orders: registered(
                of,
                "orders",
                "Orders that were made, by what they are to the CA's limits",
                Family::default(),
            ),
            durations: registered(
                of,
                "issuance_duration_seconds",
                "How long issuances took from the order to the published Secret, or to their failure",
                Histogram::new(DURATIONS),
            ),
            in_flight: registered(
                of,
                "issuances_in_flight",
                "Issuances that are under way",
                Gauge::default(),
            ),
            requests: registered(
                of,
                "acme_requests",
                "Requests to CAs by resource and HTTP status; none is a request without an answer",
                Family::default(),
            ),
            leader: registered(of, "leader", "1 while this replica leads", Gauge::default()),
            panics: registered(of, "panics", "Looks at an object that panicked", Counter::default()),
            rate_limit_remaining: registered(
                of,
                "rate_limit_remaining",
                "What can be ordered now before a limit of the CA is reached; of domains, the one that is the worst off",
                Family::default(),
            ),
            rate_limit_waiting: registered(
                of,
                "rate_limit_waiting",
                "Certificates that wait for their turn within the limits of the CA",
                Family::default(),
            ),
            budgets: Mutex::default(),
            registry,
        };
        Arc::new(metrics)
    }

    /// Counts one issuance.
    pub(crate) fn issued(&self, outcome: &str, took: Duration) {
        self.issuances.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts why one failed.
    pub(crate) fn failed(&self, kind: &str) {
        self.failures.get_or_create(&[("kind", kind.to_owned())]).inc();
    }

    /// Counts orders that were made.
    pub(crate) fn ordered(&self, kind: OrderKind, count: u32) {
        let kind = match kind {
            OrderKind::Renewal => "renewal",
            OrderKind::Due => "due",
            _ => "new",
        };
        if count > 0 {
            self.orders.get_or_create(&[("kind", kind.to_owned())]).inc_by(count.into());
        }
    }

    /// Counts a request to a CA.
    pub(crate) fn asked(&self, ca: &str, resource: &str, code: &str) {
        let labels = [("ca", ca), ("resource", resource), ("code", code)];
        self.requests.get_or_create(&labels.map(|(name, value)| (name, value.to_owned()))).inc();
    }

    /// Notes that an issuance is under way.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    pub(crate) fn lead(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self) -> bool {
        self.leader.get() == 1
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Shows these budgets as long as there are any.
    pub(crate) fn show_budgets(&self, budgets: &Arc<Budgets>) {
        *self.budgets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(budgets);
    }

    /// What is left of the limits of each account; nothing is known of it where another replica leads.
    pub(crate) fn limits(&self) -> Option<Vec<AccountLimits>> {
        let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        let limits = budgets.left().into_iter().map(|(account, left)| AccountLimits {
            account: account.to_string(),
            new_orders: left.new_orders,
            certificates_per_domain: left.certificates_per_domain,
            waiting: left.waiting,
        });
        Some(limits.collect())
    }

    /// Asked at each look, since what is used up comes back by itself.
    fn look_at_budgets(&self) {
        self.rate_limit_remaining.clear();
        self.rate_limit_waiting.clear();
        for limits in self.limits().unwrap_or_default() {
            let remaining = [
                ("new_orders", limits.new_orders),
                ("certificates_per_domain", limits.certificates_per_domain),
            ];
            for (limit, left) in remaining {
                let labels = [("account", limits.account.clone()), ("limit", limit.to_owned())];
                if let Some(left) = left {
                    self.rate_limit_remaining.get_or_create(&labels).set(left.into());
                }
            }
            let waiting = self.rate_limit_waiting.get_or_create(&[("account", limits.account)]);
            waiting.set(limits.waiting.try_into().unwrap_or(i64::MAX));
        }
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        self.look_at_budgets();
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let metrics = Metrics::new(Arc::default());
        let (first, second) = (metrics.begin(), metrics.begin());
        assert!(metrics.text().contains("gatecert_issuances_in_flight 2"));
        drop((first, second));
        metrics.issued("failed", Duration::from_secs(3));
        metrics.failed("OrderRefused");
        metrics.ordered(OrderKind::New, 2);
        let text = metrics.text();
        for counted in [
            "gatecert_issuances_in_flight 0",
            r#"gatecert_issuances_total{outcome="failed"} 1"#,
            r#"gatecert_issuance_failures_total{kind="OrderRefused"} 1"#,
            r#"gatecert_orders_total{kind="new"} 2"#,
            r#"gatecert_issuance_duration_seconds_bucket{le="5.0"} 1"#,
            r#"gatecert_issuance_duration_seconds_bucket{le="2.0"} 0"#,
        ] {
            assert!(text.contains(counted), "{counted}: {text}");
        }
    }
}
