//! Commands that let routes of a namespace onto a listener of the Gateway API.

use super::GatewayFacts;
use crate::doctor::cluster::name_of;
use crate::doctor::report::{patched, quoted};
use gatecert_controller::route::Refusal;
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::Listener;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The Gateway API's Gateways, as kubectl names them.
pub(super) const API_GATEWAYS: &str = "gateways.gateway.networking.k8s.io";

/// Its ListenerSets, as kubectl names them.
const LISTENER_SETS: &str = "listenersets.gateway.networking.k8s.io";

/// The label of every namespace that has its name. Nobody can change it.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What has listeners.
struct Holder<'a> {
    kind: &'static str,
    resource: &'static str,
    name: ObjectName,
    generation: Option<i64>,
    listeners: &'a [Listener],
}

/// The command for the listener that a refusal is about; nothing where it is about something else.
pub(super) fn admitted(facts: &GatewayFacts, refusal: &Refusal, namespace: &str) -> Option<String> {
    let gateways = facts.gateways.iter().map(|gateway| Holder {
        kind: "Gateway",
        resource: API_GATEWAYS,
        name: name_of(&**gateway),
        generation: gateway.metadata.generation,
        listeners: &gateway.spec.listeners,
    });
    let sets = facts.listener_sets.iter().map(|set| Holder {
        kind: "ListenerSet",
        resource: LISTENER_SETS,
        name: name_of(&**set),
        generation: set.metadata.generation,
        listeners: &set.spec.listeners,
    });
    gateways.chain(sets).find_map(|holder| {
        let is_meant = |listener: &Listener| {
            let title = format!("listener {} of {} {}, ", listener.name, holder.kind, holder.name);
            refusal.message.starts_with(&title)
        };
        let at = holder.listeners.iter().position(is_meant)?;
        onto(&holder, at, holder.listeners.get(at)?, namespace)
    })
}

fn onto(holder: &Holder<'_>, at: usize, listener: &Listener, namespace: &str) -> Option<String> {
    let path = format!("/spec/listeners/{at}/allowedRoutes");
    let patched = |operation: Value| patched(holder.resource, &holder.name, holder.generation, &[operation]);
    let Some(allowed) = &listener.allowed_routes else {
        let value = json!({"namespaces": of_names(&[&holder.name.namespace, namespace])});
        return Some(patched(json!({"op": "add", "path": path, "value": value})));
    };
    if !allowed.kinds.is_empty() && !allowed.kinds.iter().any(|one| one.kind == "HTTPRoute") {
        let route = json!({"kind": "HTTPRoute"});
        return Some(patched(json!({"op": "add", "path": format!("{path}/kinds/-"), "value": route})));
    }
    let namespaces = allowed.namespaces.as_ref();
    let names = match namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or("Same") {
        "Same" => vec![holder.name.namespace.as_str(), namespace],
        "None" => vec![namespace],
        _ => {
            let selector = namespaces?.selector.as_ref()?;
            return match more_names(selector, &format!("{path}/namespaces/selector"), namespace) {
                Some(operation) => Some(patched(operation)),
                None => labelled(selector, namespace),
            };
        }
    };
    Some(patched(json!({"op": "add", "path": format!("{path}/namespaces"), "value": of_names(&names)})))
}

/// Namespaces by their names.
fn of_names(names: &[&str]) -> Value {
    json!({"from": "Selector", "selector": by_name(names)})
}

fn by_name(names: &[&str]) -> Value {
    json!({"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": names}]})
}

/// One name more for a selector that has names of namespaces and nothing else.
fn more_names(selector: &LabelSelector, path: &str, namespace: &str) -> Option<Value> {
    let labels: Vec<_> = selector.match_labels.iter().flatten().collect();
    match (&labels[..], selector.match_expressions.as_deref().unwrap_or_default()) {
        ([(key, name)], []) if *key == NAMESPACE_NAME => {
            Some(json!({"op": "replace", "path": path, "value": by_name(&[name, namespace])}))
        }
        ([], [one]) if one.key == NAMESPACE_NAME && one.operator == "In" => {
            let path = format!("{path}/matchExpressions/0/values/-");
            Some(json!({"op": "add", "path": path, "value": namespace}))
        }
        _ => None,
    }
}

/// Gives the namespace the labels that are asked for. One that it has with another value is left to whoever gave it:
/// kubectl refuses then, and says so.
fn labelled(selector: &LabelSelector, namespace: &str) -> Option<String> {
    let labels = selector.match_labels.iter().flatten();
    let mut wanted: BTreeMap<_, _> = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for one in selector.match_expressions.iter().flatten() {
        let value = match one.operator.as_str() {
            "In" => one.values.as_deref()?.first()?,
            "Exists" => "",
            _ => return None,
        };
        wanted.entry(&one.key).or_insert(value);
    }
    if wanted.is_empty() || wanted.contains_key(NAMESPACE_NAME) {
        return None;
    }
    let labels: Vec<_> = wanted.iter().map(|(key, value)| quoted(&format!("{key}={value}"))).collect();
    Some(format!("kubectl label namespace {namespace} {}", labels.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command for a listener with these `allowedRoutes`.
    fn command(allowed_routes: Value) -> String {
        let listener = json!({
            "name": "web", "port": 80, "protocol": "HTTP", "hostname": "www.example.com", "allowedRoutes": allowed_routes,
        });
        let holder = Holder {
            kind: "ListenerSet",
            resource: LISTENER_SETS,
            name: ObjectName::new("infra", "more"),
            generation: None,
            listeners: &[],
        };
        onto(&holder, 1, &serde_json::from_value(listener).unwrap(), "shop").unwrap_or_default()
    }

    fn by_selector(selector: Value) -> String {
        command(json!({"namespaces": {"from": "Selector", "selector": selector}}))
    }

    /// The patch in a command.
    fn patch(operation: &str) -> String {
        format!("kubectl -n infra patch {LISTENER_SETS}/more --type=json -p '[{operation}]'")
    }

    #[test]
    fn names_are_added() {
        let these = |names: &str| {
            format!(
                r#"{{"matchExpressions":[{{"key":"kubernetes.io/metadata.name","operator":"In","values":[{names}]}}]}}"#
            )
        };
        let at = r#"{"op":"add","path":"/spec/listeners/1/allowedRoutes"#;
        let both = these(r#""infra","shop""#);
        assert_eq!(
            command(json!(null)),
            patch(&format!(r#"{at}","value":{{"namespaces":{{"from":"Selector","selector":{both}}}}}}}"#))
        );
        for (from, selector) in [("Same", both.clone()), ("None", these(r#""shop""#))] {
            assert_eq!(
                command(json!({"namespaces": {"from": from}})),
                patch(&format!(r#"{at}/namespaces","value":{{"from":"Selector","selector":{selector}}}}}"#))
            );
        }
        assert_eq!(
            by_selector(json!({"matchLabels": {NAMESPACE_NAME: "infra"}})),
            patch(&format!(
                r#"{{"op":"replace","path":"/spec/listeners/1/allowedRoutes/namespaces/selector","value":{both}}}"#
            ))
        );
        let expression = json!({"key": NAMESPACE_NAME, "operator": "In", "values": ["infra"]});
        assert_eq!(
            by_selector(json!({"matchExpressions": [expression]})),
            patch(&format!(r#"{at}/namespaces/selector/matchExpressions/0/values/-","value":"shop"}}"#))
        );
        assert_eq!(
            command(json!({"kinds": [{"kind": "GRPCRoute"}]})),
            patch(&format!(r#"{at}/kinds/-","value":{{"kind":"HTTPRoute"}}}}"#))
        );
    }

    #[test]
    fn labels_are_given() {
        let is_in = json!({"key": "tier", "operator": "In", "values": ["front", "edge"]});
        let exists = json!({"key": "example.com/web", "operator": "Exists"});
        assert_eq!(
            by_selector(json!({"matchLabels": {"gateway": "a b"}, "matchExpressions": [is_in, exists]})),
            "kubectl label namespace shop example.com/web= 'gateway=a b' tier=front"
        );
        // What can not be had by a label more is left to people.
        let not_in = json!({"key": "tier", "operator": "NotIn", "values": ["back"]});
        assert_eq!(by_selector(json!({"matchExpressions": [not_in]})), "");
        assert_eq!(by_selector(json!({"matchLabels": {NAMESPACE_NAME: "infra", "a": "b"}})), "");
        assert_eq!(by_selector(json!({})), "");
    }
}
