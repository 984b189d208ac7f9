//! A dashboard.

use serde_json::{Value, json};

/// The columns that Grafana divides a dashboard into.
const COLUMNS: u32 = 24;

/// One panel, before it has a place.
struct Panel {
    kind: &'static str,
    title: &'static str,
    unit: &'static str,
    /// Columns and rows.
    size: (u32, u32),
    /// Each query with what its line is called.
    queries: Vec<(&'static str, &'static str)>,
    more: Value,
}

/// The dashboard as Grafana imports it: it asks which Prometheus to read.
pub fn dashboard() -> Value {
    let (mut x, mut y) = (0, 0);
    let mut placed = Vec::new();
    for (id, panel) in (1..).zip(panels()) {
        if x + panel.size.0 > COLUMNS {
            x = 0;
            y += placed.last().map_or(0, |last: &Value| last["gridPos"]["h"].as_u64().unwrap_or_default());
        }
        let width = panel.size.0;
        placed.push(panel.at(id, x, y));
        x += width;
    }
    json!({
        "uid": "gatecert",
        "title": "gatecert",
        "description": "Certificates, and how they come about.",
        "tags": ["gatecert", "tls"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
        ]},
        "panels": placed,
    })
}

fn panels() -> Vec<Panel> {
    let background = json!({
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}},
    });
    let stat = |title, unit, query| Panel {
        kind: "stat",
        title,
        unit,
        size: (4, 4),
        queries: vec![(query, "")],
        more: background.clone(),
    };
    let series = |title, unit, queries| Panel {
        kind: "timeseries",
        title,
        unit,
        size: (12, 8),
        queries,
        more: json!({"options": {"legend": {"displayMode": "list", "placement": "bottom"}}}),
    };
    vec![
        stat("Certificates", "none", "max(gatecert_certificates)"),
        alarming(stat(
            "Not ready",
            "none",
            "count(min by (certificate_namespace, certificate) (gatecert_certificate_ready) == 0) or vector(0)",
        )),
        stat(
            "First end",
            "dateTimeFromNow",
            "max(gatecert_earliest_certificate_end_timestamp_seconds > 0) * 1000",
        ),
        stat("Under way", "none", "sum(gatecert_issuances_in_flight)"),
        stat("Waiting for a limit", "none", "sum(gatecert_rate_limit_waiting) or vector(0)"),
        stat("Leaders", "none", "sum(gatecert_leader)"),
        Panel {
            kind: "bargauge",
            title: "Time to the end, the 20 shortest",
            unit: "s",
            size: (12, 10),
            queries: vec![(
                "bottomk(20, max by (certificate_namespace, certificate) \
                 (gatecert_certificate_expiration_timestamp_seconds)) - time()",
                "{{certificate_namespace}}/{{certificate}}",
            )],
            more: bars(),
        },
        Panel {
            kind: "bargauge",
            title: "Time to the renewal, the 20 shortest",
            unit: "s",
            size: (12, 10),
            queries: vec![(
                "bottomk(20, max by (certificate_namespace, certificate) \
                 (gatecert_certificate_renewal_timestamp_seconds)) - time()",
                "{{certificate_namespace}}/{{certificate}}",
            )],
            more: bars(),
        },
        series(
            "Issuances",
            "none",
            vec![
                ("sum by (outcome) (increase(gatecert_issuances_total[1h]))", "{{outcome}}"),
                ("sum by (kind) (increase(gatecert_issuance_failures_total[1h]))", "{{kind}}"),
            ],
        ),
        series(
            "How long they take",
            "s",
            vec![
                (
                    "histogram_quantile(0.5, sum by (le) (rate(gatecert_issuance_duration_seconds_bucket[1h])))",
                    "half",
                ),
                (
                    "histogram_quantile(0.95, sum by (le) (rate(gatecert_issuance_duration_seconds_bucket[1h])))",
                    "95 %",
                ),
            ],
        ),
        series(
            "Requests to CAs",
            "none",
            vec![(
                "sum by (ca, resource, code) (increase(gatecert_acme_requests_total[1h]))",
                "{{ca}} {{resource}} {{code}}",
            )],
        ),
        series(
            "Left of the CAs' limits",
            "none",
            vec![("min by (account, limit) (gatecert_rate_limit_remaining)", "{{limit}} {{account}}")],
        ),
    ]
}

/// Green at none, red from one on.
fn alarming(mut panel: Panel) -> Panel {
    panel.more["fieldConfig"]["defaults"]["thresholds"] = json!({
        "mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 1}],
    });
    panel
}

fn bars() -> Value {
    json!({"options": {
        "displayMode": "basic", "orientation": "horizontal", "reduceOptions": {"calcs": ["lastNotNull"]},
    }})
}

impl Panel {
    fn at(self, id: u32, x: u32, y: u64) -> Value {
        let source = json!({"type": "prometheus", "uid": "${datasource}"});
        let names = "ABCDEFGH".chars().map(String::from);
        let is_now = self.kind != "timeseries";
        let targets: Vec<_> = names
            .zip(&self.queries)
            .map(|(name, (query, legend))| {
                json!({
                    "refId": name, "datasource": source, "expr": query, "legendFormat": legend, "instant": is_now,
                })
            })
            .collect();
        let mut panel = json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "datasource": source,
            "gridPos": {"x": x, "y": y, "w": self.size.0, "h": self.size.1},
            "fieldConfig": {"defaults": {"unit": self.unit}, "overrides": []},
            "targets": targets,
        });
        merge(&mut panel, self.more);
        panel
    }
}

/// Puts the fields of one object into another, level by level.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_panel_is_upon_another() {
        let dashboard = dashboard();
        let panels = dashboard["panels"].as_array().unwrap();
        let mut taken = std::collections::BTreeSet::new();
        for panel in panels {
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(place("x") + place("w") <= u64::from(COLUMNS), "{panel}");
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{panel}");
                }
            }
        }
        assert_eq!(panels.len(), super::panels().len());
    }

    #[test]
    fn the_fields_of_a_panel_are_kept() {
        let dashboard = dashboard();
        let alarming = &dashboard["panels"][1]["fieldConfig"]["defaults"];
        assert_eq!(
            (&alarming["unit"], &alarming["thresholds"]["mode"]),
            (&json!("none"), &json!("absolute"))
        );
    }
}
