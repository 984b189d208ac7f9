//! One Certificate, as its controller sees it.

use crate::traffic::Traffic;
use anyhow::{Context as _, Result, ensure};
use gatecert_acme::{Identifier, LETS_ENCRYPT, RenewalWindow};
use gatecert_issue::budget::{Ask, Budget, Ended, OrderKind};
use gatecert_issue::{
    CertificateFacts, KeyType, Observed, Origin, Plan, Stored, StoredWindow, Wanted, plan, renewal,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// The life of a certificate of Let's Encrypt's.
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// When Let's Encrypt asks to be asked again about a renewal.
const RETRY_AFTER: Duration = Duration::from_secs(6 * 3600);

/// How many certificates are in one registered domain: fewer than its limit.
const IN_A_DOMAIN: usize = 20;

/// The key of a CA, as an identifier for renewals begins.
const AUTHORITY: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ";

pub(crate) struct Member {
    name: String,
    wanted: Wanted,
    /// Evenly spread, and the same in each run.
    random: f64,
    serial: u32,
    facts: Option<CertificateFacts>,
    origin: Option<Origin>,
    window: Option<StoredWindow>,
}

impl Member {
    pub(crate) fn new(index: usize) -> Result<Self> {
        let name = format!("c{index}.site-{}.com", index / IN_A_DOMAIN);
        let identifiers: BTreeSet<_> = [Identifier::dns(&name)?].into();
        let directory = LETS_ENCRYPT.parse()?;
        let wanted = Wanted { identifiers, key_type: KeyType::EcdsaP256, directory, profile: None };
        let random = hash(&name) as f64 / u64::MAX as f64;
        Ok(Self { name, wanted, random, serial: 0, facts: None, origin: None, window: None })
    }

    /// The shard of so many that it is in.
    pub(crate) fn shard(&self, count: usize) -> usize {
        (hash(&self.name) % count as u64) as usize
    }

    /// Orders the first certificate, or says when to come again.
    pub(crate) fn issue_first(&mut self, budget: &mut Budget, now: Timestamp) -> Result<Option<Timestamp>> {
        let ask = Ask { who: &self.name, names: &self.wanted.identifiers, kind: OrderKind::New };
        match budget.ask(&ask, now) {
            Ok(leave) => budget.end(leave, Ended { orders: 1, is_issued: true, failed: &[] }, now),
            Err(held) => {
                ensure!(held.until > now, "a wait that is none: {held:?}");
                return Ok(Some(held.until));
            }
        }
        self.take(now)?;
        Ok(None)
    }

    /// Looks, and renews, until then. At `restart` all that was not written to the status is forgotten: when the CA was asked
    /// last.
    pub(crate) fn live(&mut self, restart: Timestamp, end: Timestamp, traffic: &mut Traffic) -> Result<()> {
        let mut now = self.origin.as_ref().context("it was never issued")?.issued_at;
        let mut is_restarted = false;
        while now < end {
            if !is_restarted && now >= restart {
                (now, is_restarted) = (restart, true);
                self.window = self.window.take().map(|window| window.put_off(restart, self.random));
            }
            traffic.looked();
            self.ask(now, traffic)?;
            now = match self.planned(now) {
                Plan::Issue { .. } => {
                    traffic.renewed(now);
                    let lapsed = self.facts.as_ref().is_some_and(|facts| facts.is_expired(now));
                    ensure!(!lapsed, "{} lapsed", self.name);
                    self.take(now)?;
                    now
                }
                Plan::UpToDate { look_again_at: at } | Plan::Wait { until: at, .. } => {
                    at.max(now + SignedDuration::from_secs(1))
                }
            };
        }
        Ok(())
    }

    fn planned(&self, now: Timestamp) -> Plan {
        plan(&Observed {
            certificate: self.facts.as_ref().map_or(Stored::Missing, Stored::Certificate),
            origin: self.origin.as_ref(),
            wanted: &self.wanted,
            ari: self.window.as_ref(),
            failures: None,
            pending_order: None,
            forced: false,
            now,
            jitter: self.random,
            renew_before: None,
        })
    }

    /// Asks about its renewal, if that is due, and gets what Let's Encrypt says of a certificate that is well.
    fn ask(&mut self, now: Timestamp, traffic: &mut Traffic) -> Result<()> {
        let facts = self.facts.as_ref().context("it was never issued")?;
        let Some(id) = renewal::question(facts, self.window.as_ref(), now) else { return Ok(()) };
        let known = StoredWindow::of(self.window.take(), id, now);
        let at = |days: i64| facts.not_before + SignedDuration::from_hours(24 * days);
        let window = RenewalWindow { start: at(59), end: at(61) };
        let is_news = known.window != Some(window);
        self.window = Some(known.answered(window, RETRY_AFTER, now, self.random));
        traffic.asked(now, is_news);
        Ok(())
    }

    /// Has a new certificate.
    fn take(&mut self, now: Timestamp) -> Result<()> {
        self.serial += 1;
        let serial = format!("{:016x}{:08x}", hash(&self.name), self.serial);
        self.facts = Some(serde_json::from_value(json!({
            "serial": &serial,
            "not_before": now,
            "not_after": now + LIFE,
            "issuer": "E7",
            "identifiers": &self.wanted.identifiers,
            "key_type": KeyType::EcdsaP256,
            // The text is base64url as it is.
            "certificate_id": format!("{AUTHORITY}.{serial}"),
            "fingerprint": format!("{serial:0>64}"),
        }))?);
        self.origin =
            Some(Origin { directory: self.wanted.directory.clone(), profile: None, issued_at: now });
        Ok(())
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
