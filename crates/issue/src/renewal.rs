//! When a certificate is renewed: by the CA's renewal information (RFC 9773), else by its life.

use crate::facts::CertificateFacts;
use crate::plan::Reason;
use crate::retry::MAX_AHEAD;
use gatecert_acme::{CertificateId, RenewalWindow, Retry};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A certificate of less life than this is renewed at its half, a longer one at two thirds.
const SHORT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 24);

/// The jitter spreads renewals over one part in this many of the time that is left.
const JITTER_PART: i64 = 20;

/// The jitter spreads renewals over no more than this.
const LONGEST_JITTER: SignedDuration = SignedDuration::from_hours(24);

/// However late a window the CA suggests, renewal begins when one part in this many of the time that is left after
/// the usual moment has passed: there has to be time for some failed attempts.
const LATEST_PART: i64 = 2;

/// A certificate is not renewed for its age before one part in this many of its life has passed …
const REST_PART: i64 = 10;

/// … or this long: a CA that takes certificates back gives more than a day for replacing them.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(12);

/// The least time between two questions to the CA (RFC 9773 §4.3.1).
const SHORTEST_QUESTION: SignedDuration = SignedDuration::from_mins(1);

/// The most time between two questions to the CA (RFC 9773 §4.3.1).
const LONGEST_QUESTION: SignedDuration = SignedDuration::from_hours(24);

/// Over how long questions are spread that are too many at once.
const PUT_OFF: SignedDuration = SignedDuration::from_hours(1);

/// The time to the next question after an error that does not pass (RFC 9773 §4.3.3).
const ERROR_QUESTION: SignedDuration = SignedDuration::from_hours(6);

/// What the CA said about renewing one certificate, to be kept between looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWindow {
    /// The certificate that it is about. A memory of another one is worth nothing.
    pub certificate_id: CertificateId,
    /// The window, once the CA has named one.
    pub window: Option<RenewalWindow>,
    /// The time that was chosen from the window. It is chosen once for a window: a choice at each look would come out
    /// at the start.
    pub renew_at: Option<Timestamp>,
    /// When to ask the CA again.
    pub ask_at: Timestamp,
}

impl StoredWindow {
    /// What is known of this certificate: the memory given, unless it is of another one.
    pub fn of(previous: Option<Self>, certificate_id: &CertificateId, now: Timestamp) -> Self {
        previous.filter(|previous| previous.certificate_id == *certificate_id).unwrap_or_else(|| Self {
            certificate_id: certificate_id.clone(),
            window: None,
            renew_at: None,
            ask_at: now,
        })
    }

    /// With an answer of the CA. `random`, from 0 to below 1, chooses the time in a window that was not known before;
    /// `retry_after` is kept within 1 minute and 1 day. A window that ends before it begins is no answer.
    pub fn answered(
        mut self,
        window: RenewalWindow,
        retry_after: Duration,
        now: Timestamp,
        random: f64,
    ) -> Self {
        if window.end <= window.start {
            return self.failed(Retry::No, now);
        }
        if self.window != Some(window) || self.renew_at.is_none() {
            let chosen = share(window.end.duration_since(window.start), random);
            self.renew_at = Some(later(window.start, chosen));
            self.window = Some(window);
        }
        self.ask_at = later(now, question_wait(retry_after));
        self
    }

    /// With a question that is not asked now, since there are too many at once, but at a time within an hour that `random`,
    /// from 0 to below 1, chooses.
    pub fn put_off(mut self, now: Timestamp, random: f64) -> Self {
        self.ask_at = later(now, share(PUT_OFF, random).max(SHORTEST_QUESTION));
        self
    }

    /// With a question that got no answer. The last answer still counts.
    pub fn failed(mut self, retry: Retry, now: Timestamp) -> Self {
        let wait = match retry {
            Retry::After(wait) => question_wait(wait),
            _ => ERROR_QUESTION,
        };
        self.ask_at = later(now, wait);
        self
    }
}

/// Whether the CA is to be asked for renewal information at this look, and about which certificate.
///
/// Not about an expired one (RFC 9773 §4.3), nor about one that has no identifier there.
pub fn question<'a>(
    certificate: &'a CertificateFacts,
    stored: Option<&StoredWindow>,
    now: Timestamp,
) -> Option<&'a CertificateId> {
    let id = certificate.certificate_id.as_ref().filter(|_| !certificate.is_expired(now))?;
    let is_due = about(certificate, stored).is_none_or(|stored| {
        // A time that is further ahead than any wait was written by a clock that has been set back since.
        stored.ask_at <= now || stored.ask_at.duration_since(now) > LONGEST_QUESTION
    });
    is_due.then_some(id)
}

/// When the CA is to be asked again, if it has been asked about this certificate before and has not expired by then.
pub(crate) fn next_question(
    certificate: &CertificateFacts,
    stored: Option<&StoredWindow>,
    now: Timestamp,
) -> Option<Timestamp> {
    let ask_at = about(certificate, stored)?.ask_at;
    (!certificate.is_expired(ask_at.max(now))).then_some(ask_at)
}

pub(crate) struct Renewal {
    pub(crate) at: Timestamp,
    pub(crate) reason: Reason,
}

impl Renewal {
    pub(crate) fn not_before(self, time: Timestamp) -> Self {
        Self { at: self.at.max(time), ..self }
    }

    pub(crate) fn not_after(self, time: Timestamp) -> Self {
        Self { at: self.at.min(time), ..self }
    }
}

/// When a certificate is to be renewed.
pub(crate) fn renewal(
    certificate: &CertificateFacts,
    stored: Option<&StoredWindow>,
    jitter: f64,
    renew_before: Option<SignedDuration>,
) -> Renewal {
    if let Some(before) = renew_before {
        return chosen(certificate, stored, before);
    }
    let usual = usual_time(certificate);
    let left = certificate.not_after.duration_since(usual);
    let Some(suggested) = about(certificate, stored).and_then(|stored| stored.renew_at) else {
        let spread = SignedDuration::from_secs(left.as_secs() / JITTER_PART).min(LONGEST_JITTER);
        return Renewal { at: later(usual, share(spread, jitter)), reason: Reason::Lifetime };
    };
    let latest = later(usual, SignedDuration::from_secs(left.as_secs() / LATEST_PART));
    if latest < suggested {
        return Renewal { at: latest, reason: Reason::Lifetime };
    }
    Renewal { at: suggested, reason: Reason::AriWindow }
}

/// When a certificate is renewed whose owner has chosen how long before its end: then, or earlier if the CA asks for it.
fn chosen(certificate: &CertificateFacts, stored: Option<&StoredWindow>, before: SignedDuration) -> Renewal {
    let at = certificate.not_after.saturating_sub(before).unwrap_or(certificate.not_before);
    match about(certificate, stored).and_then(|stored| stored.renew_at) {
        Some(suggested) if suggested < at => Renewal { at: suggested, reason: Reason::AriWindow },
        _ => Renewal { at, reason: Reason::Lifetime },
    }
}

/// Until when age is no reason to renew a certificate. Counted from its issue where that is known, and not later than
/// now by a clock that was set back since.
pub(crate) fn rested_at(
    certificate: &CertificateFacts,
    issued_at: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let rest = SignedDuration::from_secs(certificate.life().as_secs() / REST_PART).min(LONGEST_REST);
    let mut known = issued_at.into_iter().chain([certificate.not_before]);
    let from = known.find(|from| from.duration_since(now) <= MAX_AHEAD);
    from.map_or(Timestamp::MIN, |from| later(from, rest))
}

/// The usual moment: two thirds of the life, or its half where it is short.
fn usual_time(certificate: &CertificateFacts) -> Timestamp {
    let life = certificate.life();
    let lived = match life < SHORT_LIFE {
        true => life.as_secs() / 2,
        false => life.as_secs() / 3 * 2,
    };
    later(certificate.not_before, SignedDuration::from_secs(lived))
}

fn about<'a>(certificate: &CertificateFacts, stored: Option<&'a StoredWindow>) -> Option<&'a StoredWindow> {
    stored.filter(|stored| certificate.certificate_id.as_ref() == Some(&stored.certificate_id))
}

fn question_wait(wait: Duration) -> SignedDuration {
    SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX).clamp(SHORTEST_QUESTION, LONGEST_QUESTION)
}

/// The part of a span that `random` chooses, in whole seconds.
fn share(span: SignedDuration, random: f64) -> SignedDuration {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.0 };
    SignedDuration::from_secs((span.as_secs_f64() * random) as i64)
}

fn later(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.saturating_add(span).unwrap_or(Timestamp::MAX)
}
