//! What holds for every decision, whatever is observed: dates that make no sense and memories of other clocks too.

use super::tests::{DAY, certificate, start, wanted};
use super::*;
use gatecert_acme::{RenewalWindow, Retry};
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;

/// All that an [`Observed`] borrows.
#[derive(Clone, Debug)]
struct World {
    certificate: Option<CertificateFacts>,
    origin: Option<Origin>,
    wanted: Wanted,
    ari: Option<StoredWindow>,
    failures: Option<Failures>,
    pending_order: Option<Url>,
    forced: bool,
    now: Timestamp,
    jitter: f64,
    renew_before: Option<SignedDuration>,
}

impl World {
    fn observed_at(&self, now: Timestamp) -> Observed<'_> {
        Observed {
            certificate: self.certificate.as_ref().map_or(Stored::Missing, Stored::Certificate),
            origin: self.origin.as_ref(),
            wanted: &self.wanted,
            ari: self.ari.as_ref(),
            failures: self.failures.as_ref(),
            pending_order: self.pending_order.as_ref(),
            forced: self.forced,
            now,
            jitter: self.jitter,
            renew_before: self.renew_before,
        }
    }

    fn observed(&self) -> Observed<'_> {
        self.observed_at(self.now)
    }
}

/// Mostly within some years of each other, and sometimes as far off as there are times.
fn any_time() -> impl Strategy<Value = Timestamp> {
    let near =
        (-2 * 365 * DAY..2 * 365 * DAY).prop_map(|seconds| start() + SignedDuration::from_secs(seconds));
    let any = (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second())
        .prop_map(|second| Timestamp::from_second(second).unwrap());
    prop_oneof![8 => near, 1 => any, 1 => prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX)]]
}

fn any_certificate() -> impl Strategy<Value = CertificateFacts> {
    (0_u32..1000, any_time(), any_time(), any::<bool>(), 0_u8..10).prop_map(
        |(serial, not_before, not_after, has_id, names)| {
            let facts = certificate(serial, start(), DAY);
            let other_names = [Identifier::dns("c.test").unwrap()].into();
            CertificateFacts {
                not_before,
                not_after,
                certificate_id: facts.certificate_id.clone().filter(|_| has_id),
                identifiers: if names == 0 { other_names } else { facts.identifiers.clone() },
                ..facts
            }
        },
    )
}

fn any_failures() -> impl Strategy<Value = Failures> {
    (0_u32..9, any_time(), option::of(any_time()), any::<bool>()).prop_map(
        |(count, last, retry_after_until, permanent)| Failures {
            count,
            last,
            retry_after_until,
            permanent,
            wanted: wanted(),
        },
    )
}

prop_compose! {
    /// Whether it is of the certificate that is served is left to chance.
    fn any_window(certificate: CertificateFacts)(
        serial in option::of(0_u32..1000),
        window in option::of((any_time(), any_time())),
        renew_at in option::of(any_time()),
        ask_at in any_time(),
    ) -> Option<StoredWindow> {
        let of = serial.map(|serial| tests::certificate(serial, start(), DAY));
        Some(StoredWindow {
            certificate_id: of.as_ref().unwrap_or(&certificate).certificate_id.clone()?,
            window: window.map(|(start, end)| RenewalWindow { start, end }),
            renew_at,
            ask_at,
        })
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let facts = any_certificate().prop_flat_map(|certificate| {
        let ari = prop_oneof![Just(None).boxed(), any_window(certificate.clone()).boxed()];
        (option::weighted(0.9, Just(certificate)), ari)
    });
    let origin = option::of((any_time(), any::<bool>())).prop_map(|origin| {
        origin.map(|(issued_at, is_other)| Origin {
            directory: wanted().directory,
            profile: is_other.then(|| "other".to_owned()),
            issued_at,
        })
    });
    let order = option::weighted(0.2, Just("https://ca.test/order/1".parse().unwrap()));
    let renew_before = option::of((-DAY..400 * DAY).prop_map(SignedDuration::from_secs));
    let rest = (any_time(), 0.0..1.0, renew_before, proptest::bool::weighted(0.05), order);
    (facts, origin, option::of(any_failures()), rest).prop_map(
        |((certificate, ari), origin, failures, (now, jitter, renew_before, is_forced, pending_order))| {
            World {
                certificate,
                origin,
                wanted: wanted(),
                ari,
                failures,
                pending_order,
                forced: is_forced,
                now,
                jitter,
                renew_before,
            }
        },
    )
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// A look comes after a minute at the soonest and within half a day, and nothing becomes due in between.
    #[test]
    fn nothing_is_missed_between_two_looks(world in any_world(), part in 0.0..1.0) {
        if let Plan::UpToDate { look_again_at } = plan(&world.observed()) {
            prop_assert!(look_again_at >= later(world.now, SHORTEST_LOOK));
            prop_assert!(look_again_at <= later(world.now, LONGEST_LOOK));
            let until = look_again_at.duration_since(world.now);
            if until > SHORTEST_LOOK {
                let between = later(world.now, SignedDuration::from_secs_f64(until.as_secs_f64() * part));
                let plan = plan(&world.observed_at(between));
                prop_assert!(matches!(plan, Plan::UpToDate { .. }), "{plan:?} at {between}");
            }
        }
    }

    /// Who asks in so many words gets it; who has none, or one of other names, is not told that all is well.
    #[test]
    fn what_is_due_is_not_up_to_date(world in any_world()) {
        let plan = plan(&world.observed());
        let has_names = world.certificate.as_ref().is_some_and(|facts| facts.identifiers == world.wanted.identifiers);
        if world.forced {
            let is_issued = matches!(plan, Plan::Issue { reason: Reason::Forced, .. });
            prop_assert!(is_issued, "{plan:?}");
        } else if !has_names || world.pending_order.is_some() {
            let is_up_to_date = matches!(plan, Plan::UpToDate { .. });
            prop_assert!(!is_up_to_date, "{plan:?}");
        }
        if let Plan::Issue { resume, .. } = plan {
            prop_assert_eq!(resume, world.pending_order);
        }
    }

    /// An expired certificate is renewed, but for one that was issued so lately that the clock, or the CA, is wrong.
    #[test]
    fn an_expired_one_is_due(world in any_world()) {
        let Some(facts) = world.certificate.as_ref().filter(|facts| facts.is_expired(world.now)) else { return Ok(()) };
        let issued_at = world.origin.as_ref().map_or(facts.not_before, |origin| origin.issued_at);
        if issued_at.duration_since(world.now).abs() > SignedDuration::from_hours(24) {
            let plan = plan(&world.observed());
            let is_up_to_date = matches!(plan, Plan::UpToDate { .. });
            prop_assert!(!is_up_to_date, "{plan:?}");
        }
    }

    /// No failure, whatever is remembered of it, keeps a certificate for longer than a day and what two clocks differ by.
    #[test]
    fn no_failure_waits_for_longer_than_a_day(world in any_world()) {
        if let Plan::Wait { until, .. } = plan(&world.observed()) {
            prop_assert!(until > world.now);
            prop_assert!(until.duration_since(world.now) <= SignedDuration::from_hours(48), "until {until}");
            let after = plan(&world.observed_at(until));
            let is_still_waiting = matches!(after, Plan::Wait { .. });
            prop_assert!(!is_still_waiting, "{after:?}");
        }
    }

    /// One more failure never makes the next attempt come sooner.
    #[test]
    fn more_failures_wait_no_shorter(count in 1_u32..9, last in any_time(), seconds in option::of(0_u64..1_000_000)) {
        let retry = seconds.map_or(Retry::Now, |seconds| Retry::After(Duration::from_secs(seconds)));
        let before = Failures { count, last, retry_after_until: None, permanent: false, wanted: wanted() };
        let after = Failures::add(Some(&before), &wanted(), retry, last);
        let until = |failures: &Failures| failures.wait(&wanted(), last).map(|(until, _)| until);
        prop_assert!(until(&after) >= until(&before));
    }

    /// What is told to a person is what is done.
    #[test]
    fn the_time_that_is_told_is_the_one_that_counts(world in any_world()) {
        if let (Some(at), Plan::UpToDate { .. }) = (renews_at(&world.observed()), plan(&world.observed())) {
            prop_assert!(at > world.now);
        }
    }
}
