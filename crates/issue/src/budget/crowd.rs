//! A thousand certificates at once, at a CA that counts for itself: none of its limits is ever reached.

use super::*;
use crate::plan::Wanted;
use crate::retry::Failures;
use gatecert_acme::Retry;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// How many certificates are wanted at once, and in how many registered domains.
const CERTIFICATES: usize = 1000;
const DOMAINS: usize = 40;

/// How long it is watched.
const WATCHED: i64 = 60 * DAY;

/// How long it takes from leave to the CA's counting the order, at most.
const LATENCY: usize = 9;

/// Let's Encrypt's buckets, filled as the time goes. An order takes of all or of none.
#[derive(Default)]
struct Ca {
    tokens: HashMap<String, (f64, i64)>,
    refused: Vec<String>,
    orders: usize,
}

impl Ca {
    fn left(&self, bucket: &str, count: f64, period: i64, now: i64) -> f64 {
        let (tokens, last) = self.tokens.get(bucket).copied().unwrap_or((count, now));
        (tokens + (now - last).max(0) as f64 / period as f64 * count).min(count)
    }

    fn take(&mut self, bucket: &str, count: f64, period: i64, now: i64) {
        let left = self.left(bucket, count, period, now);
        let last = self.tokens.get(bucket).map_or(now, |(_, last)| now.max(*last));
        self.tokens.insert(bucket.to_owned(), (left - 1.0, last));
    }

    /// Takes an order; `is_renewal` is whether these names had a certificate before.
    fn order(&mut self, names: &BTreeSet<Identifier>, is_renewal: bool, now: i64) {
        self.orders += 1;
        let mut buckets = vec![(format!("names {names:?}"), 5.0, 7 * DAY)];
        if !is_renewal {
            buckets.push(("orders".to_owned(), 300.0, 3 * HOUR));
            let domains: BTreeSet<_> = names.iter().map(|name| two_labels(&name.value())).collect();
            buckets.extend(domains.into_iter().map(|domain| (format!("domain {domain}"), 50.0, 7 * DAY)));
        }
        for name in names {
            let bucket = format!("failures {name}");
            if self.left(&bucket, 5.0, HOUR, now) < 1.0 - 1e-6 {
                self.refused.push(format!("{bucket} at {now}"));
            }
        }
        for (bucket, count, period) in buckets {
            if self.left(&bucket, count, period, now) < 1.0 - 1e-6 {
                self.refused.push(format!("{bucket} at {now}"));
            }
            // What is not issued in the end is given back below.
            self.take(&bucket, count, period, now);
        }
    }

    /// A name that was not validated: nothing is issued, and the failure counts.
    fn fail(&mut self, names: &BTreeSet<Identifier>, failed: &Identifier, now: i64) {
        let domains: BTreeSet<_> = names.iter().map(|name| two_labels(&name.value())).collect();
        let unused = domains.into_iter().map(|domain| format!("domain {domain}"));
        for bucket in unused.chain([format!("names {names:?}")]) {
            if let Some((tokens, _)) = self.tokens.get_mut(&bucket) {
                *tokens += 1.0;
            }
        }
        self.take(&format!("failures {failed}"), 5.0, HOUR, now);
    }
}

fn two_labels(name: &str) -> String {
    name.rsplitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// One of the crowd.
struct Member {
    who: String,
    names: BTreeSet<Identifier>,
    /// The name of it that fails, and until when.
    fails: Option<(Identifier, i64)>,
    /// Whether somebody deletes its Secret every hour.
    is_deleted: bool,
    failures: Option<Failures>,
    issued: usize,
    looks: usize,
}

impl Member {
    fn new(index: usize) -> Self {
        // A fifth of all is in one domain, which its limit holds for three weeks.
        let domain = if index.is_multiple_of(5) { 0 } else { index % DOMAINS };
        let name = |label: &str| format!("{label}-{index}.site-{domain}.com").parse::<Identifier>().unwrap();
        let mut names: BTreeSet<_> = [name("www")].into();
        let fails = index.is_multiple_of(97).then(|| {
            // Several certificates have the same name that fails.
            let bad = format!("bad-{}.site-{domain}.com", index % 2).parse::<Identifier>().unwrap();
            names.extend([name("api"), bad.clone()]);
            (bad, 3 * DAY)
        });
        let is_deleted = fails.is_none() && index % 100 == 3;
        Self { who: index.to_string(), names, fails, is_deleted, failures: None, issued: 0, looks: 0 }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            identifiers: self.names.clone(),
            key_type: crate::KeyType::EcdsaP256,
            directory: "https://ca.test/directory".parse().unwrap(),
            profile: None,
        }
    }

    /// One look, as the controller has it. When the next one is.
    fn look(&mut self, budget: &mut Budget, ca: &mut Ca, now: i64, latency: i64) -> Option<i64> {
        self.looks += 1;
        let kind = if self.issued == 0 { OrderKind::New } else { OrderKind::Renewal };
        let leave = match budget.ask(&Ask { who: &self.who, names: &self.names, kind }, at(now)) {
            Ok(leave) => leave,
            Err(held) => return Some(second(held.until)),
        };
        ca.order(&self.names, self.issued > 0, now + latency);
        match self.fails.clone().filter(|(_, until)| now < *until) {
            Some((name, _)) => {
                ca.fail(&self.names, &name, now + latency);
                budget.end(leave, Ended { orders: 1, is_issued: false, failed: &[name] }, at(now + latency));
                let failures = Failures::add(self.failures.as_ref(), &self.wanted(), Retry::Now, at(now));
                let (until, _) = failures.wait(&self.wanted(), at(now)).unwrap();
                self.failures = Some(failures);
                Some(second(until))
            }
            None => {
                budget.end(leave, Ended { orders: 1, is_issued: true, failed: &[] }, at(now + latency));
                (self.issued, self.failures) = (self.issued + 1, None);
                self.is_deleted.then_some(now + HOUR)
            }
        }
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn second(at: Timestamp) -> i64 {
    // Rounded up, as whoever waits comes later and not sooner.
    at.duration_since(self::at(0)).as_secs() + 1
}

#[test]
fn is_never_refused() {
    let (mut budget, mut ca) = (Budget::new(Limits::LETS_ENCRYPT), Ca::default());
    let mut crowd: Vec<_> = (0..CERTIFICATES).map(Member::new).collect();
    let mut turns: BTreeSet<_> = (0..CERTIFICATES).map(|index| (0, index)).collect();
    let mut all_issued_at = 0;
    while let Some((now, index)) = turns.pop_first().filter(|(now, _)| *now < WATCHED) {
        let member = &mut crowd[index];
        let latency = (index % LATENCY) as i64;
        let was_issued = member.issued > 0;
        turns.extend(member.look(&mut budget, &mut ca, now, latency).map(|next| (next, index)));
        if !was_issued && member.issued > 0 {
            all_issued_at = now;
        }
    }
    let looks: usize = crowd.iter().map(|member| member.looks).sum();
    eprintln!(
        "{CERTIFICATES} certificates: {} orders, {} refused, {looks} looks, the last one came after {} days",
        ca.orders,
        ca.refused.len(),
        all_issued_at / DAY
    );
    assert!(ca.refused.is_empty(), "{:?}", ca.refused);
    assert!(crowd.iter().all(|member| member.issued > 0), "somebody never came");
    assert!(looks < 4 * ca.orders, "{looks} looks for {} orders", ca.orders);
    let of_deleted = crowd.iter().filter(|member| member.is_deleted).map(|member| member.issued).max();
    // Five at once, and five more in each week.
    assert!(of_deleted.is_some_and(|issued| (30..=5 + 5 * 60 / 7 + 1).contains(&issued)), "{of_deleted:?}");
}
