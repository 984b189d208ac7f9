//! The limits of the CAs: who may order now, and what was ordered.

use crate::certificates::{owner_of, secret_of};
use crate::controller::Controller;
use crate::issuer::IssuerKey;
use crate::secrets::Content;
use crate::wish::Wish;
use gatecert_acme::{Clock, Identifier, ProblemKind, Retry};
use gatecert_api::{AcmeIssuer, Certificate, OrderType, RateLimit, RecentOrder};
use gatecert_issue::budget::{
    Ask, Budget, Ended, Held, Leave, Left, Limit, LimitKind, Limits, OrderKind, Ordered,
};
use gatecert_issue::{Event, ObtainError};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// How many orders a status remembers.
const REMEMBERED: usize = 10;

/// How long: no limit looks further back.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The budgets of all accounts, while this replica leads.
#[derive(Debug)]
pub(crate) struct Budgets {
    clock: Arc<dyn Clock>,
    by_account: Mutex<HashMap<Url, Budget>>,
}

/// What one attempt orders, noted while it runs.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) kind: OrderKind,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    orders: Vec<(Url, Timestamp)>,
    /// How many of them were made now.
    made: u32,
    failed: Vec<Identifier>,
}

/// Leave to order, handed back at the end, however that comes.
pub(crate) struct OrderLeave<'a> {
    budgets: &'a Budgets,
    account: &'a Url,
    tally: &'a Tally,
    leave: Option<Leave>,
    is_issued: bool,
}

impl Budgets {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, by_account: Mutex::default() }
    }

    fn by_account(&self) -> MutexGuard<'_, HashMap<Url, Budget>> {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets that a Certificate waits for its turn.
    pub(crate) fn withdraw(&self, uid: &str) {
        self.by_account().values_mut().for_each(|budget| budget.withdraw(uid));
    }

    /// What is left of each account's limits now.
    pub(crate) fn left(&self) -> Vec<(Url, Left)> {
        let now = self.clock.now();
        self.by_account().iter().map(|(account, budget)| (account.clone(), budget.left(now))).collect()
    }
}

impl Tally {
    pub(crate) fn new(kind: OrderKind) -> Self {
        Self { kind, noted: Mutex::default() }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many orders were made.
    pub(crate) fn made(&self) -> u32 {
        self.noted().made
    }

    /// Takes in what happens during an issuance.
    pub(crate) fn observe(&self, event: &Event, now: Timestamp) {
        match event {
            Event::OrderCreated { url } => {
                let mut noted = self.noted();
                noted.orders.push((url.clone(), now));
                noted.made += 1;
            }
            Event::OrderResumed { url } => self.noted().orders.push((url.clone(), now)),
            Event::Failed { identifier, .. } => self.noted().failed.push(identifier.clone()),
            _ => {}
        }
    }

    /// The orders that a status remembers after this attempt. `is_of_other_names` is whether the ones before were.
    pub(crate) fn added_to(
        &self,
        before: &[RecentOrder],
        is_of_other_names: bool,
        now: Timestamp,
    ) -> Vec<RecentOrder> {
        let noted = self.noted();
        let mut orders: Vec<_> =
            before.iter().filter(|order| now.duration_since(order.time.0) < WEEK).cloned().collect();
        if is_of_other_names {
            orders.iter_mut().for_each(|order| order.order_type = OrderType::OtherNames);
        }
        let failed: Vec<_> = noted.failed.iter().map(Identifier::value).collect();
        let last = noted.orders.len().saturating_sub(1);
        for (index, (url, at)) in noted.orders.iter().enumerate() {
            let failed_names = if index == last { failed.clone() } else { Vec::new() };
            match orders.iter_mut().find(|order| order.order_url == url.as_str()) {
                Some(known) => known.failed_names = failed_names,
                None => orders.push(RecentOrder {
                    order_url: url.to_string(),
                    time: Time(*at),
                    order_type: order_type(self.kind),
                    failed_names,
                }),
            }
        }
        orders.split_off(orders.len().saturating_sub(REMEMBERED))
    }
}

impl OrderLeave<'_> {
    /// Says how the attempt ended.
    pub(crate) fn end<T>(mut self, result: &Result<T, ObtainError>) {
        let is_over = matches!(result, Err(error) if error.retry() == Retry::No);
        self.is_issued = !is_over && self.tally.noted().failed.is_empty();
        let Some((until, limit)) = result.as_ref().err().and_then(|error| refused(error, self.budgets))
        else {
            return;
        };
        if limit == LimitKind::NewOrders
            && let Some(budget) = self.budgets.by_account().get_mut(self.account)
        {
            budget.refused(until, self.budgets.clock.now());
        }
    }
}

impl Drop for OrderLeave<'_> {
    fn drop(&mut self) {
        let mut budgets = self.budgets.by_account();
        if let (Some(budget), Some(leave)) = (budgets.get_mut(self.account), self.leave.take()) {
            let noted = self.tally.noted();
            let ended = Ended { orders: noted.made, is_issued: self.is_issued, failed: &noted.failed };
            budget.end(leave, ended, self.budgets.clock.now());
        }
    }
}

/// The limit that the CA says is used up, and until when; by the part of its documentation that it points to.
fn refused(error: &ObtainError, budgets: &Budgets) -> Option<(Timestamp, LimitKind)> {
    let problem = error.problem().filter(|problem| problem.kind == ProblemKind::RateLimited)?;
    let is_of_account = problem.detail.as_deref()?.contains("#new-orders-per-account");
    let Retry::After(wait) = error.retry() else { return None };
    let until = budgets.clock.now().saturating_add(SignedDuration::try_from(wait).ok()?).ok()?;
    is_of_account.then_some((until, LimitKind::NewOrders))
}

impl Controller {
    /// Gives leave to order what is wished, or says until when to wait.
    pub(crate) fn leave_to_order<'a>(
        &'a self,
        wish: &'a Wish,
        tally: &'a Tally,
    ) -> Result<OrderLeave<'a>, Held> {
        let (account, budgets) = (wish.authority.account.url(), &*self.budgets);
        let mut by_account = budgets.by_account();
        if !by_account.contains_key(account) {
            let budget = self.remembered(account, limits(&wish.authority.spec));
            by_account.insert(account.clone(), budget);
        }
        let Some(budget) = by_account.get_mut(account) else { unreachable!("it was put there") };
        budget.set_limits(limits(&wish.authority.spec));
        let ask = Ask { who: &wish.owner.uid, names: &wish.wanted.identifiers, kind: tally.kind };
        let leave = budget.ask(&ask, self.now())?;
        Ok(OrderLeave { budgets, account, tally, leave: Some(leave), is_issued: true })
    }

    /// The budget of an account, as the Certificates remember what was ordered.
    fn remembered(&self, account: &Url, limits: Limits) -> Budget {
        let mut past: Vec<_> = Vec::new();
        for certificate in self.certificates.store.state() {
            let namespace = certificate.metadata.namespace.as_deref().unwrap_or_default();
            let key = IssuerKey::of(&certificate.spec.issuer_ref, namespace);
            let authority = self.issuers.get(&key).and_then(Result::ok);
            if authority.is_some_and(|authority| authority.account.url() == account) {
                past.extend(self.past_of(&certificate));
            }
        }
        past.sort_by_key(|order| order.at);
        let (mut budget, now) = (Budget::new(limits), self.now());
        for order in past.iter().filter(|order| order.at <= now) {
            budget.replay(&Ordered {
                at: order.at,
                kind: order.kind,
                names: order.names.as_ref(),
                failed: &order.failed,
            });
        }
        budget
    }

    fn past_of(&self, certificate: &Certificate) -> Vec<Past> {
        let status = self.certificates.status(certificate);
        let published = self.secrets.get(&secret_of(certificate));
        let names = match published.as_deref().map(|secret| &secret.content) {
            Some(Content::Certificate(facts, _)) => facts.identifiers.clone(),
            _ => identifiers(certificate.spec.names()),
        };
        let mut past: Vec<_> = status
            .recent_orders
            .iter()
            .map(|order| Past {
                at: order.time.0,
                kind: order_kind(order.order_type),
                names: (order.order_type != OrderType::OtherNames).then(|| names.clone()),
                failed: identifiers(order.failed_names.iter().map(String::as_str)).into_iter().collect(),
            })
            .collect();
        let pending = self.journal(&owner_of(certificate)).entry();
        let is_known = |url: &Url| status.recent_orders.iter().any(|order| order.order_url == url.as_str());
        if let Some(entry) = pending.filter(|entry| !is_known(&entry.order_url) && entry.replaces.is_none()) {
            let (at, names) = (entry.saved_at, Some(entry.identifiers));
            past.push(Past { at, kind: OrderKind::New, names, failed: Vec::new() });
        }
        past
    }
}

/// An order of the past.
struct Past {
    at: Timestamp,
    kind: OrderKind,
    names: Option<BTreeSet<Identifier>>,
    failed: Vec<Identifier>,
}

fn identifiers<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<Identifier> {
    names.filter_map(|name| name.parse().ok()).collect()
}

fn order_type(kind: OrderKind) -> OrderType {
    match kind {
        OrderKind::Renewal => OrderType::Renewal,
        OrderKind::Due => OrderType::Due,
        _ => OrderType::New,
    }
}

/// What a remembered order is to the limits.
pub fn order_kind(order_type: OrderType) -> OrderKind {
    match order_type {
        OrderType::New | OrderType::OtherNames => OrderKind::New,
        OrderType::Renewal => OrderKind::Renewal,
        OrderType::Due => OrderKind::Due,
    }
}

/// The limits of an issuer: those that its CA is known to have, where it says no others.
pub fn limits(spec: &AcmeIssuer) -> Limits {
    let directory: Option<Url> = spec.directory().parse().ok();
    let mut limits = directory.as_ref().map_or(Limits::PRIVATE, Limits::of);
    if let Some(other) = &spec.rate_limits {
        let change = |limit: &mut Option<Limit>, to: &Option<RateLimit>| {
            if let Some(to) = to {
                *limit = limit_of(to);
            }
        };
        change(&mut limits.new_orders, &other.new_orders);
        change(&mut limits.certificates_per_domain, &other.certificates_per_domain);
        change(&mut limits.duplicate_certificates, &other.duplicate_certificates);
        change(&mut limits.failed_validations, &other.failed_validations);
    }
    limits
}

fn limit_of(limit: &RateLimit) -> Option<Limit> {
    let period: kube::core::Duration = limit.period.parse().ok()?;
    let period = SignedDuration::try_from(std::time::Duration::from(period)).ok()?;
    Limit::new(limit.count, period)
}

/// The reason of the condition of whoever waits.
pub(crate) fn reason(held: &Held) -> &'static str {
    match held.kind {
        LimitKind::NewOrders => "NewOrderLimit",
        LimitKind::CertificatesPerDomain => "DomainLimit",
        LimitKind::DuplicateCertificates => "DuplicateLimit",
        LimitKind::FailedValidations => "FailedValidationLimit",
        _ => "RateLimit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn url(order: u32) -> Url {
        format!("https://ca.test/order/{order}").parse().unwrap()
    }

    fn tally(kind: OrderKind, order: u32, failed: &[&str]) -> Tally {
        let tally = Tally::new(kind);
        tally.observe(&Event::OrderCreated { url: url(order) }, at(i64::from(order)));
        for name in failed {
            tally.observe(&Event::Failed { identifier: name.parse().unwrap(), problem: None }, at(0));
        }
        tally
    }

    #[test]
    fn a_status_remembers_ten_orders_of_a_week() {
        let mut orders = Vec::new();
        for order in 0..15 {
            orders = tally(OrderKind::Renewal, order, &[]).added_to(&orders, false, at(i64::from(order)));
        }
        let urls: Vec<_> = orders.iter().map(|order| order.order_url.clone()).collect();
        assert_eq!(urls, (5..15).map(|order| url(order).to_string()).collect::<Vec<_>>());
        let later = at(8 + 7 * 24 * 3600);
        assert_eq!(Tally::new(OrderKind::New).added_to(&orders, false, later).len(), 6);
    }

    #[test]
    fn one_that_goes_on_is_remembered_once() {
        let first = tally(OrderKind::New, 1, &["bad.test"]).added_to(&[], false, at(1));
        assert_eq!((first.len(), first[0].failed_names.as_slice()), (1, ["bad.test".to_owned()].as_slice()));
        let resumed = Tally::new(OrderKind::Resumed);
        resumed.observe(&Event::OrderResumed { url: url(1) }, at(2));
        let after = resumed.added_to(&first, false, at(2));
        assert_eq!((after.len(), after[0].order_type, after[0].time.0), (1, OrderType::New, at(1)));
        assert_eq!(after[0].failed_names, Vec::<String>::new());
    }

    #[test]
    fn those_of_other_names_are_told_apart() {
        let first = tally(OrderKind::New, 1, &[]).added_to(&[], false, at(1));
        let after = tally(OrderKind::New, 2, &[]).added_to(&first, true, at(2));
        let types: Vec<_> = after.iter().map(|order| order.order_type).collect();
        assert_eq!(types, [OrderType::OtherNames, OrderType::New]);
    }

    #[test]
    fn limits_of_an_issuer() {
        let mut spec = AcmeIssuer { server: "letsencrypt".to_owned(), ..AcmeIssuer::default() };
        assert_eq!(limits(&spec), Limits::LETS_ENCRYPT);
        let other = |count| Some(RateLimit { count, period: "1h30m".to_owned() });
        spec.rate_limits = Some(gatecert_api::RateLimits {
            new_orders: other(3000),
            duplicate_certificates: other(0),
            ..Default::default()
        });
        let limits = limits(&spec);
        assert_eq!(limits.new_orders, Limit::new(3000, SignedDuration::from_mins(90)));
        assert_eq!(limits.duplicate_certificates, None);
        assert_eq!(limits.failed_validations, Limits::LETS_ENCRYPT.failed_validations);
    }
}
