//! The health check for Argo CD in `docs/operations.md`, run by the Lua that Argo CD has (5.1).

use gatecert_api::Certificate;
use mlua::{Lua, LuaSerdeExt as _};
use serde_json::{Value, json};

const GUIDE: &str = include_str!("../../../../docs/operations.md");

/// The first line of the script, with the key of the ConfigMap that it is the value of.
const KEY: &str = "resource.customizations.health.gatecert.dev_Certificate: |\n";

/// The script, without the space that a ConfigMap has before each line.
fn script() -> String {
    let rest = GUIDE.split(KEY).nth(1).unwrap().split("```").next().unwrap();
    rest.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

/// The health of a Certificate of generation 2 with this status, and what is said of it.
fn health(status: &Value) -> (String, String) {
    let object = json!({
        "apiVersion": "gatecert.dev/v1",
        "kind": "Certificate",
        "metadata": {"name": "www", "namespace": "shop", "generation": 2},
        "spec": {"secretName": "www", "dnsNames": ["www.example.com"], "issuerRef": {"name": "letsencrypt"}},
        "status": status,
    });
    let certificate: Certificate = serde_json::from_value(object.clone()).unwrap();
    assert_eq!(serde_json::to_value(certificate).unwrap()["status"], *status, "a field that there is not");
    let lua = Lua::new();
    lua.globals().set("obj", lua.to_value(&object).unwrap()).unwrap();
    let health: Value = lua.from_value(lua.load(script()).eval().unwrap()).unwrap();
    let text = |key: &str| health[key].as_str().unwrap().to_owned();
    (text("status"), text("message"))
}

fn ready(status: &str, message: &str) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": "Reason", "message": message, "observedGeneration": 2,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }])
}

#[test]
fn each_state_has_its_health() {
    let error = json!({"kind": "dns", "message": "no such name"});
    let issuance =
        json!({"order": "https://ca.test/order/1", "step": "Proving", "since": "2026-01-01T00:00:00Z"});
    let published = ready("True", "valid until 2026-04-01");
    let missing = ready("False", "the Secret does not exist");
    for (status, health_wanted, message) in [
        (json!({}), "Progressing", "no controller has looked at it yet"),
        (
            json!({"observedGeneration": 1, "conditions": published}),
            "Progressing",
            "the change has not been made yet",
        ),
        (json!({"observedGeneration": 2, "conditions": published}), "Healthy", "valid until 2026-04-01"),
        (json!({"observedGeneration": 2, "conditions": missing}), "Progressing", "the Secret does not exist"),
        (
            json!({"observedGeneration": 2, "conditions": missing, "lastError": error}),
            "Degraded",
            "no such name",
        ),
        (
            json!({"observedGeneration": 2, "conditions": missing, "lastError": error, "issuance": issuance}),
            "Progressing",
            "the Secret does not exist",
        ),
    ] {
        assert_eq!(health(&status), (health_wanted.to_owned(), message.to_owned()), "{status}");
    }
}
