//! What this replica knows of all Certificates, in few words: for its status page and its metrics, whether it leads or not.

use gatecert_api::{Certificate, CertificateSummary, Health};
use jiff::Timestamp;
use kube::runtime::watcher::Event;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most Certificates that are held. One is 600 bytes or so and 3 KiB with the longest error, so that all of them are
/// 6 MB, and 30 MB where every one of them fails.
const MOST: usize = 10_000;

/// How many of a Certificate's names are held.
const NAMES: usize = 3;

/// Namespace and name.
type Key = (String, String);

/// In boxes: a tree that is filled in order leaves half the room of its nodes empty.
type Held = BTreeMap<Key, Box<CertificateSummary>>;

/// The Certificates as the watch of this replica shows them.
#[derive(Debug, Default)]
pub(crate) struct Overview(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    held: Held,
    /// What a list has brought so far; it takes the place of the rows when it is whole.
    listed: Option<Held>,
    /// How many there are beside those that are held.
    left_out: usize,
    left_out_of_list: usize,
}

/// How many Certificates there are, and how they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) ready: usize,
    pub(crate) late: usize,
    pub(crate) not_ready: usize,
    pub(crate) issuing: usize,
}

impl Overview {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event of the watch.
    pub(crate) fn observe(&self, event: &Event<Certificate>) {
        let mut rows = self.rows();
        match event {
            Event::Init => {
                rows.listed = Some(Held::new());
                rows.left_out_of_list = 0;
            }
            Event::InitApply(certificate) => {
                let Rows { listed, left_out_of_list, .. } = &mut *rows;
                *left_out_of_list += usize::from(!set(listed.get_or_insert_default(), certificate));
            }
            Event::InitDone => {
                rows.held = rows.listed.take().unwrap_or_default();
                rows.left_out = rows.left_out_of_list;
            }
            // One that there is no room for may be an old one that has changed: until the next list it is not counted anew.
            Event::Apply(certificate) => {
                if !set(&mut rows.held, certificate) && rows.left_out == 0 {
                    rows.left_out = 1;
                }
            }
            Event::Delete(certificate) => {
                rows.held.remove(&key(certificate));
            }
        }
    }

    /// Looks at all that are held.
    pub(crate) fn each(&self, mut look: impl FnMut(&CertificateSummary)) {
        self.rows().held.values().for_each(|row| look(row));
    }

    /// How they are now.
    pub(crate) fn tally(&self, now: Timestamp) -> Tally {
        let mut tally = Tally::default();
        self.each(|row| {
            match row.health(now) {
                Health::Ready => tally.ready += 1,
                Health::Late => tally.late += 1,
                _ => tally.not_ready += 1,
            }
            tally.issuing += usize::from(row.step.is_some());
        });
        tally
    }

    /// The first `most`, the worst and those that end first before all others; and how many there are beside those.
    pub(crate) fn worst(&self, most: usize, now: Timestamp) -> (Vec<CertificateSummary>, usize) {
        let rows = self.rows();
        let mut all: Vec<_> = rows.held.values().collect();
        all.sort_by_cached_key(|row| {
            (
                row.health(now),
                Reverse(row.step.is_some()),
                row.not_after,
                row.namespace.clone(),
                row.name.clone(),
            )
        });
        let left_out = all.len().saturating_sub(most) + rows.left_out;
        (all.into_iter().take(most).map(|row| (**row).clone()).collect(), left_out)
    }
}

/// Puts one in its place, if there is room.
fn set(rows: &mut Held, certificate: &Certificate) -> bool {
    let key = key(certificate);
    let has_room = rows.len() < MOST || rows.contains_key(&key);
    if has_room {
        rows.insert(key, Box::new(CertificateSummary::of(certificate, NAMES)));
    }
    has_room
}

fn key(certificate: &Certificate) -> Key {
    let metadata = &certificate.metadata;
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) const NOW: &str = "2026-11-26T12:00:00Z";

    pub(crate) fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// A Certificate of `shop` with this status.
    pub(crate) fn certificate(name: &str, status: Value) -> Certificate {
        serde_json::from_value(json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": "shop", "generation": 1},
            "spec": {
                "secretName": name, "issuerRef": {"name": "le"},
                "dnsNames": [format!("{name}.test"), "b.test", "c.test", "d.test"],
            },
            "status": status,
        }))
        .unwrap()
    }

    /// A status with a certificate that ends then.
    pub(crate) fn issued(end: &str) -> Value {
        json!({
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Issued", "message": "", "observedGeneration": 1,
                "lastTransitionTime": NOW,
            }],
            "notBefore": "2026-11-01T00:00:00Z", "notAfter": end, "renewalTime": "2026-12-20T00:00:00Z",
        })
    }

    fn names(overview: &Overview) -> Vec<String> {
        overview.worst(10, now()).0.into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn the_worst_come_first() {
        let overview = Overview::default();
        for (name, status) in [
            ("late", {
                let mut status = issued("2027-01-05T00:00:00Z");
                status["lastError"] = json!({"kind": "OrderRefused", "message": "no"});
                status
            }),
            ("later", issued("2027-01-02T00:00:00Z")),
            ("sooner", issued("2027-01-01T00:00:00Z")),
            ("new", json!({})),
        ] {
            overview.observe(&Event::Apply(certificate(name, status)));
        }
        assert_eq!(names(&overview), ["new", "late", "sooner", "later"]);
        assert_eq!(overview.tally(now()), Tally { ready: 2, late: 1, not_ready: 1, issuing: 0 });
        let (two, left_out) = overview.worst(2, now());
        assert_eq!((two.len(), left_out, two[0].names.len(), two[0].name_count), (2, 2, 3, 4));
        overview.observe(&Event::Delete(certificate("new", json!({}))));
        assert_eq!(names(&overview), ["late", "sooner", "later"]);
    }

    #[test]
    fn a_list_takes_the_place_of_all_when_it_is_whole() {
        let overview = Overview::default();
        overview.observe(&Event::Apply(certificate("old", json!({}))));
        overview.observe(&Event::Init);
        overview.observe(&Event::InitApply(certificate("new", json!({}))));
        assert_eq!(names(&overview), ["old"]);
        overview.observe(&Event::InitDone);
        assert_eq!(names(&overview), ["new"]);
    }

    #[test]
    fn more_than_are_held_are_counted() {
        let overview = Overview::default();
        overview.observe(&Event::Init);
        for i in 0..MOST + 7 {
            overview.observe(&Event::InitApply(certificate(&format!("c{i}"), json!({}))));
        }
        overview.observe(&Event::InitDone);
        assert_eq!(overview.worst(MOST, now()).1, 7);
        assert_eq!(overview.tally(now()).not_ready, MOST);
    }
}
