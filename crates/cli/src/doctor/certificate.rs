//! The Certificates that have the name, their conditions, and when they are renewed.

use super::cluster::name_of;
use super::controller;
use super::kind::Kind;
use super::report::{Verdict, plain};
use crate::issue::day;
use gatecert_api::{Certificate, CertificateStatus};
use gatecert_render::ObjectName;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::net::IpAddr;

/// Where a command names an issuer that is not known.
pub(super) const ISSUER: &str = "ISSUER";

/// How long after its time a renewal may begin: the controller looks again within minutes.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// What is known.
#[derive(Clone, Debug)]
pub(super) struct CertificateFacts<'a> {
    pub(super) host: String,
    pub(super) now: Timestamp,
    /// Those that have the name, as [`naming`] gives them.
    pub(super) certificates: Vec<&'a Certificate>,
    /// A namespace in which one would be right.
    pub(super) namespace: Option<String>,
    /// The controller's namespace.
    pub(super) controller: String,
}

/// The Certificates that have a name, of one namespace or of all.
pub(super) fn naming<'a>(
    all: &'a [Certificate],
    host: &str,
    namespace: Option<&str>,
) -> Vec<&'a Certificate> {
    let is_here =
        |one: &&Certificate| namespace.is_none_or(|here| one.metadata.namespace.as_deref() == Some(here));
    let has = |one: &&Certificate| one.spec.names().any(|name| name.eq_ignore_ascii_case(host));
    let mut found: Vec<_> = all.iter().filter(is_here).filter(has).collect();
    found.sort_by_key(|one| one.metadata.creation_timestamp.as_ref().map(|time| time.0));
    found
}

pub(super) fn verdicts(facts: &CertificateFacts<'_>) -> Vec<Verdict> {
    if facts.certificates.is_empty() {
        return vec![missing(facts)];
    }
    let each = facts.certificates.iter().flat_map(|certificate| {
        let title = format!("Certificate {}", name_of(*certificate));
        let both = [Some(state(certificate, &facts.controller)), renewal(certificate, facts.now)];
        both.into_iter().flatten().map(move |verdict| verdict.object(title.clone()))
    });
    each.collect()
}

fn missing(facts: &CertificateFacts<'_>) -> Verdict {
    let host = &facts.host;
    let namespace = facts.namespace.as_deref().unwrap_or("NAMESPACE");
    let (name, secret) = (ObjectName::new(namespace, "www"), ObjectName::new(namespace, "www-tls"));
    Verdict::fail(Kind::CertificateMissing, format!("no Certificate has {host}")).object(host.clone()).fix(
        format!(
            "annotate the Gateway that serves it: gatecert.dev/cluster-issuer: {ISSUER}; or\n{}",
            created(&name, &secret, host, ISSUER)
        ),
    )
}

/// The command that makes a Certificate, where there is none of that name.
pub(super) fn created(name: &ObjectName, secret: &ObjectName, host: &str, cluster_issuer: &str) -> String {
    let place = match secret.namespace == name.namespace {
        true => String::new(),
        false => format!("secretNamespace: {}, ", plain(&secret.namespace)),
    };
    let [name, namespace, secret, cluster_issuer] =
        [&name.name, &name.namespace, &secret.name, cluster_issuer].map(plain);
    let names = match host.parse::<IpAddr>() {
        Ok(_) => format!("ipAddresses: ['{host}']"),
        Err(_) => format!("dnsNames: [{host}]"),
    };
    format!(
        "kubectl create -f - <<'EOF'
apiVersion: gatecert.dev/v1
kind: Certificate
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{secretName: {secret}, {place}{names}, issuerRef: {{name: {cluster_issuer}, kind: ClusterIssuer}}}}
EOF"
    )
}

/// The command that shows a Certificate and its events.
pub(super) fn look(name: &ObjectName) -> String {
    format!("kubectl -n {} describe certificates.gatecert.dev {}", name.namespace, name.name)
}

fn condition<'a>(status: &'a CertificateStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

fn state(certificate: &Certificate, controller: &str) -> Verdict {
    let look = look(&name_of(certificate));
    let Some(status) = &certificate.status else {
        let text = "it has no status: the controller has not looked at it";
        return Verdict::fail(Kind::CertificateNotReady, text).fix(runs(controller));
    };
    let ready = condition(status, "Ready");
    let issuing = condition(status, "Issuing").filter(|issuing| !issuing.message.is_empty());
    let is_current = |one: &Condition| one.observed_generation == certificate.metadata.generation;
    if let Some(error) = status.last_error.as_ref().filter(|_| !ready.is_some_and(is_true)) {
        let text = format!("the last attempt failed ({}): {}", error.kind, error.message);
        return Verdict::fail(Kind::CertificateNotReady, text).fix(match &error.hint {
            Some(hint) => format!("{hint}\n{look}"),
            None => look,
        });
    }
    if let Some(issuance) = &status.issuance {
        let text = format!(
            "a certificate is being issued since {} ({:?}), order {}",
            day(issuance.since.0),
            issuance.step,
            issuance.order
        );
        return Verdict::warn(Kind::CertificateIssuing, text).fix(look);
    }
    match (ready, issuing) {
        (Some(ready), _) if is_true(ready) && is_current(ready) => {
            let failed = status
                .last_error
                .as_ref()
                .map(|error| format!("; the last renewal failed: {}", error.message));
            match failed {
                Some(failed) => Verdict::warn(Kind::CertificateOk, format!("ready{failed}")).fix(look),
                None => Verdict::ok(Kind::CertificateOk, "ready"),
            }
        }
        (_, Some(issuing)) => {
            let text = format!("it is not issued ({}): {}", issuing.reason, issuing.message);
            let verdict = if is_true(issuing) {
                Verdict::warn(Kind::CertificateIssuing, text)
            } else {
                Verdict::fail(Kind::CertificateNotReady, text)
            };
            verdict.fix(look)
        }
        (Some(ready), None) if is_true(ready) => {
            let text = "it has been changed, and the controller has not looked at it since";
            Verdict::fail(Kind::CertificateNotReady, text).fix(runs(controller))
        }
        (Some(ready), None) => {
            let text = format!("it is not ready ({}): {}", ready.reason, ready.message);
            Verdict::fail(Kind::CertificateNotReady, text).fix(look)
        }
        (None, None) => Verdict::fail(Kind::CertificateNotReady, "it has no conditions yet").fix(look),
    }
}

/// How to see what the controller does, in the namespace where it is.
fn runs(controller: &str) -> String {
    format!("see whether the controller runs:\n{}", controller::look(controller))
}

fn is_true(condition: &Condition) -> bool {
    condition.status == "True"
}

/// When it is renewed, by the CA's own word where it gives one.
fn renewal(certificate: &Certificate, now: Timestamp) -> Option<Verdict> {
    let status = certificate.status.as_ref()?;
    let at = status.renewal_time.as_ref()?.0;
    let window =
        status.ari.as_ref().and_then(|ari| Some((ari.window_start.as_ref()?.0, ari.window_end.as_ref()?.0)));
    let is_late = now.duration_since(at) > LATE;
    if is_late {
        let text = format!("its renewal was due at {} and has not come", day(at));
        return Some(Verdict::fail(Kind::RenewalOverdue, text).fix(format!(
            "see whether the controller runs, above, and what stands in: {}",
            look(&name_of(certificate))
        )));
    }
    Some(match window {
        Some((start, end)) => Verdict::ok(
            Kind::RenewalOk,
            format!("at {}, in the CA's window from {} to {} (ARI)", day(at), day(start), day(end)),
        ),
        None => Verdict::ok(
            Kind::RenewalUnknown,
            format!("at {}, by its age: the CA has given no window (ARI)", day(at)),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: &str = "2026-06-01T00:00:00Z";

    fn certificate(status: Value) -> Certificate {
        let mut value = json!({
            "apiVersion": "gatecert.dev/v1", "kind": "Certificate",
            "metadata": {"name": "www", "namespace": "shop", "generation": 2},
            "spec": {"secretName": "www-tls", "dnsNames": ["www.example.com"], "issuerRef": {"name": "le"}},
        });
        if !status.is_null() {
            value["status"] = status;
        }
        serde_json::from_value(value).unwrap()
    }

    fn of(status: Value) -> Vec<(&'static str, &'static str)> {
        let certificate = certificate(status);
        let facts = CertificateFacts {
            host: "www.example.com".into(),
            now: NOW.parse().unwrap(),
            certificates: vec![&certificate],
            namespace: None,
            controller: "gatecert-system".into(),
        };
        let level = |verdict: &Verdict| {
            serde_json::to_value(verdict.level).unwrap().as_str().map(str::to_owned).unwrap()
        };
        verdicts(&facts)
            .iter()
            .map(|one| (one.kind.as_str(), if level(one) == "fail" { "fail" } else { "" }))
            .collect()
    }

    fn one(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 2,
               "lastTransitionTime": NOW})
    }

    #[test]
    fn conditions_tell_how_it_is() {
        let ready = one("Ready", "True", "Issued", "");
        assert_eq!(of(json!({"conditions": [ready]})), [("certificate-ok", "")]);
        assert_eq!(of(Value::Null), [("certificate-not-ready", "fail")]);
        let waiting =
            [one("Ready", "False", "DoesNotExist", "x"), one("Issuing", "True", "DomainLimit", "waits")];
        assert_eq!(of(json!({"conditions": waiting})), [("certificate-issuing", "")]);
        let refused =
            [one("Ready", "False", "DoesNotExist", "x"), one("Issuing", "False", "NoGateway", "no gateway")];
        assert_eq!(of(json!({"conditions": refused.clone()})), [("certificate-not-ready", "fail")]);
        let failed =
            json!({"conditions": refused, "lastError": {"kind": "order", "message": "refused", "hint": "h"}});
        assert_eq!(of(failed), [("certificate-not-ready", "fail")]);
        let mut stale = one("Ready", "True", "Issued", "m");
        stale["observedGeneration"] = json!(1);
        assert_eq!(of(json!({"conditions": [stale]})), [("certificate-not-ready", "fail")]);
        let issuing = json!({"issuance": {"order": "https://ca.test/o/1", "step": "Proving", "since": NOW}});
        assert_eq!(of(issuing), [("certificate-issuing", "")]);
    }

    #[test]
    fn a_certificate_that_is_not_ready_comes_with_a_command() {
        let fix = |status: Value| {
            let verdict = state(&certificate(status), "infra");
            assert_eq!(verdict.kind.as_str(), "certificate-not-ready");
            verdict.fix.unwrap()
        };
        let describe = "kubectl -n shop describe certificates.gatecert.dev www";
        let mut stale = one("Ready", "True", "Issued", "m");
        stale["observedGeneration"] = json!(1);
        for unseen in [Value::Null, json!({"conditions": [stale]})] {
            let fix = fix(unseen);
            assert!(controller::is_about_installed(&fix, "infra"), "{fix}");
        }
        let refused = one("Ready", "False", "DoesNotExist", "x");
        assert_eq!(fix(json!({"conditions": [refused]})), describe);
        assert_eq!(fix(json!({"conditions": []})), describe);
        let hinted = json!({"lastError": {"kind": "order", "message": "refused", "hint": "h"}});
        assert_eq!(fix(hinted), format!("h\n{describe}"));
    }

    #[test]
    fn the_secret_of_another_namespace_is_named_with_it() {
        let name = ObjectName::new("shop", "www");
        let beside = created(&name, &ObjectName::new("shop", "www-tls"), "www.example.com", "le");
        assert!(beside.contains("spec: {secretName: www-tls, dnsNames: [www.example.com],"), "{beside}");
        let elsewhere = created(&name, &ObjectName::new("infra", "www-tls"), "192.0.2.1", "le");
        assert!(
            elsewhere.contains("{secretName: www-tls, secretNamespace: infra, ipAddresses: ['192.0.2.1'],"),
            "{elsewhere}"
        );
    }

    #[test]
    fn a_renewal_comes_or_is_late() {
        let ready = one("Ready", "True", "Issued", "");
        let at = |time: &str, ari: Value| {
            let mut status = json!({"conditions": [ready], "renewalTime": time});
            if !ari.is_null() {
                status["ari"] = ari;
            }
            of(status)[1]
        };
        let ari = json!({"certificateID": "a.b", "windowStart": "2026-06-10T00:00:00Z",
                         "windowEnd": "2026-06-12T00:00:00Z", "askAgainAt": NOW});
        assert_eq!(at("2026-06-11T00:00:00Z", ari), ("renewal-ok", ""));
        assert_eq!(at("2026-06-11T00:00:00Z", Value::Null), ("renewal-unknown", ""));
        assert_eq!(at("2026-05-31T23:30:00Z", Value::Null), ("renewal-unknown", ""));
        assert_eq!(at("2026-05-31T22:30:00Z", Value::Null), ("renewal-overdue", "fail"));
    }

    #[test]
    fn names_are_compared_without_case() {
        let all = [certificate(Value::Null)];
        assert_eq!(naming(&all, "WWW.example.com", None).len(), 1);
        assert_eq!(naming(&all, "www.example.com", Some("other")).len(), 0);
        let facts = CertificateFacts {
            host: "a.test".into(),
            now: NOW.parse().unwrap(),
            certificates: Vec::new(),
            namespace: Some("infra".into()),
            controller: "gatecert-system".into(),
        };
        let missing = &verdicts(&facts)[0];
        assert_eq!(missing.kind.as_str(), "certificate-missing");
        assert!(missing.fix.as_deref().unwrap().contains("namespace: infra"), "{missing:?}");
    }
}
