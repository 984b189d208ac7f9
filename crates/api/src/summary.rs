//! What a person wants to know of a Certificate at a glance.

use crate::{Certificate, CertificateStatus, ConditionType, IssuerReference, LastError};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

/// The longest text of a status that is kept, in characters: as long as those that the controller writes. A status may
/// have been written by others.
const MAX_TEXT: usize = 1024;

/// The most names that an error is said to be about: as many as a certificate has.
const MAX_NAMES: usize = 100;

/// How long after its time a renewal is late, at the most. It takes seconds, minutes where the limits of a CA are near.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How a Certificate is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub enum Health {
    /// What is wanted is not published, or does not hold now.
    NotReady,
    /// What is published holds, but what should follow it does not come.
    Late,
    /// What is wanted is published.
    Ready,
}

impl Health {
    /// The word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotReady => "NotReady",
            Self::Late => "Late",
            Self::Ready => "Ready",
        }
    }
}

/// A Certificate in few words, none of them secret and none with control characters. An answer of programs to others:
/// `gatecert status -o json` and the controller's `/status.json` consist of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its first names and addresses.
    pub names: Vec<String>,
    /// How many it has in all.
    pub name_count: usize,
    /// Who issues it.
    pub issuer: IssuerReference,
    /// The namespace of its Secret.
    pub secret_namespace: String,
    /// The name of its Secret.
    pub secret_name: String,
    /// Whether the condition `Ready` is true, of the present generation.
    pub is_ready: bool,
    /// The reason of what is under way or in the way, as its condition has it; empty where all is done.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
    /// How far an issuance under way is.
    pub step: Option<String>,
    /// Since when it is.
    pub step_since: Option<Timestamp>,
    /// The first moment at which the published certificate holds.
    pub not_before: Option<Timestamp>,
    /// The last one.
    pub not_after: Option<Timestamp>,
    /// When it will be renewed.
    pub renewal_time: Option<Timestamp>,
    /// How many attempts failed since the last success.
    pub failed_attempts: u32,
    /// When the next one is made.
    pub next_attempt_time: Option<Timestamp>,
    /// Why the last one failed.
    pub last_error: Option<LastError>,
}

/// A summary, and what it comes to at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryAt<'a> {
    /// How the Certificate is then.
    pub health: Health,
    /// What is known of it.
    #[serde(flatten)]
    pub summary: &'a CertificateSummary,
}

impl CertificateSummary {
    /// What there is to say of a Certificate, with the first `most_names` of its names.
    pub fn of(certificate: &Certificate, most_names: usize) -> Self {
        let (metadata, spec) = (&certificate.metadata, &certificate.spec);
        let none = CertificateStatus::default();
        let status = certificate.status.as_ref().unwrap_or(&none);
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let stand = Stand::of(status, metadata.generation);
        let attempts = status.failed_attempts.as_ref();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            names: spec.names().take(most_names).map(text).collect(),
            name_count: spec.names().count(),
            issuer: IssuerReference { name: text(&spec.issuer_ref.name), ..spec.issuer_ref.clone() },
            secret_namespace: spec.secret_namespace.clone().unwrap_or_else(|| namespace.clone()),
            secret_name: spec.secret_name.clone(),
            namespace,
            is_ready: stand.is_ready,
            reason: text(stand.reason),
            message: text(stand.message),
            step: status.issuance.as_ref().map(|issuance| issuance.step.as_str().to_owned()),
            step_since: status.issuance.as_ref().map(|issuance| issuance.since.0),
            not_before: status.not_before.as_ref().map(|time| time.0),
            not_after: status.not_after.as_ref().map(|time| time.0),
            renewal_time: status.renewal_time.as_ref().map(|time| time.0),
            failed_attempts: status.failed_issuance_attempts.unwrap_or_default().try_into().unwrap_or(0),
            next_attempt_time: attempts.map(|attempts| attempts.next_attempt_time.0),
            last_error: status.last_error.as_ref().map(cleaned),
        }
    }

    /// How the Certificate is at this time.
    pub fn health(&self, now: Timestamp) -> Health {
        let holds = self.not_after.is_none_or(|not_after| not_after > now);
        let is_in_the_way = !self.reason.is_empty() && self.step.is_none();
        match () {
            () if !self.is_ready || !holds => Health::NotReady,
            () if self.last_error.is_some() || is_in_the_way || self.is_overdue(now) => Health::Late,
            () => Health::Ready,
        }
    }

    /// In a word what is in the way at this time, or under way: empty where nothing is.
    pub fn why(&self, now: Timestamp) -> &str {
        match &self.last_error {
            _ if !self.reason.is_empty() => &self.reason,
            _ if self.not_after.is_some_and(|end| end <= now) => "Expired",
            Some(error) => &error.kind,
            None if self.is_overdue(now) => "Overdue",
            None => "",
        }
    }

    /// The summary with what it comes to at this time.
    pub fn at(&self, now: Timestamp) -> SummaryAt<'_> {
        SummaryAt { health: self.health(now), summary: self }
    }

    /// Whether the time of its renewal passed without one. Certificates that live for minutes are late sooner.
    fn is_overdue(&self, now: Timestamp) -> bool {
        let life = self.not_after.zip(self.not_before).map(|(end, begin)| end.duration_since(begin));
        let grace = life.map_or(LATE_AFTER, |life| LATE_AFTER.min(life / 10));
        self.renewal_time.is_some_and(|renewal| now.duration_since(renewal) > grace)
    }
}

/// What the conditions say.
struct Stand<'a> {
    is_ready: bool,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Stand<'a> {
    fn of(status: &'a CertificateStatus, generation: Option<i64>) -> Self {
        let find = |type_: ConditionType| {
            status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
        };
        let Some(ready) = find(ConditionType::Ready) else {
            return Self {
                is_ready: false,
                reason: "Pending",
                message: "no controller has looked at it yet: is one running?",
            };
        };
        let is_seen = |condition: &&Condition| {
            condition.observed_generation.is_none_or(|seen| Some(seen) >= generation)
        };
        let is_ready = ready.status == "True" && is_seen(&ready);
        let issuing = find(ConditionType::Issuing).filter(is_seen);
        // Without anything to do the condition says so by this reason.
        let (reason, message) = match issuing.filter(|issuing| issuing.reason != "Idle") {
            Some(issuing) => (issuing.reason.as_str(), issuing.message.as_str()),
            None if is_ready => ("", ""),
            None if !is_seen(&ready) => ("Changed", "the controller has not looked at the change yet"),
            None => (ready.reason.as_str(), ready.message.as_str()),
        };
        Self { is_ready, reason, message }
    }
}

fn cleaned(error: &LastError) -> LastError {
    LastError {
        kind: text(&error.kind),
        message: text(&error.message),
        hint: error.hint.as_deref().map(text),
        names: error.names.iter().take(MAX_NAMES).map(|name| text(name)).collect(),
    }
}

/// In one line of bounded length, without what steers a terminal.
fn text(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-11-26T12:00:00Z";

    fn certificate(status: Value) -> Certificate {
        serde_json::from_value(json!({
            "apiVersion": "gatecert.dev/v1",
            "kind": "Certificate",
            "metadata": {"name": "www", "namespace": "shop", "generation": 2},
            "spec": {"secretName": "www-tls", "dnsNames": ["a.test", "b.test"], "issuerRef": {"name": "le"}},
            "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!({
            "type": type_, "status": status, "reason": reason, "message": format!("{reason}\u{1b}[2J!"),
            "observedGeneration": generation, "lastTransitionTime": NOW,
        })
    }

    fn ready(issuing: Value, more: Value) -> Certificate {
        let mut status = json!({
            "conditions": [condition("Ready", "True", "Issued", 2), issuing],
            "notBefore": "2026-11-01T00:00:00Z", "notAfter": "2027-01-30T00:00:00Z",
            "renewalTime": "2026-12-31T00:00:00Z",
        });
        for (key, value) in more.as_object().unwrap() {
            status[key] = value.clone();
        }
        certificate(status)
    }

    fn stands(certificate: &Certificate) -> (Health, String) {
        let (summary, now) = (CertificateSummary::of(certificate, 1), NOW.parse().unwrap());
        (summary.health(now), summary.why(now).to_owned())
    }

    #[test]
    fn each_state_has_a_word_and_a_reason() {
        let idle = || condition("Issuing", "False", "Idle", 2);
        let error = json!({"kind": "OrderRefused", "message": "no"});
        for (certificate, health, reason) in [
            (certificate(json!({})), Health::NotReady, "Pending"),
            (ready(idle(), json!({})), Health::Ready, ""),
            (ready(idle(), json!({"notAfter": "2026-11-26T11:59:59Z"})), Health::NotReady, "Expired"),
            (ready(idle(), json!({"renewalTime": "2026-11-26T10:59:59Z"})), Health::Late, "Overdue"),
            (ready(idle(), json!({"renewalTime": "2026-11-26T11:00:01Z"})), Health::Ready, ""),
            (
                ready(condition("Issuing", "False", "OrderRefused", 2), json!({"lastError": error})),
                Health::Late,
                "OrderRefused",
            ),
            (ready(condition("Issuing", "False", "NoGateway", 2), json!({})), Health::Late, "NoGateway"),
            (
                certificate(json!({"conditions": [condition("Ready", "False", "NoGateway", 2)]})),
                Health::NotReady,
                "NoGateway",
            ),
            (
                certificate(json!({"conditions": [condition("Ready", "True", "Issued", 1)]})),
                Health::NotReady,
                "Changed",
            ),
        ] {
            assert_eq!(stands(&certificate), (health, reason.to_owned()), "{certificate:#?}");
        }
    }

    #[test]
    fn an_issuance_under_way_is_no_delay() {
        let issuance =
            json!({"order": "https://ca.test/1", "step": "Proving", "challenges": [], "since": NOW});
        let renewing = ready(condition("Issuing", "True", "Proving", 2), json!({"issuance": issuance}));
        assert_eq!(stands(&renewing), (Health::Ready, "Proving".to_owned()));
        assert_eq!(CertificateSummary::of(&renewing, 1).step.as_deref(), Some("Proving"));
    }

    #[test]
    fn one_that_lives_for_minutes_is_late_after_one() {
        let short = |renewal: &str| {
            ready(
                condition("Issuing", "False", "Idle", 2),
                json!({
                    "notBefore": "2026-11-26T11:55:00Z", "notAfter": "2026-11-26T12:05:00Z", "renewalTime": renewal,
                }),
            )
        };
        assert_eq!(stands(&short("2026-11-26T11:59:01Z")).0, Health::Ready);
        assert_eq!(stands(&short("2026-11-26T11:58:59Z")).0, Health::Late);
    }

    #[test]
    fn what_others_wrote_is_cut_and_cleaned() {
        let long = "x".repeat(5000);
        let error = json!({"kind": "a\nb", "message": long, "hint": "\u{9b}1m", "names": vec!["n"; 300]});
        let summary = CertificateSummary::of(&certificate(json!({"lastError": error})), 1);
        let error = summary.last_error.unwrap();
        assert_eq!((error.kind.as_str(), error.message.len(), error.names.len()), ("a b", 1024, 100));
        assert_eq!(error.hint.as_deref(), Some(" 1m"));
        assert_eq!((summary.names.len(), summary.name_count), (1, 2));
    }

    #[test]
    fn programs_read_one_flat_object() {
        let summary = CertificateSummary::of(&ready(condition("Issuing", "False", "Idle", 2), json!({})), 9);
        let value = serde_json::to_value(summary.at(NOW.parse().unwrap())).unwrap();
        assert_eq!((&value["health"], &value["notAfter"]), (&json!("Ready"), &json!("2027-01-30T00:00:00Z")));
        assert_eq!((&value["issuer"]["name"], &value["nameCount"]), (&json!("le"), &json!(2)));
    }
}
