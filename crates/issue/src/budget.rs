//! A CA's rate limits, kept from this side: what the CA would refuse is not ordered, and waits its turn instead.
//!
//! A [`Budget`] belongs to one account. Its buckets are those of the CA ([`Limits`]); what waits for a token has one of
//! the future, so that a thousand that wait look once each, at their own time. All of it is pure: the caller says what
//! time it is, and replays at the start what was ordered before ([`Budget::replay`]).

mod limit;

pub use limit::{Limit, Limits};

use gatecert_acme::Identifier;
use jiff::{SignedDuration, Timestamp};
use limit::{Level, ON_THE_WAY, as_factor, later};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

/// When somebody is asked to look again who waits for others that try the same name.
const WHILE_OTHERS_TRY: SignedDuration = SignedDuration::from_secs(10);

/// How long a token is kept for somebody who does not come.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// After so many changes, what is full or was not fetched is forgotten.
const CHANGES_BETWEEN_SWEEPS: u32 = 256;

/// What an order is to the CA's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderKind {
    /// The first one for these names.
    New,
    /// Another one for exactly the names that a certificate was issued for before.
    Renewal,
    /// A renewal when it is due: as the CA suggested (RFC 9773 section 5), or since most of the life is over.
    Due,
    /// None is made: one that was begun goes on.
    Resumed,
}

/// One of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`Limits::new_orders`].
    NewOrders,
    /// [`Limits::certificates_per_domain`].
    CertificatesPerDomain,
    /// [`Limits::duplicate_certificates`].
    DuplicateCertificates,
    /// [`Limits::failed_validations`].
    FailedValidations,
}

/// What is asked to be ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who asks: the same one waits once only.
    pub who: &'a str,
    /// The names and addresses.
    pub names: &'a BTreeSet<Identifier>,
    /// What the order is.
    pub kind: OrderKind,
}

/// Why an order has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When to ask again.
    pub until: Timestamp,
    /// The limit.
    pub limit: Limit,
    /// Which one it is.
    pub kind: LimitKind,
    /// The name, the registered domain, or the names, that it is about; empty for the account's orders.
    pub about: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, about, period) = (self.limit.count(), &self.about, self.limit.period());
        match self.kind {
            LimitKind::NewOrders => write!(f, "the limit of {count} new orders of an account in {period:#}")?,
            LimitKind::CertificatesPerDomain => {
                write!(f, "the limit of {count} certificates for {about} in {period:#}")?;
            }
            LimitKind::DuplicateCertificates => {
                write!(f, "the limit of {count} certificates for exactly these names in {period:#}")?;
            }
            LimitKind::FailedValidations => {
                write!(f, "the limit of {count} failed validations of {about} in {period:#}")?;
            }
        }
        f.write_str(" is used up")
    }
}

/// Leave to order, until it is handed back by [`Budget::end`].
#[derive(Debug)]
#[must_use = "hand it back by `Budget::end`, or the names count as being tried for ever"]
pub struct Leave {
    taken: Vec<Bucket>,
    tried: Vec<Identifier>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// How many orders were made.
    pub orders: u32,
    /// Whether a certificate was issued, or may still be.
    pub is_issued: bool,
    /// The names whose validation failed.
    pub failed: &'a [Identifier],
}

/// An order of the past.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    /// When it was made.
    pub at: Timestamp,
    /// What it was.
    pub kind: OrderKind,
    /// What was ordered; `None` where that is not known, and it counts as an order of the account's alone.
    pub names: Option<&'a BTreeSet<Identifier>>,
    /// The names whose validation failed. Where there are any, no certificate was issued.
    pub failed: &'a [Identifier],
}

/// What is left of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// New orders that can be made now.
    pub new_orders: Option<u32>,
    /// Certificates that can be had now for the registered domain that is the worst off.
    pub certificates_per_domain: Option<u32>,
    /// How many wait for their turn.
    pub waiting: usize,
}

/// The budget of one account with one CA.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    levels: HashMap<Bucket, Level>,
    waiting: HashMap<String, Slot>,
    /// How many are trying a name now.
    trying: HashMap<Identifier, u32>,
    changes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Bucket {
    Orders,
    Domain(String),
    Names(BTreeSet<Identifier>),
    Failures(Identifier),
}

/// A turn in the bucket that has no token the longest.
#[derive(Debug)]
struct Slot {
    wanted: Vec<Bucket>,
    keeps: Bucket,
    held: Held,
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new(limits: Limits) -> Self {
        Self { limits, levels: HashMap::new(), waiting: HashMap::new(), trying: HashMap::new(), changes: 0 }
    }

    /// Takes other limits. What was used stays used.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Gives leave to order, or says until when to wait. Whoever is told to wait has a turn then, and nobody else gets it.
    ///
    /// # Errors
    /// [`Held`]: a limit is used up.
    pub fn ask(&mut self, ask: &Ask<'_>, now: Timestamp) -> Result<Leave, Held> {
        self.sweep(now);
        self.may_fail(ask.names, now)?;
        let wanted = self.buckets(ask.kind, Some(ask.names));
        let its_turn = match self.waiting.get(ask.who) {
            Some(slot) if slot.wanted == wanted && slot.held.until > now => {
                let latest = self.latest(&slot.held.limit, now);
                return Err(Held { until: slot.held.until.min(latest), ..slot.held.clone() });
            }
            Some(slot) if slot.wanted == wanted => Some(slot.keeps.clone()),
            _ => None,
        };
        self.withdraw(ask.who);
        if let Some((keeps, held)) = self.longest_wait(&wanted, its_turn.as_ref(), now) {
            self.level(&keeps, now).kept += 1;
            self.waiting.insert(ask.who.to_owned(), Slot { wanted, keeps, held: held.clone() });
            return Err(held);
        }
        self.take(&wanted, now);
        for name in ask.names {
            *self.trying.entry(name.clone()).or_default() += 1;
        }
        Ok(Leave { taken: wanted, tried: ask.names.iter().cloned().collect() })
    }

    /// Takes leave back: what was not used is for others.
    pub fn end(&mut self, leave: Leave, ended: Ended<'_>, now: Timestamp) {
        for name in &leave.tried {
            if let Some(count) = self.trying.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.trying.remove(name);
                }
            }
        }
        for bucket in &leave.taken {
            let used = match bucket {
                Bucket::Orders => ended.orders,
                _ => u32::from(ended.orders > 0 && ended.is_issued),
            };
            match used {
                0 => self.give_back(bucket),
                used => (1..used).for_each(|_| self.take(std::slice::from_ref(bucket), now)),
            }
        }
        self.note_failures(ended.failed, now);
    }

    /// Forgets whoever waited: it wants nothing any more.
    pub fn withdraw(&mut self, who: &str) {
        let slot = self.waiting.remove(who);
        if let Some(level) = slot.and_then(|slot| self.levels.get_mut(&slot.keeps)) {
            level.kept = level.kept.saturating_sub(1);
        }
    }

    /// Counts an order of the past. To be called for one after the other, the oldest first, before anything is asked.
    pub fn replay(&mut self, ordered: &Ordered<'_>) {
        let mut buckets = self.buckets(ordered.kind, ordered.names);
        if !ordered.failed.is_empty() {
            buckets.retain(|bucket| *bucket == Bucket::Orders);
        }
        self.take(&buckets, ordered.at);
        self.note_failures(ordered.failed, ordered.at);
    }

    /// Takes the CA's word for it that no new order is taken before `until`.
    pub fn refused(&mut self, until: Timestamp, now: Timestamp) {
        if let Some(limit) = self.limits.new_orders {
            let latest = later(now, limit.period());
            self.level(&Bucket::Orders, now).empty_until(&limit, until.min(latest));
        }
    }

    /// What is left now.
    pub fn left(&self, now: Timestamp) -> Left {
        let tokens = |bucket: &Bucket, limit: &Limit| {
            self.levels.get(bucket).map_or_else(|| limit.count(), |level| level.tokens(limit, now))
        };
        let domains = self.levels.keys().filter(|bucket| matches!(bucket, Bucket::Domain(_)));
        Left {
            new_orders: self.limits.new_orders.map(|limit| tokens(&Bucket::Orders, &limit)),
            certificates_per_domain: self.limits.certificates_per_domain.map(|limit| {
                domains.map(|bucket| tokens(bucket, &limit)).min().unwrap_or_else(|| limit.count())
            }),
            waiting: self.waiting.len(),
        }
    }

    /// Whether each name may fail once more, counting those who try it now.
    fn may_fail(&self, names: &BTreeSet<Identifier>, now: Timestamp) -> Result<(), Held> {
        let Some(limit) = self.limits.failed_validations else { return Ok(()) };
        for name in names {
            let level = self.levels.get(&Bucket::Failures(name.clone()));
            let left = level.map_or_else(|| limit.count(), |level| level.tokens(&limit, now));
            if left <= self.trying.get(name).copied().unwrap_or_default() {
                let next = level.map_or(now, |level| level.next(&limit, 0, now));
                let until = if next > now { next } else { now + WHILE_OTHERS_TRY };
                let about = name.to_string();
                return Err(Held { until, limit, kind: LimitKind::FailedValidations, about });
            }
        }
        Ok(())
    }

    fn note_failures(&mut self, failed: &[Identifier], now: Timestamp) {
        let Some(limit) = self.limits.failed_validations else { return };
        for name in failed {
            self.level(&Bucket::Failures(name.clone()), now).take(&limit, now);
        }
    }

    /// The buckets that an order takes a token of.
    fn buckets(&self, kind: OrderKind, names: Option<&BTreeSet<Identifier>>) -> Vec<Bucket> {
        let mut buckets = Vec::new();
        if kind == OrderKind::New {
            buckets.push(Bucket::Orders);
            let domains: BTreeSet<_> = names.into_iter().flatten().map(registered_domain).collect();
            buckets.extend(domains.into_iter().map(Bucket::Domain));
        }
        if matches!(kind, OrderKind::New | OrderKind::Renewal) {
            buckets.extend(names.cloned().map(Bucket::Names));
        }
        buckets.retain(|bucket| self.limit(bucket).is_some());
        buckets
    }

    fn limit(&self, bucket: &Bucket) -> Option<(Limit, LimitKind)> {
        let (limit, kind) = match bucket {
            Bucket::Orders => (self.limits.new_orders, LimitKind::NewOrders),
            Bucket::Domain(_) => (self.limits.certificates_per_domain, LimitKind::CertificatesPerDomain),
            Bucket::Names(_) => (self.limits.duplicate_certificates, LimitKind::DuplicateCertificates),
            Bucket::Failures(_) => (self.limits.failed_validations, LimitKind::FailedValidations),
        };
        limit.map(|limit| (limit, kind))
    }

    fn level(&mut self, bucket: &Bucket, now: Timestamp) -> &mut Level {
        self.levels.entry(bucket.clone()).or_insert_with(|| Level::full(now))
    }

    /// The bucket that has no token the longest, if one has none now. In each, those who wait come first, but for the one
    /// whose turn it is.
    fn longest_wait(
        &mut self,
        buckets: &[Bucket],
        its_turn: Option<&Bucket>,
        now: Timestamp,
    ) -> Option<(Bucket, Held)> {
        let mut longest: Option<(Bucket, Held)> = None;
        for bucket in buckets {
            let Some((limit, kind)) = self.limit(bucket) else { continue };
            let level = self.level(bucket, now);
            level.clamp(&limit, now);
            let until = level.next(&limit, if its_turn == Some(bucket) { 0 } else { level.kept }, now);
            if until > now && longest.as_ref().is_none_or(|(_, held)| held.until < until) {
                let about = match bucket {
                    Bucket::Domain(domain) => domain.clone(),
                    _ => String::new(),
                };
                longest = Some((bucket.clone(), Held { until, limit, kind, about }));
            }
        }
        longest
    }

    fn take(&mut self, buckets: &[Bucket], now: Timestamp) {
        for bucket in buckets {
            if let Some((limit, _)) = self.limit(bucket) {
                self.level(bucket, now).take(&limit, now);
            }
        }
    }

    fn give_back(&mut self, bucket: &Bucket) {
        let Some((limit, _)) = self.limit(bucket) else { return };
        if let Some(level) = self.levels.get_mut(bucket) {
            level.give_back(&limit);
        }
    }

    /// The latest moment that anybody can have been told to wait until.
    fn latest(&self, limit: &Limit, now: Timestamp) -> Timestamp {
        let ahead = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        let wait = limit.interval().saturating_mul(as_factor(ahead)).saturating_add(limit.period());
        later(now, wait.saturating_add(ON_THE_WAY))
    }

    /// Forgets buckets that are full, and turns that nobody came for.
    fn sweep(&mut self, now: Timestamp) {
        self.changes += 1;
        if self.changes < CHANGES_BETWEEN_SWEEPS {
            return;
        }
        self.changes = 0;
        let is_late = |slot: &Slot| now.duration_since(slot.held.until) > KEPT;
        let late = self.waiting.iter().filter(|(_, slot)| is_late(slot));
        for who in late.map(|(who, _)| who.clone()).collect::<Vec<_>>() {
            self.withdraw(&who);
        }
        self.levels.retain(|_, level| !level.is_full(now));
    }
}

/// The domain that a name was registered under, by the Public Suffix List; an address counts by itself, one of IPv6 with
/// its 64 bits of network.
fn registered_domain(name: &Identifier) -> String {
    match name {
        Identifier::Ip(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Identifier::Ip(address) => address.to_string(),
        name => {
            let name = name.value();
            let name = name.trim_start_matches("*.");
            psl::domain_str(name).unwrap_or(name).to_owned()
        }
    }
}

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod tests;
