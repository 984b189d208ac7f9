//! The buckets one by one, and against a CA that counts for itself.

use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<Identifier> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn ask<'a>(who: &'a str, names: &'a BTreeSet<Identifier>, kind: OrderKind) -> Ask<'a> {
    Ask { who, names, kind }
}

const ISSUED: Ended<'static> = Ended { orders: 1, is_issued: true, failed: &[] };
const NOT_ORDERED: Ended<'static> = Ended { orders: 0, is_issued: false, failed: &[] };

fn failed(names: &[Identifier]) -> Ended<'_> {
    Ended { orders: 1, is_issued: false, failed: names }
}

/// Waits are as much longer as an order may be on its way.
fn turn(second: i64) -> Timestamp {
    at(second) + ON_THE_WAY
}

/// Orders that are issued at once: `Ok`, or until when the first one to be refused has to wait.
fn issue(budget: &mut Budget, ask: &Ask<'_>, now: Timestamp) -> Result<(), Held> {
    let leave = budget.ask(ask, now)?;
    budget.end(leave, ISSUED, now);
    Ok(())
}

#[test]
fn orders_of_an_account() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let hosts: Vec<_> = (0..1000).map(|i| names(&[&format!("www.site-{i}.com")])).collect();
    let who: Vec<_> = (0..1000).map(|i| i.to_string()).collect();
    let mut turns = Vec::new();
    for (names, who) in hosts.iter().zip(&who) {
        match issue(&mut budget, &ask(who, names, OrderKind::New), at(0)) {
            Ok(()) => turns.push(at(0)),
            Err(held) => {
                assert_eq!(held.kind, LimitKind::NewOrders);
                assert_eq!(held.to_string(), "the limit of 300 new orders of an account in 3h is used up");
                turns.push(held.until);
            }
        }
    }
    let expected: Vec<_> =
        (0..1000_i64).map(|i| if i < 300 { at(0) } else { turn(36 * (i - 299)) }).collect();
    assert_eq!(turns, expected, "each has its own turn, 36 s after the one before");
    assert_eq!(
        budget.left(at(0)),
        Left { new_orders: Some(0), certificates_per_domain: Some(49), waiting: 700 }
    );

    // Who comes early is told the same again; who comes in time has the turn, and no one else.
    let again = budget.ask(&ask("300", &hosts[300], OrderKind::New), at(45)).unwrap_err();
    assert_eq!(again.until, turn(36));
    assert!(
        budget.ask(&ask("new", &names(&["other.com"]), OrderKind::New), turn(36)).unwrap_err().until
            > turn(36 * 700)
    );
    issue(&mut budget, &ask("300", &hosts[300], OrderKind::New), turn(36)).unwrap();
}

#[test]
fn renewals_are_exempt_as_the_ca_has_it() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let www = names(&["www.example.com"]);
    for _ in 0..1000 {
        issue(&mut budget, &ask("a", &www, OrderKind::Due), at(0)).unwrap();
    }
    for _ in 0..5 {
        issue(&mut budget, &ask("a", &www, OrderKind::Renewal), at(0)).unwrap();
    }
    let held = issue(&mut budget, &ask("a", &www, OrderKind::Renewal), at(0)).unwrap_err();
    assert_eq!((held.kind, held.until), (LimitKind::DuplicateCertificates, turn(7 * 24 * 3600 / 5)));
    assert_eq!(budget.left(at(0)).new_orders, Some(300));
}

#[test]
fn certificates_of_a_registered_domain() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    for i in 0..50 {
        let host = names(&[&format!("h{i}.shop.example.co.uk")]);
        issue(&mut budget, &ask(&i.to_string(), &host, OrderKind::New), at(0)).unwrap();
    }
    let held =
        issue(&mut budget, &ask("x", &names(&["x.example.co.uk"]), OrderKind::New), at(0)).unwrap_err();
    assert_eq!((held.kind, held.about.as_str()), (LimitKind::CertificatesPerDomain, "example.co.uk"));
    issue(&mut budget, &ask("y", &names(&["x.other.co.uk"]), OrderKind::New), at(0)).unwrap();
    assert_eq!(budget.left(at(0)).certificates_per_domain, Some(0));
}

#[test]
fn domains_and_addresses() {
    let of = |name: &str| registered_domain(&name.parse().unwrap());
    assert_eq!(of("a.b.example.com"), "example.com");
    assert_eq!(of("someone.github.io"), "someone.github.io");
    assert_eq!(of("com"), "com");
    assert_eq!(of("192.0.2.1"), "192.0.2.1");
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
}

#[test]
fn a_name_that_fails() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let both = names(&["good.example.com", "bad.example.com"]);
    let bad: Vec<_> = names(&["bad.example.com"]).into_iter().collect();
    for _ in 0..5 {
        let leave = budget.ask(&ask("a", &both, OrderKind::New), at(0)).unwrap();
        budget.end(leave, failed(&bad), at(0));
    }
    let held = budget.ask(&ask("a", &both, OrderKind::New), at(0)).unwrap_err();
    assert_eq!((held.kind, held.until), (LimitKind::FailedValidations, turn(12 * 60)));
    assert_eq!(held.about, "bad.example.com");
    assert_eq!(budget.left(at(0)).new_orders, Some(295), "a wait takes nothing");
    assert_eq!(budget.left(at(0)).certificates_per_domain, Some(50), "nothing was issued");
    issue(&mut budget, &ask("b", &names(&["good.example.com"]), OrderKind::New), at(0)).unwrap();
    issue(&mut budget, &ask("a", &both, OrderKind::New), turn(12 * 60)).unwrap();
}

#[test]
fn those_who_try_a_name_now_may_all_fail() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let www = names(&["www.example.com"]);
    let who: Vec<_> = (0..6).map(|i| i.to_string()).collect();
    let leaves: Vec<_> =
        who[..5].iter().map(|who| budget.ask(&ask(who, &www, OrderKind::Resumed), at(0)).unwrap()).collect();
    let held = budget.ask(&ask("5", &www, OrderKind::Resumed), at(0)).unwrap_err();
    assert_eq!(held.until, at(10), "the others are soon done");
    for leave in leaves {
        budget.end(leave, ISSUED, at(1));
    }
    let leave = budget.ask(&ask("5", &www, OrderKind::Resumed), at(1)).unwrap();
    budget.end(leave, ISSUED, at(1));
}

#[test]
fn what_is_not_used_is_for_others() {
    let limit = Limit::new(2, SignedDuration::from_secs(200));
    let mut budget = Budget::new(Limits { new_orders: limit, ..Limits::default() });
    let (a, b, c) = (names(&["a.com"]), names(&["b.com"]), names(&["c.com"]));
    let leave = budget.ask(&ask("a", &a, OrderKind::New), at(0)).unwrap();
    budget.end(leave, NOT_ORDERED, at(0));
    issue(&mut budget, &ask("a", &a, OrderKind::New), at(0)).unwrap();
    issue(&mut budget, &ask("a", &a, OrderKind::New), at(0)).unwrap();

    assert_eq!(budget.ask(&ask("b", &b, OrderKind::New), at(0)).unwrap_err().until, turn(100));
    assert_eq!(budget.ask(&ask("c", &c, OrderKind::New), at(0)).unwrap_err().until, turn(200));
    budget.withdraw("b");
    assert_eq!(
        budget.ask(&ask("d", &b, OrderKind::New), at(0)).unwrap_err().until,
        turn(200),
        "c keeps its turn"
    );
    budget.withdraw("c");
    assert_eq!(
        budget.ask(&ask("e", &c, OrderKind::New), at(0)).unwrap_err().until,
        turn(200),
        "d keeps its turn"
    );
    assert_eq!(budget.left(at(0)).waiting, 2);
}

#[test]
fn whoever_wants_something_else_gives_its_turn_back() {
    let limit = Limit::new(1, SignedDuration::from_secs(100));
    let mut budget = Budget::new(Limits { duplicate_certificates: limit, ..Limits::default() });
    let (a, b) = (names(&["a.com"]), names(&["b.com"]));
    issue(&mut budget, &ask("x", &a, OrderKind::New), at(0)).unwrap();
    assert_eq!(budget.ask(&ask("x", &a, OrderKind::Renewal), at(0)).unwrap_err().until, turn(100));
    issue(&mut budget, &ask("x", &b, OrderKind::New), at(1)).unwrap();
    assert_eq!(budget.left(at(1)).waiting, 0);
    assert_eq!(budget.ask(&ask("x", &a, OrderKind::Renewal), at(1)).unwrap_err().until, turn(100));
}

#[test]
fn the_past_is_replayed() {
    let (www, bad) = (names(&["www.example.com"]), names(&["bad.example.com"]));
    let mut lived = Budget::new(Limits::LETS_ENCRYPT);
    let mut told = Budget::new(Limits::LETS_ENCRYPT);
    for i in 0..4 {
        let kind = if i == 0 { OrderKind::New } else { OrderKind::Renewal };
        let now = at(i * 600);
        issue(&mut lived, &ask("a", &www, kind), now).unwrap();
        told.replay(&Ordered { at: now, kind, names: Some(&www), failed: &[] });
        let names_that_fail: Vec<_> = bad.iter().cloned().collect();
        let leave = lived.ask(&ask("b", &bad, OrderKind::New), now).unwrap();
        lived.end(leave, failed(&names_that_fail), now);
        told.replay(&Ordered { at: now, kind: OrderKind::New, names: Some(&bad), failed: &names_that_fail });
    }
    assert_eq!(lived.left(at(2000)), told.left(at(2000)));
    for budget in [&mut lived, &mut told] {
        issue(budget, &ask("a", &www, OrderKind::Renewal), at(2000)).unwrap();
        let held = budget.ask(&ask("a", &www, OrderKind::Renewal), at(2000)).unwrap_err();
        assert_eq!(held.until, turn(7 * 24 * 3600 / 5));
    }
}

#[test]
fn the_ca_is_believed() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let www = names(&["www.example.com"]);
    budget.refused(at(500), at(0));
    assert_eq!(budget.ask(&ask("a", &www, OrderKind::New), at(0)).unwrap_err().until, at(500));
    budget.withdraw("a");
    budget.refused(at(100), at(0));
    assert_eq!(
        budget.ask(&ask("a", &www, OrderKind::New), at(0)).unwrap_err().until,
        at(500),
        "never sooner"
    );
    budget.withdraw("a");
    budget.refused(Timestamp::MAX, at(0));
    let until = budget.ask(&ask("a", &www, OrderKind::New), at(0)).unwrap_err().until;
    assert!(until <= at(3 * 3600), "nor for ever: {until}");
}

#[test]
fn a_clock_that_is_set_back_blocks_nobody_for_long() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    let www = names(&["www.example.com"]);
    let later = at(365 * 24 * 3600);
    for _ in 0..5 {
        issue(&mut budget, &ask("a", &www, OrderKind::New), later).unwrap();
    }
    assert!(budget.ask(&ask("a", &www, OrderKind::New), later).is_err());
    let held = budget.ask(&ask("a", &www, OrderKind::New), at(0)).unwrap_err();
    assert!(held.until <= at(14 * 24 * 3600), "{}", held.until);
}

#[test]
fn what_is_over_is_forgotten() {
    let mut budget = Budget::new(Limits::LETS_ENCRYPT);
    for i in 0..2000_i64 {
        let host = names(&[&format!("www.site-{i}.com")]);
        let _ = issue(&mut budget, &ask(&i.to_string(), &host, OrderKind::New), at(i * 36 * 3600));
    }
    assert!(budget.levels.len() < 600, "{}", budget.levels.len());
    assert!(budget.trying.is_empty());
}

/// A CA that counts for itself, token by token.
struct Ca {
    limit: Limit,
    tokens: f64,
    last: f64,
}

impl Ca {
    fn new(limit: Limit) -> Self {
        Self { limit, tokens: f64::from(limit.count()), last: 0.0 }
    }

    fn takes(&mut self, now: f64) -> bool {
        let count = f64::from(self.limit.count());
        let now = now.max(self.last);
        let filled = (now - self.last) / self.limit.period().as_secs_f64() * count;
        (self.tokens, self.last) = ((self.tokens + filled).min(count), now);
        // A millionth of a token is for rounding.
        let is_taken = self.tokens > 1.0 - 1e-6;
        self.tokens -= if is_taken { 1.0 } else { 0.0 };
        is_taken
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whoever has leave is never refused, in whatever order they come, give up, come late and come back, and however
    /// long (in tenths of a second) their orders are on the way.
    #[test]
    fn the_ca_never_refuses(
        count in 1_u32..20,
        period in 1_i64..5000,
        moves in prop::collection::vec((0_usize..40, 0_i64..300, 0_u8..8, 0_u8..100), 1..400),
    ) {
        let limit = Limit::new(count, SignedDuration::from_secs(period)).unwrap();
        let mut budget = Budget::new(Limits { new_orders: Some(limit), ..Limits::default() });
        let mut now = 0;
        let mut arrivals = Vec::new();
        for (who, pause, what, delay) in moves {
            now += pause;
            let (who, host) = (who.to_string(), names(&[&format!("h{who}.com")]));
            if what == 0 {
                budget.withdraw(&who);
                continue;
            }
            match budget.ask(&ask(&who, &host, OrderKind::New), at(now)) {
                Ok(leave) if what == 1 => budget.end(leave, NOT_ORDERED, at(now)),
                Ok(leave) => {
                    budget.end(leave, ISSUED, at(now));
                    arrivals.push(now as f64 + f64::from(delay) / 10.0);
                }
                Err(held) => prop_assert!(held.until > at(now), "a wait is a wait"),
            }
        }
        let mut ca = Ca::new(limit);
        arrivals.sort_by(f64::total_cmp);
        for (served, arrival) in arrivals.into_iter().enumerate() {
            prop_assert!(ca.takes(arrival), "refused at {arrival} after {served}");
        }
    }

    /// Whoever comes when told gets its turn within a bounded number of looks, and nobody is passed over.
    #[test]
    fn everybody_has_a_turn(count in 1_u32..20, interval in 20_i64..2000, crowd in 1_usize..100) {
        let limit = Limit::new(count, SignedDuration::from_secs(interval * i64::from(count))).unwrap();
        let mut budget = Budget::new(Limits { new_orders: Some(limit), ..Limits::default() });
        let mut looks = 0;
        let mut turns: BTreeSet<_> = (0..crowd).map(|who| (at(0), who)).collect();
        while let Some((now, who)) = turns.pop_first() {
            looks += 1;
            let (who_text, host) = (who.to_string(), names(&[&format!("h{who}.com")]));
            match budget.ask(&ask(&who_text, &host, OrderKind::New), now) {
                Ok(leave) => budget.end(leave, ISSUED, now),
                Err(held) => drop(turns.insert((held.until, who))),
            }
        }
        prop_assert!(looks <= 3 * crowd, "{looks} looks for {crowd}");
        prop_assert_eq!(budget.left(at(0)).waiting, 0);
    }
}
