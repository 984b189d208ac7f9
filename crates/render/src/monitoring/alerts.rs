//! Alerts.

use serde_json::{Value, json};

/// The labels that name a Certificate. Each replica tells of each, so that rules take one of them.
const BY: &str = "by (certificate_namespace, certificate)";

/// The groups of rules, as Prometheus reads them from a file and a PrometheusRule has them in its `spec`.
pub fn alerts() -> Value {
    let end = format!("max {BY} (gatecert_certificate_expiration_timestamp_seconds)");
    let renewal = format!("max {BY} (gatecert_certificate_renewal_timestamp_seconds)");
    let certificate = "{{ $labels.certificate_namespace }}/{{ $labels.certificate }}";
    let look = "kubectl gatecert status -n {{ $labels.certificate_namespace }} says what is in the way.";
    json!({"groups": [{"name": "gatecert", "rules": [
        rule(
            "GatecertCertificateExpired",
            "critical",
            &format!("{end} <= time()"),
            "0m",
            &format!("The certificate of {certificate} has expired."),
            look,
        ),
        // By parts of the time that is left for a renewal, since certificates live for ten minutes or for 90 days.
        rule(
            "GatecertCertificateExpiresSoon",
            "critical",
            &format!("{end} - time() < 0.5 * ({end} - {renewal})"),
            "15m",
            &format!("The certificate of {certificate} expires, and half of the time to renew it is over."),
            look,
        ),
        rule(
            "GatecertRenewalOverdue",
            "warning",
            &format!("time() - {renewal} > 3600"),
            "15m",
            &format!("The renewal of {certificate} has been due for more than an hour."),
            look,
        ),
        rule(
            "GatecertCertificateNotReady",
            "warning",
            &format!("min {BY} (gatecert_certificate_ready) == 0"),
            "15m",
            &format!("{certificate} is not as it is wanted."),
            look,
        ),
        rule(
            "GatecertIssuanceFails",
            "warning",
            "sum by (kind) (increase(gatecert_issuance_failures_total[1h])) >= 3",
            "0m",
            "Issuances fail: {{ $labels.kind }}.",
            "kubectl gatecert status -A says which, and what to do.",
        ),
        rule(
            "GatecertCaNotAnswering",
            "warning",
            "sum by (ca) (rate(gatecert_acme_requests_total{code=~\"none|5..\"}[15m])) \
             > 0.5 * sum by (ca) (rate(gatecert_acme_requests_total[15m]))",
            "30m",
            "More than half of the requests to {{ $labels.ca }} fail.",
            "Certificates stay as they are until their end; the CA's status page and the way out of the cluster are next.",
        ),
        rule(
            "GatecertRateLimitUsedUp",
            "info",
            "min by (account, limit) (gatecert_rate_limit_remaining) == 0",
            "1h",
            "Nothing is left of the limit {{ $labels.limit }} of {{ $labels.account }}.",
            "What is wanted waits for its turn; renewals that are due go on.",
        ),
        rule(
            "GatecertNoLeader",
            "critical",
            "(sum(gatecert_leader) or vector(0)) == 0",
            "10m",
            "No replica of gatecert leads: nothing is issued or renewed.",
            "kubectl -n gatecert-system get pods,lease and the logs of the replicas say why.",
        ),
        rule(
            "GatecertPanics",
            "warning",
            "increase(gatecert_panics_total[1h]) > 0",
            "0m",
            "Looks at an object have panicked.",
            "It is a bug: the log has the place, please report it.",
        ),
    ]}]})
}

fn rule(name: &str, severity: &str, expression: &str, wait: &str, summary: &str, description: &str) -> Value {
    json!({
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    })
}
