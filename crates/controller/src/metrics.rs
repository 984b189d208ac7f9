//! What is counted.

use crate::budget::Budgets;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The counters and gauges, all under `gatecert_`.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    issuances: Family<[(&'static str, String); 1], Counter>,
    certificates: Gauge,
    earliest_end: Gauge,
    leader: Gauge,
    panics: Counter,
    ends: Mutex<HashMap<String, Timestamp>>,
    rate_limit_remaining: Family<[(&'static str, String); 2], Gauge>,
    rate_limit_waiting: Family<[(&'static str, String); 1], Gauge>,
    budgets: Mutex<Weak<Budgets>>,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("gatecert");
        let issuances = Family::default();
        registry.register("issuances", "Issuances by outcome", issuances.clone());
        let certificates = Gauge::default();
        registry.register("certificates", "Certificates that are published", certificates.clone());
        let earliest_end = Gauge::default();
        registry.register(
            "earliest_certificate_end_timestamp_seconds",
            "When the first of the published certificates ends; 0 without any",
            earliest_end.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this replica leads", leader.clone());
        let panics = Counter::default();
        registry.register("panics", "Looks at an object that panicked", panics.clone());
        let rate_limit_remaining = Family::default();
        registry.register(
            "rate_limit_remaining",
            "What can be ordered now before a limit of the CA is reached; of domains, the one that is the worst off",
            rate_limit_remaining.clone(),
        );
        let rate_limit_waiting = Family::default();
        registry.register(
            "rate_limit_waiting",
            "Certificates that wait for their turn within the limits of the CA",
            rate_limit_waiting.clone(),
        );
        Arc::new(Self {
            registry,
            issuances,
            certificates,
            earliest_end,
            leader,
            panics,
            ends: Mutex::default(),
            rate_limit_remaining,
            rate_limit_waiting,
            budgets: Mutex::default(),
        })
    }

    /// Counts one issuance.
    pub(crate) fn issued(&self, outcome: &str) {
        self.issuances.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    /// Notes when a Certificate's certificate ends.
    pub(crate) fn note(&self, uid: &str, end: Option<Timestamp>) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        match end {
            Some(end) => ends.insert(uid.to_owned(), end),
            None => ends.remove(uid),
        };
    }

    /// Forgets a Certificate.
    pub(crate) fn forget(&self, uid: &str) {
        self.note(uid, None);
    }

    pub(crate) fn lead(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Shows these budgets as long as there are any.
    pub(crate) fn show_budgets(&self, budgets: &Arc<Budgets>) {
        *self.budgets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(budgets);
    }

    /// Asked at each look, since what is used up comes back by itself.
    fn look_at_budgets(&self) {
        self.rate_limit_remaining.clear();
        self.rate_limit_waiting.clear();
        let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        for (account, left) in budgets.iter().flat_map(|budgets| budgets.left()) {
            let remaining =
                [("new_orders", left.new_orders), ("certificates_per_domain", left.certificates_per_domain)];
            for (limit, left) in remaining {
                let labels = [("account", account.to_string()), ("limit", limit.to_owned())];
                if let Some(left) = left {
                    self.rate_limit_remaining.get_or_create(&labels).set(left.into());
                }
            }
            let waiting = self.rate_limit_waiting.get_or_create(&[("account", account.to_string())]);
            waiting.set(left.waiting.try_into().unwrap_or(i64::MAX));
        }
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        self.certificates.set(ends.len().try_into().unwrap_or(i64::MAX));
        self.earliest_end.set(ends.values().min().map_or(0, |end| end.as_second()));
        drop(ends);
        self.look_at_budgets();
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
