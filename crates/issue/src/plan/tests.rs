//! Single decisions. Two years of them are in [`super::years`].

use super::*;
use crate::renewal::question;
use gatecert_acme::{CertificateId, RenewalWindow, Retry};
use std::time::Duration;

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;

#[test]
fn a_chosen_time_before_the_end_is_the_latest() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let at = |days: i64, ari: Option<&StoredWindow>| {
        let renew_before = Some(SignedDuration::from_hours(24 * 10));
        plan(&Observed { renew_before, ari, ..observed(&certificate, &wanted, after(start(), days * DAY)) })
    };
    let is_issued = |plan: Plan| match plan {
        Plan::Issue { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(is_issued(at(79, None)), None);
    assert_eq!(is_issued(at(80, None)), Some(Reason::Lifetime));
    let window = |day: i64| StoredWindow {
        certificate_id: certificate_id(1),
        window: None,
        renew_at: Some(after(start(), day * DAY)),
        ask_at: after(start(), 89 * DAY),
    };
    assert_eq!(is_issued(at(50, Some(&window(50)))), Some(Reason::AriWindow));
    assert_eq!(is_issued(at(80, Some(&window(85)))), Some(Reason::Lifetime));
}

pub(super) fn start() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub(super) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time + SignedDuration::from_secs(seconds)
}

pub(super) fn wanted() -> Wanted {
    Wanted {
        identifiers: ["a.test", "b.test"].map(|name| name.parse().unwrap()).into(),
        key_type: KeyType::EcdsaP256,
        directory: "https://ca.test/directory".parse().unwrap(),
        profile: None,
    }
}

pub(super) fn certificate(serial: u32, not_before: Timestamp, life: i64) -> CertificateFacts {
    CertificateFacts {
        serial: format!("{serial:08x}"),
        not_before,
        not_after: after(not_before, life),
        issuer: "CA".into(),
        identifiers: wanted().identifiers,
        key_type: Some(KeyType::EcdsaP256),
        certificate_id: Some(certificate_id(serial)),
        // Spread over all jitters.
        fingerprint: format!("{:08x}", serial.wrapping_mul(2_654_435_761)),
    }
}

fn certificate_id(serial: u32) -> CertificateId {
    format!("AQ.{serial:08}").parse().unwrap()
}

fn observed<'a>(certificate: &'a CertificateFacts, wanted: &'a Wanted, now: Timestamp) -> Observed<'a> {
    Observed {
        certificate: Stored::Certificate(certificate),
        origin: None,
        wanted,
        ari: None,
        failures: None,
        pending_order: None,
        forced: false,
        now,
        jitter: 0.0,
        renew_before: None,
    }
}

fn reason_of(plan: Plan) -> Option<&'static str> {
    match plan {
        Plan::Issue { reason, .. } => Some(reason.kind()),
        _ => None,
    }
}

#[test]
fn a_young_certificate_is_up_to_date() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let plan = plan(&observed(&certificate, &wanted, after(start(), DAY)));
    assert_eq!(plan, Plan::UpToDate { look_again_at: after(start(), DAY + 12 * HOUR) });
}

#[test]
fn renewal_at_two_thirds_or_at_the_half() {
    let wanted = wanted();
    for (life, due) in [(90 * DAY, 60 * DAY), (45 * DAY, 30 * DAY), (6 * DAY, 3 * DAY), (6 * HOUR, 3 * HOUR)]
    {
        let certificate = certificate(1, start(), life);
        let at = |seconds| plan(&observed(&certificate, &wanted, after(start(), seconds)));
        assert_eq!(reason_of(at(due - 1)), None, "{life}");
        assert_eq!(reason_of(at(due)), Some("lifetime"), "{life}");
        assert_eq!(reason_of(at(life)), Some("expired"), "{life}");
    }
}

#[test]
fn the_renewal_that_is_told_is_the_one_that_is_planned() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let early = stored(1, window(HOUR, 2 * HOUR), 0.5);
    let late = stored(1, window(70 * DAY, 71 * DAY), 0.5);
    for ari in [None, Some(&early), Some(&late)] {
        for renew_before in [None, Some(SignedDuration::from_hours(24 * 10))] {
            let at = |now| Observed { renew_before, ari, ..observed(&certificate, &wanted, now) };
            let told = renews_at(&at(start())).unwrap();
            assert_eq!(reason_of(plan(&at(after(told, -1)))), None, "{ari:?} {renew_before:?}");
            assert!(reason_of(plan(&at(told))).is_some(), "{ari:?} {renew_before:?}");
        }
    }
    let none = Observed { certificate: Stored::Missing, ..observed(&certificate, &wanted, start()) };
    assert_eq!(renews_at(&none), None);
}

#[test]
fn jitter_is_bounded() {
    let wanted = wanted();
    for (life, due, most) in [(90 * DAY, 60 * DAY, DAY), (6 * HOUR, 3 * HOUR, 540)] {
        let certificate = certificate(1, start(), life);
        for jitter in [0.999_999, 1.0, 7.0, f64::NAN, f64::INFINITY, -1.0] {
            let at = Observed { jitter, ..observed(&certificate, &wanted, after(start(), due + most)) };
            assert_eq!(reason_of(plan(&at)), Some("lifetime"), "{jitter}");
        }
        let before =
            Observed { jitter: 0.5, ..observed(&certificate, &wanted, after(start(), due + most / 2 - 1)) };
        assert_eq!(plan(&before), Plan::UpToDate { look_again_at: after(before.now, 60) });
    }
}

#[test]
fn what_changed_is_named() {
    let certificate = certificate(1, start(), 90 * DAY);
    let origin = Origin { directory: wanted().directory, profile: None, issued_at: start() };
    let say = |wanted: &Wanted| match plan(&Observed {
        origin: Some(&origin),
        ..observed(&certificate, wanted, start())
    }) {
        Plan::Issue { reason, .. } => reason.to_string(),
        other => format!("{other:?}"),
    };
    let other =
        Wanted { identifiers: ["b.test", "c.test"].map(|name| name.parse().unwrap()).into(), ..wanted() };
    assert_eq!(say(&other), "the names changed, added c.test, removed a.test");
    let other = Wanted { key_type: KeyType::Rsa2048, ..wanted() };
    assert_eq!(say(&other), "the key type changed from ecdsa-p256 to rsa-2048");
    let other = Wanted { directory: "https://other.test/".parse().unwrap(), ..wanted() };
    assert_eq!(say(&other), "the CA changed from https://ca.test/directory to https://other.test/");
    let other = Wanted { profile: Some("tlsserver".into()), ..wanted() };
    assert_eq!(say(&other), "the profile changed from the CA's default to `tlsserver`");
}

#[test]
fn what_is_not_known_is_no_change() {
    let certificate = certificate(1, start(), 90 * DAY);
    let wanted = Wanted { profile: Some("classic".into()), ..wanted() };
    assert!(matches!(plan(&observed(&certificate, &wanted, start())), Plan::UpToDate { .. }));
}

#[test]
fn nothing_or_nonsense_is_issued_anew() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let base = observed(&certificate, &wanted, start());
    assert_eq!(reason_of(plan(&Observed { certificate: Stored::Missing, ..base.clone() })), Some("missing"));
    let unreadable = plan(&Observed { certificate: Stored::Unreadable("no PEM"), ..base });
    assert_eq!(unreadable, Plan::Issue { reason: Reason::Unreadable { why: "no PEM".into() }, resume: None });
}

#[test]
fn an_order_in_the_journal_is_gone_on_with() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let url: Url = "https://ca.test/order/1".parse().unwrap();
    let base = Observed { pending_order: Some(&url), ..observed(&certificate, &wanted, start()) };
    let resume = Some(url.clone());
    assert_eq!(plan(&base), Plan::Issue { reason: Reason::Unfinished, resume: resume.clone() });
    let missing = Observed { certificate: Stored::Missing, ..base };
    assert_eq!(plan(&missing), Plan::Issue { reason: Reason::Missing, resume });
}

#[test]
fn only_force_does_not_wait_for_failures() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let failures = Failures::add(None, &wanted, Retry::Now, start());
    let base = observed(&certificate, &wanted, start());
    let missing = Observed { certificate: Stored::Missing, failures: Some(&failures), ..base };
    let Plan::Wait { reason, until, why } = plan(&missing) else { panic!("{:?}", plan(&missing)) };
    assert_eq!((reason, until), (Reason::Missing, after(start(), 60)));
    assert_eq!(why.to_string(), "the last attempt failed");
    assert_eq!(reason_of(plan(&Observed { now: until, ..missing.clone() })), Some("missing"));
    assert_eq!(reason_of(plan(&Observed { forced: true, ..missing })), Some("forced"));
}

fn window(from: i64, to: i64) -> RenewalWindow {
    RenewalWindow { start: after(start(), from), end: after(start(), to) }
}

fn stored(serial: u32, window: RenewalWindow, random: f64) -> StoredWindow {
    let fresh = StoredWindow::of(None, &certificate_id(serial), start());
    fresh.answered(window, Duration::from_secs(6 * 3600), start(), random)
}

#[test]
fn the_chosen_time_of_the_window_counts() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let ari = stored(1, window(20 * DAY, 22 * DAY), 0.5);
    let at = |seconds| {
        plan(&Observed { ari: Some(&ari), ..observed(&certificate, &wanted, after(start(), seconds)) })
    };
    assert_eq!(reason_of(at(21 * DAY - 1)), None);
    assert_eq!(reason_of(at(21 * DAY)), Some("ari-window"));
    assert_eq!(
        at(DAY),
        Plan::UpToDate { look_again_at: after(start(), DAY + 60) },
        "the CA was not asked in time"
    );
    assert_eq!(at(0), Plan::UpToDate { look_again_at: after(start(), 6 * HOUR) });
}

#[test]
fn the_choice_is_made_once_for_a_window() {
    let first = stored(1, window(DAY, 3 * DAY), 0.9);
    let wait = Duration::from_secs(60);
    let again = first.clone().answered(window(DAY, 3 * DAY), wait, start(), 0.0);
    assert_eq!(again.renew_at, first.renew_at);
    let moved = first.clone().answered(window(2 * DAY, 3 * DAY), wait, start(), 0.0);
    assert_eq!(moved.renew_at, Some(after(start(), 2 * DAY)));
    let failed = moved.clone().failed(Retry::No, start());
    assert_eq!((failed.renew_at, failed.ask_at), (moved.renew_at, after(start(), 6 * HOUR)));
    let turned = moved.clone().answered(window(DAY, DAY), wait, start(), 0.0);
    assert_eq!(turned, failed, "no answer");
}

#[test]
fn the_memory_of_another_certificate_is_worth_nothing() {
    let (certificate, wanted) = (certificate(2, start(), 90 * DAY), wanted());
    let of_the_old = stored(1, window(-9 * DAY, -8 * DAY), 0.5);
    let at = Observed { ari: Some(&of_the_old), ..observed(&certificate, &wanted, after(start(), DAY)) };
    assert!(matches!(plan(&at), Plan::UpToDate { .. }));
    assert_eq!(question(&certificate, Some(&of_the_old), start()), certificate.certificate_id.as_ref());
    assert_eq!(StoredWindow::of(Some(of_the_old), &certificate_id(2), start()).renew_at, None);
}

#[test]
fn windows_out_of_reason() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let late = stored(1, window(400 * DAY, 500 * DAY), 0.5);
    let at = |ari: &StoredWindow, seconds| {
        reason_of(plan(&Observed {
            ari: Some(ari),
            ..observed(&certificate, &wanted, after(start(), seconds))
        }))
    };
    assert_eq!((at(&late, 75 * DAY - 1), at(&late, 75 * DAY)), (None, Some("lifetime")));
    let past = stored(1, window(-9 * DAY, -8 * DAY), 0.5);
    assert_eq!((at(&past, 12 * HOUR - 1), at(&past, 12 * HOUR)), (None, Some("ari-window")));
}

#[test]
fn what_was_just_issued_rests() {
    let (certificate, wanted) = (certificate(1, start(), 90 * DAY), wanted());
    let wrong = after(start(), 70 * DAY);
    let origin = Origin { directory: wanted.directory.clone(), profile: None, issued_at: wrong };
    let at = |seconds| {
        plan(&Observed { origin: Some(&origin), ..observed(&certificate, &wanted, after(wrong, seconds)) })
    };
    assert_eq!(at(0), Plan::UpToDate { look_again_at: after(wrong, 12 * HOUR) });
    assert_eq!(reason_of(at(12 * HOUR)), Some("lifetime"));
    assert_eq!(reason_of(at(-DAY)), Some("lifetime"), "the clock was set back since, but not enough");
    assert_eq!(reason_of(at(-69 * DAY)), None);
}

#[test]
fn the_ca_is_asked_in_its_time_and_never_about_the_expired() {
    let certificate = certificate(1, start(), 6 * DAY);
    let known = stored(1, window(2 * DAY, 3 * DAY), 0.5);
    let asks = |seconds| question(&certificate, Some(&known), after(start(), seconds)).is_some();
    assert!(!asks(0) && !asks(6 * HOUR - 1) && asks(6 * HOUR));
    assert!(!asks(6 * DAY), "expired");
    assert!(asks(-40 * DAY), "the clock was set back");
    for (retry_after, wait) in [(0, 60), (7, 60), (7200, 7200), (u64::MAX, DAY)] {
        let answered =
            known.clone().answered(window(2 * DAY, 3 * DAY), Duration::from_secs(retry_after), start(), 0.5);
        assert_eq!(answered.ask_at, after(start(), wait));
    }
    let failed = known.failed(Retry::After(Duration::from_secs(120)), start());
    assert_eq!(failed.ask_at, after(start(), 120));
}

#[test]
fn a_question_that_is_put_off_keeps_what_is_known() {
    let known = stored(1, window(60, 62), 0.5);
    let hour = SignedDuration::from_hours(1);
    let asked = |random| known.clone().put_off(start(), random).ask_at.duration_since(start());
    assert_eq!(asked(0.0), SignedDuration::from_mins(1));
    assert_eq!(asked(0.5), SignedDuration::from_mins(30));
    assert!(asked(0.999) < hour);
    let StoredWindow { window, renew_at, .. } = known.clone().put_off(start(), 0.5);
    assert_eq!((window, renew_at), (known.window, known.renew_at));
}

#[test]
fn renewals_of_many_are_spread() {
    let wanted = wanted();
    let due = |serial| {
        let certificate = certificate(serial, start(), 90 * DAY);
        let at = Observed {
            jitter: certificate.jitter(),
            renew_before: None,
            ..observed(&certificate, &wanted, after(start(), 60 * DAY + DAY / 2))
        };
        reason_of(plan(&at)).is_some()
    };
    let early = (1..=1000).filter(|serial| due(*serial)).count();
    assert!((400..=600).contains(&early), "{early} of 1000 in the first half of the spread");
}
