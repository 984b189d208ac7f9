//! What is said of a Certificate: its status, and an event where something changed.

use crate::certificate::{Mark, Obstacle, Situation};
use crate::controller::Controller;
use crate::patience;
use gatecert_api::{
    Certificate, CertificateStatus, ConditionType, FailedAttempts, Issuance, LastError, RenewalInformation,
    annotation, conditions_with,
};
use gatecert_issue::{CertificateFacts, Failures, ObtainError, StoredWindow, Wanted};
use gatecert_publish::kubernetes::SecretError;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use std::error::Error;

/// The longest text of an error that a status holds, in characters.
const MAX_MESSAGE: usize = 1024;

/// An error with the causes behind it, in one line of bounded length, without anything that a terminal or a log reads
/// as more than text.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect()
}

/// What an error of an issuance is to a reader of the status.
pub(crate) fn last_error(error: &ObtainError) -> LastError {
    let kind = match error {
        ObtainError::Present(_) => "RouteNotWritten",
        ObtainError::Ready(_) => "RouteNotReady",
        ObtainError::Validation { .. } => "ValidationFailed",
        ObtainError::Order { .. } => "OrderRefused",
        ObtainError::Finalize(_) | ObtainError::Issue(_) => "NotIssued",
        ObtainError::Verify(_) => "CertificateNotUsable",
        ObtainError::Journal(_) => "JournalNotWritten",
        ObtainError::ProfileNotOffered { .. } => "ProfileNotOffered",
        _ => "IssuanceFailed",
    };
    LastError {
        kind: kind.to_owned(),
        message: chain(error),
        hint: error.hint(),
        names: error.identifiers().iter().map(ToString::to_string).collect(),
    }
}

/// A short text that changes when what is wanted does.
fn fingerprint(wanted: &Wanted) -> String {
    gatecert_render::fingerprint(&serde_json::to_string(wanted).unwrap_or_default())
}

/// The failures that a status remembers, if they are of what is wanted now.
pub(crate) fn failures_of(status: &CertificateStatus, wanted: &Wanted) -> Option<Failures> {
    let attempts =
        status.failed_attempts.as_ref().filter(|attempts| attempts.wanted == fingerprint(wanted))?;
    Some(Failures {
        count: u32::try_from(status.failed_issuance_attempts?).ok()?,
        last: status.last_failure_time.as_ref()?.0,
        retry_after_until: attempts.retry_after_until.as_ref().map(|time| time.0),
        permanent: attempts.permanent,
        wanted: wanted.clone(),
    })
}

/// Puts failures into a status.
pub(crate) fn set_failures(status: &mut CertificateStatus, failures: Option<&Failures>, now: Timestamp) {
    status.failed_issuance_attempts = failures.and_then(|failures| i32::try_from(failures.count).ok());
    status.last_failure_time = failures.map(|failures| Time(failures.last));
    status.failed_attempts = failures.map(|failures| {
        let until = failures.wait(&failures.wanted, now).map_or(now, |(until, _)| until);
        FailedAttempts {
            next_attempt_time: Time(until),
            retry_after_until: failures.retry_after_until.map(Time),
            permanent: failures.permanent,
            wanted: fingerprint(&failures.wanted),
        }
    });
}

/// The renewal information that a status remembers.
pub(crate) fn window_of(status: &CertificateStatus) -> Option<StoredWindow> {
    let ari = status.ari.as_ref()?;
    let window = ari.window_start.as_ref().zip(ari.window_end.as_ref());
    Some(StoredWindow {
        certificate_id: ari.certificate_id.parse().ok()?,
        window: window.map(|(start, end)| gatecert_acme::RenewalWindow { start: start.0, end: end.0 }),
        renew_at: ari.selected.as_ref().map(|time| time.0),
        ask_at: ari.ask_again_at.0,
    })
}

/// Renewal information as a status has it.
pub(crate) fn renewal_information(
    window: &StoredWindow,
    explanation_url: Option<String>,
) -> RenewalInformation {
    RenewalInformation {
        certificate_id: window.certificate_id.to_string(),
        window_start: window.window.map(|window| Time(window.start)),
        window_end: window.window.map(|window| Time(window.end)),
        selected: window.renew_at.map(Time),
        ask_again_at: Time(window.ask_at),
        explanation_url,
    }
}

/// Puts what is published into a status.
pub(crate) fn set_published(status: &mut CertificateStatus, facts: Option<&CertificateFacts>) {
    status.not_before = facts.map(|facts| Time(facts.not_before));
    status.not_after = facts.map(|facts| Time(facts.not_after));
    status.serial_number = facts.map(|facts| facts.serial.clone());
}

/// Sets both conditions from where a Certificate stands.
pub(crate) fn set_conditions(
    status: &mut CertificateStatus,
    certificate: &Certificate,
    situation: &Situation,
    now: Timestamp,
) {
    status.observed_generation = certificate.metadata.generation;
    set_condition(status, certificate, ConditionType::Ready, &situation.ready, now);
    set_condition(status, certificate, ConditionType::Issuing, &situation.issuing, now);
}

fn set_condition(
    status: &mut CertificateStatus,
    certificate: &Certificate,
    type_: ConditionType,
    mark: &Mark,
    now: Timestamp,
) {
    let (generation, Mark { is_true, reason, message }) = (certificate.metadata.generation, mark);
    status.conditions =
        conditions_with(&status.conditions, type_, *is_true, reason, message, generation, Time(now));
}

/// Puts an issuance under way into a status. What is published may be what was wanted before: then `Ready` stays true of that
/// generation, so that whoever waits for the present one (`kubectl wait`, Flux) goes on waiting.
fn set_issuance(
    status: &mut CertificateStatus,
    certificate: &Certificate,
    issuance: Issuance,
    now: Timestamp,
) {
    let names = issuance.names.join(", ");
    status.issuance = Some(issuance);
    let is_ready = |condition: &Condition| {
        condition.type_ == ConditionType::Ready.as_str() && condition.status == "True"
    };
    if !status.conditions.iter().any(is_ready) {
        let pending = Mark::new(false, "Pending", "the first certificate is being issued");
        set_condition(status, certificate, ConditionType::Ready, &pending, now);
    }
    let issuing = Mark::new(true, "Proving", format!("the CA is shown that {names} lead here"));
    set_condition(status, certificate, ConditionType::Issuing, &issuing, now);
}

/// Whether two statuses say the same, but for when the CA is asked again: ten thousand certificates would be a write each two
/// seconds for that alone.
fn is_same(before: &CertificateStatus, after: &CertificateStatus) -> bool {
    let Some((ari_before, ari_after)) = before.ari.as_ref().zip(after.ari.as_ref()) else {
        return before == after;
    };
    let ari = RenewalInformation { ask_again_at: ari_before.ask_again_at.clone(), ..ari_after.clone() };
    *before == CertificateStatus { ari: Some(ari), ..after.clone() }
}

impl Controller {
    /// Writes a status, if it differs from the one that was there; and an event, if it is news. Says whether the status is
    /// as it should be now.
    pub(crate) async fn report(
        &self,
        certificate: &Certificate,
        status: CertificateStatus,
        situation: &Situation,
    ) -> bool {
        let before = self.certificates.written_status(certificate);
        if is_same(&before, &status) {
            return true;
        }
        let was =
            before.conditions.iter().find(|condition| condition.type_ == ConditionType::Issuing.as_str());
        let news = situation.news.as_ref().filter(|news| {
            news.is_good || was.is_none_or(|was| was.reason != news.reason || was.status == "True")
        });
        let write = self.write_status(certificate, status);
        match news {
            Some(news) => {
                let reference = certificate.object_ref(&());
                tokio::join!(write, self.tell(&reference, news.is_good, &news.reason, &news.message)).0
            }
            None => write.await,
        }
    }

    /// Shows the challenges of an issuance in the status, which the responders read.
    pub(crate) async fn show_issuance(&self, certificate: &Certificate, issuance: Issuance) {
        let mut status = self.certificates.status(certificate);
        set_issuance(&mut status, certificate, issuance, self.now());
        // Responders learn of the challenges by it. Where it is not written no route is proved, and there is another attempt.
        self.write_status(certificate, status).await;
    }

    async fn write_status(&self, certificate: &Certificate, status: CertificateStatus) -> bool {
        let name = certificate.name_any();
        let patch = json!({
            "apiVersion": Certificate::api_version(&()),
            "kind": Certificate::kind(&()),
            "metadata": { "name": name, "uid": certificate.uid() },
            "status": status,
        });
        let api: Api<Certificate> =
            Api::namespaced(self.client.clone(), &certificate.namespace().unwrap_or_default());
        let parameters = PatchParams::apply(annotation::MANAGER).force();
        match api.patch_status(&name, &parameters, &Patch::Apply(patch)).await {
            Ok(written) => {
                self.certificates.wrote(&written, status);
                true
            }
            Err(kube::Error::Api(error)) if error.is_not_found() => {
                tracing::debug!(certificate = %name, "the Certificate is gone; its status is not written");
                true
            }
            Err(error) => {
                tracing::warn!(certificate = %name, %error, "a status was not written");
                self.certificates.did_not_write(certificate, status);
                false
            }
        }
    }
}

impl Obstacle {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), is_passing: false }
    }

    /// One that the API server puts in the way.
    pub(crate) fn of_api(reason: &str, message: impl Into<String>, error: &kube::Error) -> Self {
        Self { is_passing: patience::is_passing(error), ..Self::new(reason, message) }
    }

    /// A Secret could not be written.
    pub(crate) fn of_secret(error: &SecretError) -> Self {
        let (reason, message) = ("SecretNotWritten", chain(error));
        match error {
            SecretError::Write { source, .. } => Self::of_api(reason, message, source),
            _ => Self::new(reason, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_api::{CertificateSpec, Health, Step};

    fn observed(status: &CertificateStatus, type_: ConditionType) -> (Option<i64>, &str) {
        let condition = status.conditions.iter().find(|condition| condition.type_ == type_.as_str()).unwrap();
        (condition.observed_generation, condition.status.as_str())
    }

    #[test]
    fn a_question_that_is_asked_later_is_no_news() {
        let at = |time: &str| Some(Time(time.parse().unwrap()));
        let status = |asked: &str, end: &str| CertificateStatus {
            revision: Some(1),
            ari: Some(RenewalInformation {
                certificate_id: "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned(),
                window_start: at("2026-11-26T12:00:00Z"),
                window_end: at(end),
                selected: at("2026-11-26T13:00:00Z"),
                ask_again_at: Time(asked.parse().unwrap()),
                explanation_url: None,
            }),
            ..CertificateStatus::default()
        };
        let before = status("2026-11-01T00:00:00Z", "2026-11-28T12:00:00Z");
        assert!(is_same(&before, &status("2026-11-01T06:00:00Z", "2026-11-28T12:00:00Z")));
        assert!(!is_same(&before, &status("2026-11-01T06:00:00Z", "2026-11-27T12:00:00Z")));
        assert!(!is_same(&before, &CertificateStatus { revision: Some(2), ..before.clone() }));
        assert!(!is_same(&before, &CertificateStatus { ari: None, ..before.clone() }));
    }

    #[test]
    fn what_was_wanted_before_is_not_what_is_ready_now() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let mut certificate = Certificate::new("www", CertificateSpec::default());
        certificate.metadata.generation = Some(1);
        let mut status = CertificateStatus::default();
        let (ready, issuing) = (Mark::new(true, "Issued", ""), Mark::new(false, "Idle", ""));
        let situation = Situation { ready, issuing, news: None };
        set_conditions(&mut status, &certificate, &situation, now);
        assert_eq!(
            (status.observed_generation, observed(&status, ConditionType::Ready)),
            (Some(1), (Some(1), "True"))
        );

        certificate.metadata.generation = Some(2);
        let issuance = Issuance {
            order: String::new(),
            names: vec!["www.test".to_owned()],
            step: Step::Proving,
            challenges: Vec::new(),
            since: Time(now),
        };
        set_issuance(&mut status, &certificate, issuance, now);
        assert_eq!(
            (status.observed_generation, observed(&status, ConditionType::Ready)),
            (Some(1), (Some(1), "True"))
        );
        assert_eq!(observed(&status, ConditionType::Issuing), (Some(2), "True"));
        certificate.status = Some(status.clone());
        let summary = gatecert_api::CertificateSummary::of(&certificate, 1);
        assert_eq!((summary.health(now), summary.reason.as_str()), (Health::NotReady, "Proving"));

        set_conditions(&mut status, &certificate, &situation, now);
        assert_eq!(
            (status.observed_generation, observed(&status, ConditionType::Ready)),
            (Some(2), (Some(2), "True"))
        );
    }
}
