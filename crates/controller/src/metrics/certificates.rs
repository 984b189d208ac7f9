//! What is told of each Certificate. Every replica tells it, so that nothing is missed where none leads: rules take the
//! greatest by namespace and name. The label is not `namespace`, which Prometheus itself gives to what it scrapes.

use crate::overview::Overview;
use gatecert_api::CertificateSummary;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;

/// Reads the overview whenever the metrics are read.
#[derive(Debug)]
pub(super) struct CertificateCollector(pub(super) Arc<Overview>);

/// A gauge of each Certificate.
type Reading = fn(&CertificateSummary) -> Option<i64>;

/// A name, a help, and what is read.
const GAUGES: [(&str, &str, Reading); 4] = [
    ("certificate_ready", "1 where a Certificate is as it is wanted, 0 where not", |row| {
        Some(row.is_ready.into())
    }),
    ("certificate_expiration_timestamp_seconds", "When the published certificate ends", |row| {
        row.not_after.map(jiff::Timestamp::as_second)
    }),
    ("certificate_renewal_timestamp_seconds", "When the published certificate is to be renewed", |row| {
        row.renewal_time.map(jiff::Timestamp::as_second)
    }),
    ("certificate_failed_attempts", "How many attempts have failed since the last success", |row| {
        Some(row.failed_attempts.into())
    }),
];

impl Collector for CertificateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (mut published, mut earliest) = (0_i64, None);
        self.0.each(|row| {
            published += i64::from(row.not_after.is_some());
            earliest = earliest.into_iter().chain(row.not_after).min();
        });
        let all = [
            ("certificates", "Certificates that are published", published),
            (
                "earliest_certificate_end_timestamp_seconds",
                "When the first of the published certificates ends; 0 without any",
                earliest.map_or(0, jiff::Timestamp::as_second),
            ),
        ];
        for (name, help, value) in all {
            ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
        for (name, help, reading) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            let mut written = Ok(());
            self.0.each(|row| {
                if let (Some(value), Ok(())) = (reading(row), written) {
                    let labels = [
                        ("certificate_namespace", row.namespace.as_str()),
                        ("certificate", row.name.as_str()),
                    ];
                    written =
                        family.encode_family(&labels).and_then(|one| ConstGauge::new(value).encode(one));
                }
            });
            written?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;
    use crate::overview::Overview;
    use crate::overview::tests::{certificate, issued};
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn each_certificate_tells_its_times() {
        let overview = Arc::new(Overview::default());
        overview.observe(&Event::Apply(certificate("www", issued("2027-01-01T00:00:00Z"))));
        overview.observe(&Event::Apply(certificate("new", json!({"failedIssuanceAttempts": 2}))));
        let text = Metrics::new(overview).text();
        for line in [
            r#"gatecert_certificate_expiration_timestamp_seconds{certificate_namespace="shop",certificate="www"} 1798761600"#,
            r#"gatecert_certificate_ready{certificate_namespace="shop",certificate="www"} 1"#,
            r#"gatecert_certificate_ready{certificate_namespace="shop",certificate="new"} 0"#,
            r#"gatecert_certificate_failed_attempts{certificate_namespace="shop",certificate="new"} 2"#,
            "gatecert_certificates 1",
            "gatecert_earliest_certificate_end_timestamp_seconds 1798761600",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(
            !text.contains(r#"expiration_timestamp_seconds{certificate_namespace="shop",certificate="new"}"#),
            "{text}"
        );
        assert_eq!(text.matches("# TYPE gatecert_certificate_ready gauge").count(), 1);
    }
}
