//! Whether a certificate has to be issued now, and if not, when to look again.

use crate::facts::CertificateFacts;
use crate::key::KeyType;
use crate::renewal::{self, Renewal, StoredWindow};
use crate::retry::{Failures, Why};
use gatecert_acme::Identifier;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use url::Url;

/// The longest time between two looks at a certificate: renewal information has to be asked for at least twice a day.
pub const LONGEST_LOOK: SignedDuration = SignedDuration::from_hours(12);

/// The shortest time between two looks at a certificate that needs nothing.
pub const SHORTEST_LOOK: SignedDuration = SignedDuration::from_mins(1);

/// All that [`plan`] looks at. It reads no clock and no file, so the same observations give the same plan.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The certificate that is served now.
    pub certificate: Stored<'a>,
    /// How it was ordered. `None` where that is not known, which is no reason to issue anew.
    pub origin: Option<&'a Origin>,
    /// What is to be served.
    pub wanted: &'a Wanted,
    /// What the CA said last about renewing the certificate.
    pub ari: Option<&'a StoredWindow>,
    /// The attempts that failed since the last success.
    pub failures: Option<&'a Failures>,
    /// The URL of an order in the journal that is for what is wanted (see
    /// [`Entry::is_for`](crate::journal::Entry::is_for)).
    pub pending_order: Option<&'a Url>,
    /// Whether somebody asked for a new certificate in so many words. That waits for nothing.
    pub forced: bool,
    /// The present time.
    pub now: Timestamp,
    /// Spreads the renewals of many certificates: from 0 to below 1, and the same for the same certificate at every
    /// look. [`CertificateFacts::jitter`] is such a number.
    pub jitter: f64,
    /// How long before its end the certificate is renewed at the latest, where somebody chose that. The CA may still
    /// ask for it earlier.
    pub renew_before: Option<SignedDuration>,
}

/// The certificate that is served now.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// There is none.
    Missing,
    /// There is something that can not be read as a certificate and its key, for this reason.
    Unreadable(&'a str),
    /// There is one.
    Certificate(&'a CertificateFacts),
}

/// What is to be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The names and addresses.
    pub identifiers: BTreeSet<Identifier>,
    /// The type of the key.
    pub key_type: KeyType,
    /// The directory of the CA.
    pub directory: Url,
    /// The profile; `None` leaves it to the CA.
    pub profile: Option<String>,
}

/// How a certificate was ordered: what can not be read from itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The directory of the CA.
    pub directory: Url,
    /// The profile that was asked for.
    pub profile: Option<String>,
    /// When it was issued, by this machine's clock. Whatever the dates of a certificate seem to say, age is no reason
    /// to renew it for some time after: a clock that is wrong, or a CA that gives windows of the past, would else have
    /// one certificate issued after the other.
    pub issued_at: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, until then.
    UpToDate {
        /// When to look again: in 1 minute to 12 hours.
        look_again_at: Timestamp,
    },
    /// Issue now.
    Issue {
        /// Why.
        reason: Reason,
        /// The order to go on with, where one was begun.
        resume: Option<Url>,
    },
    /// Issuing is due, but the last attempts failed.
    Wait {
        /// Why it is due.
        reason: Reason,
        /// When to try again, at most a day ahead unless the clock is changed.
        until: Timestamp,
        /// Why not now.
        why: Why,
    },
}

/// Why a certificate is to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it.
    Forced,
    /// There is no certificate.
    Missing,
    /// What there is can not be read.
    Unreadable {
        /// Why.
        why: String,
    },
    /// Other names are wanted than it has.
    NamesChanged {
        /// Names that it lacks.
        added: BTreeSet<Identifier>,
        /// Names that it has and nobody wants.
        removed: BTreeSet<Identifier>,
    },
    /// Another type of key is wanted.
    KeyTypeChanged {
        /// The type that it has, if it is a known one.
        from: Option<KeyType>,
        /// The wanted type.
        to: KeyType,
    },
    /// It comes from another CA than is wanted.
    IssuerChanged {
        /// The directory that it comes from.
        from: Url,
        /// The wanted one.
        to: Url,
    },
    /// It was ordered with another profile.
    ProfileChanged {
        /// The profile that it has.
        from: Option<String>,
        /// The wanted one.
        to: Option<String>,
    },
    /// It does not hold any more.
    Expired,
    /// The CA suggests to renew it now (RFC 9773).
    AriWindow,
    /// Most of its life is over.
    Lifetime,
    /// It needs nothing, but an order for it was begun and not ended.
    Unfinished,
}

/// Says what to do about one certificate, and when to look again.
///
/// Renewal is at the time that was chosen from the CA's window, or at 2/3 of the life (1/2 where that is under ten
/// days) with some jitter. Failed attempts are repeated after 1, 10 and 100 minutes, then daily (see [`Failures`]);
/// nothing gets faster when the end is near, since what fails then is not mended by asking more often.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let Some(reason) = reason(observed) else {
        return Plan::UpToDate { look_again_at: look_again_at(observed) };
    };
    let wait = observed.failures.and_then(|failures| failures.wait(observed.wanted, observed.now));
    match wait {
        Some((until, why)) if reason != Reason::Forced => Plan::Wait { reason, until, why },
        _ => Plan::Issue { reason, resume: observed.pending_order.cloned() },
    }
}

fn reason(observed: &Observed<'_>) -> Option<Reason> {
    let certificate = match observed.certificate {
        _ if observed.forced => return Some(Reason::Forced),
        Stored::Missing => return Some(Reason::Missing),
        Stored::Unreadable(why) => return Some(Reason::Unreadable { why: why.to_owned() }),
        Stored::Certificate(certificate) => certificate,
    };
    changed(certificate, observed.origin, observed.wanted)
        .or_else(|| aged(certificate, observed))
        .or_else(|| observed.pending_order.map(|_| Reason::Unfinished))
}

fn changed(certificate: &CertificateFacts, origin: Option<&Origin>, wanted: &Wanted) -> Option<Reason> {
    if certificate.identifiers != wanted.identifiers {
        return Some(Reason::NamesChanged {
            added: wanted.identifiers.difference(&certificate.identifiers).cloned().collect(),
            removed: certificate.identifiers.difference(&wanted.identifiers).cloned().collect(),
        });
    }
    if certificate.key_type != Some(wanted.key_type) {
        return Some(Reason::KeyTypeChanged { from: certificate.key_type, to: wanted.key_type });
    }
    let origin = origin?;
    if origin.directory != wanted.directory {
        return Some(Reason::IssuerChanged { from: origin.directory.clone(), to: wanted.directory.clone() });
    }
    let is_other = origin.profile != wanted.profile;
    is_other.then(|| Reason::ProfileChanged { from: origin.profile.clone(), to: wanted.profile.clone() })
}

fn aged(certificate: &CertificateFacts, observed: &Observed<'_>) -> Option<Reason> {
    let renewal = renewal_of(certificate, observed);
    let is_expired = certificate.is_expired(observed.now);
    (renewal.at <= observed.now).then_some(if is_expired { Reason::Expired } else { renewal.reason })
}

/// When the certificate that is served is to be renewed, by what is known now. `None` where none is served.
///
/// Failures and limits may make it later; another request of its owner, or of the CA, earlier.
pub fn renews_at(observed: &Observed<'_>) -> Option<Timestamp> {
    match observed.certificate {
        Stored::Certificate(certificate) => Some(renewal_of(certificate, observed).at),
        Stored::Missing | Stored::Unreadable(_) => None,
    }
}

fn renewal_of(certificate: &CertificateFacts, observed: &Observed<'_>) -> Renewal {
    let issued_at = observed.origin.map(|origin| origin.issued_at);
    let rested_at = renewal::rested_at(certificate, issued_at, observed.now);
    let renewal = renewal::renewal(certificate, observed.ari, observed.jitter, observed.renew_before);
    // One that ends before it begins is no reason to wait for its beginning.
    renewal.not_after(certificate.not_after).not_before(rested_at)
}

fn look_again_at(observed: &Observed<'_>) -> Timestamp {
    let in_time = |wait| observed.now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let mut at = in_time(LONGEST_LOOK);
    if let Stored::Certificate(certificate) = observed.certificate {
        at = at.min(renewal_of(certificate, observed).at);
        at =
            at.min(renewal::next_question(certificate, observed.ari, observed.now).unwrap_or(Timestamp::MAX));
    }
    at.max(in_time(SHORTEST_LOOK))
}

impl Reason {
    /// A stable word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forced => "forced",
            Self::Missing => "missing",
            Self::Unreadable { .. } => "unreadable",
            Self::NamesChanged { .. } => "names-changed",
            Self::KeyTypeChanged { .. } => "key-type-changed",
            Self::IssuerChanged { .. } => "issuer-changed",
            Self::ProfileChanged { .. } => "profile-changed",
            Self::Expired => "expired",
            Self::AriWindow => "ari-window",
            Self::Lifetime => "lifetime",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forced => f.write_str("a new certificate was asked for"),
            Self::Missing => f.write_str("there is no certificate yet"),
            Self::Unreadable { why } => write!(f, "the certificate can not be used: {why}"),
            Self::NamesChanged { added, removed } => {
                f.write_str("the names changed")?;
                list(f, "added", added)?;
                list(f, "removed", removed)
            }
            Self::KeyTypeChanged { from, to } => {
                write!(f, "the key type changed from {} to {to}", from.map_or("another", KeyType::as_str))
            }
            Self::IssuerChanged { from, to } => write!(f, "the CA changed from {from} to {to}"),
            Self::ProfileChanged { from, to } => {
                let name = |profile: &Option<String>| {
                    profile
                        .as_ref()
                        .map_or_else(|| "the CA's default".to_owned(), |profile| format!("`{profile}`"))
                };
                write!(f, "the profile changed from {} to {}", name(from), name(to))
            }
            Self::Expired => f.write_str("the certificate has expired"),
            Self::AriWindow => f.write_str("the CA suggests to renew it now"),
            Self::Lifetime => f.write_str("most of the certificate's life is over"),
            Self::Unfinished => f.write_str("an order was begun and not ended"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, names: &BTreeSet<Identifier>) -> fmt::Result {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    match names.is_empty() {
        true => Ok(()),
        false => write!(f, ", {what} {}", names.join(", ")),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod years;
