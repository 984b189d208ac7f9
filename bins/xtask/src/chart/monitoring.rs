//! What watches the controller, if somebody wants it to: a dashboard for Grafana, alerts for Prometheus.

use super::{NOTE, blank};
use anyhow::Result;
use gatecert_render::{alerts, dashboard};

/// The files that the template below puts into objects, each as it is: Prometheus and Grafana have braces of their own.
pub(super) fn files() -> Result<[(&'static str, String); 2]> {
    Ok([
        ("files/dashboard.json", serde_json::to_string_pretty(&dashboard())? + "\n"),
        ("files/alerts.yaml", format!("{NOTE}{}\n", serde_saphyr::to_string(&alerts())?.trim_end())),
    ])
}

/// The objects around them.
pub(super) fn template() -> String {
    let metadata = |name: &str, label: &str| {
        format!(
            "metadata:
  name: {name}
  namespace: \"{{{{ {} }}}}\"
  labels:
    app.kubernetes.io/name: gatecert
    app.kubernetes.io/part-of: gatecert{label}
    {{{{- with .Values.metrics.labels }}}}
    {{{{- toYaml . | nindent 4 }}}}
    {{{{- end }}}}",
            blank::NAMESPACE_VALUE
        )
    };
    format!(
        "{NOTE}{{{{- if .Values.metrics.dashboard }}}}
---
apiVersion: v1
kind: ConfigMap
{}
data:
  gatecert.json: |-
{{{{ .Files.Get \"files/dashboard.json\" | indent 4 }}}}
{{{{- end }}}}
{{{{- if .Values.metrics.alerts }}}}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
{}
spec:
{{{{ .Files.Get \"files/alerts.yaml\" | indent 2 }}}}
{{{{- end }}}}
",
        // The sidecar of Grafana's chart looks for this label.
        metadata("gatecert-dashboard", "\n    grafana_dashboard: \"1\""),
        metadata("gatecert", ""),
    )
}
