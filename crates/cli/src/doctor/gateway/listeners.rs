//! Commands that let routes of a namespace onto a listener of the Gateway API.

use super::GatewayFacts;
use crate::doctor::cluster::name_of;
use crate::doctor::report::{MAX_COMMAND, patched};
use gatecert_controller::route::GatewayName;
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::Listener;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Expression, Selector, SelectorExt as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The Gateway API's Gateways, as kubectl names them.
pub(super) const API_GATEWAYS: &str = "gateways.gateway.networking.k8s.io";

/// Its ListenerSets, as kubectl names them.
const LISTENER_SETS: &str = "listenersets.gateway.networking.k8s.io";

/// The label of every namespace that has its name. Nobody can change it.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A listener.
pub(super) struct Found<'a> {
    /// What has it, as kubectl names the kind.
    resource: &'static str,
    holder: ObjectName,
    generation: Option<i64>,
    /// Which of its listeners it is.
    at: usize,
    listener: &'a Listener,
}

/// The listener of this name of a Gateway or of a ListenerSet.
pub(super) fn find<'a>(facts: &'a GatewayFacts, holder: &GatewayName, name: &str) -> Option<Found<'a>> {
    let Holder { resource, name: holder, generation, listeners } = Holder::find(facts, holder)?;
    let at = listeners.iter().position(|one| one.name == name)?;
    Some(Found { resource, holder, generation, at, listener: listeners.get(at)? })
}

/// What has listeners.
pub(super) struct Holder<'a> {
    /// As kubectl names the kind.
    pub(super) resource: &'static str,
    pub(super) name: ObjectName,
    pub(super) generation: Option<i64>,
    pub(super) listeners: &'a [Listener],
}

impl<'a> Holder<'a> {
    pub(super) fn find(facts: &'a GatewayFacts, gateway: &GatewayName) -> Option<Self> {
        let (resource, name, generation, listeners) = match gateway {
            GatewayName::ListenerSet(name) => {
                let set = facts.listener_sets.iter().find(|one| name_of(&***one) == *name)?;
                (LISTENER_SETS, name, set.metadata.generation, &set.spec.listeners)
            }
            GatewayName::GatewayApi(name) => {
                let gateway = facts.gateways.iter().find(|one| name_of(&***one) == *name)?;
                (API_GATEWAYS, name, gateway.metadata.generation, &gateway.spec.listeners)
            }
            _ => return None,
        };
        Some(Self { resource, name: name.clone(), generation, listeners })
    }
}

impl Found<'_> {
    /// The command that lets routes of a namespace, which has these labels, onto it.
    pub(super) fn admitting(
        &self,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Option<String> {
        let path = format!("/spec/listeners/{}/allowedRoutes", self.at);
        let add = |below: &str, value: Value| json!({"op": "add", "path": format!("{path}{below}"), "value": value});
        let patched =
            |operations: &[Value]| patched(self.resource, &self.holder, self.generation, operations);
        let home = self.holder.namespace.as_str();
        let Some(allowed) = &self.listener.allowed_routes else {
            return Some(patched(&[add("", json!({"namespaces": of_names(&[home, namespace])}))]));
        };
        let is_kind = allowed.kinds.is_empty() || allowed.kinds.iter().any(|one| one.kind == "HTTPRoute");
        let mut operations: Vec<_> =
            (!is_kind).then(|| add("/kinds/-", json!({"kind": "HTTPRoute"}))).into_iter().collect();
        let namespaces = allowed.namespaces.as_ref();
        match namespaces.and_then(|namespaces| namespaces.from.as_deref()).unwrap_or("Same") {
            "Same" if home != namespace => operations.push(add("/namespaces", of_names(&[home, namespace]))),
            "None" => operations.push(add("/namespaces", of_names(&[namespace]))),
            "Selector" => {
                let selector = namespaces?.selector.as_ref()?;
                let more = more_names(selector, &format!("{path}/namespaces/selector"), namespace);
                match more {
                    Some(operation) => operations.push(operation),
                    None if is_kind => return labelled(selector, namespace, labels?),
                    None => return None,
                }
            }
            _ => {}
        }
        (!operations.is_empty()).then(|| patched(&operations))
    }
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
            let is_there = one.values.iter().flatten().any(|name| name == namespace);
            let path = format!("{path}/matchExpressions/0/values/-");
            (!is_there).then(|| json!({"op": "add", "path": path, "value": namespace}))
        }
        _ => None,
    }
}

/// Gives the namespace the labels that are asked for and that it does not have. One that it has with another value is left to
/// whoever gave it, and one by which more than gateways goes to people.
fn labelled(selector: &LabelSelector, namespace: &str, labels: &BTreeMap<String, String>) -> Option<String> {
    let selector = Selector::try_from(selector.clone()).ok()?;
    let mut wanted = BTreeMap::new();
    for asked in selector {
        if Selector::from(asked.clone()).matches(labels) {
            continue;
        }
        let (key, value) = match asked {
            Expression::Equal(key, value) => (key, value),
            Expression::In(key, values) => (key, values.into_iter().next()?),
            Expression::Exists(key) => (key, String::new()),
            _ => return None,
        };
        if wanted.insert(key, value).is_some() {
            return None;
        }
    }
    let is_given = |(key, value): (&String, &String)| {
        !labels.contains_key(key) && is_free(key) && (value.is_empty() || is_label(value))
    };
    if wanted.is_empty() || !wanted.iter().all(is_given) {
        return None;
    }
    let labels: Vec<_> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let command = format!(
        "whatever else chooses namespaces by this label takes {namespace} too then:\n\
         kubectl label namespace {namespace} {}",
        labels.join(" ")
    );
    (command.len() <= MAX_COMMAND).then_some(command)
}

/// Whether a key of a label is one that nobody but gateways goes by, as far as is known, and is one that an API server takes:
/// a selector may have other words.
fn is_free(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    let is_taken = |domain: &str| {
        ["kubernetes.io", "k8s.io", "istio.io"].iter().any(|end| {
            domain.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
    };
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let is_domain =
        |domain: &str| domain.bytes().all(is_lower) && domain.split('.').all(is_label) && !is_taken(domain);
    name != "istio-injection" && is_label(name) && domain.is_none_or(is_domain)
}

/// Whether a text is the name or the value of a label.
fn is_label(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut bytes = text.bytes();
    text.len() <= 63
        && is_end(text.bytes().next())
        && is_end(text.bytes().next_back())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command for a listener with these `allowedRoutes`.
    fn command(allowed_routes: Value) -> String {
        let listener = json!({
            "name": "web", "port": 80, "protocol": "HTTP", "hostname": "www.example.com", "allowedRoutes": allowed_routes,
        });
        let found = Found {
            resource: LISTENER_SETS,
            holder: ObjectName::new("infra", "more"),
            generation: None,
            at: 1,
            listener: &serde_json::from_value(listener).unwrap(),
        };
        let labels = [("tier", "edge"), ("other", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        found.admitting("shop", Some(&labels.into())).unwrap_or_default()
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
            command(json!({"kinds": [{"kind": "GRPCRoute"}], "namespaces": {"from": "All"}})),
            patch(&format!(r#"{at}/kinds/-","value":{{"kind":"HTTPRoute"}}}}"#))
        );
        assert_eq!(
            command(json!({"kinds": [{"kind": "GRPCRoute"}]})),
            patch(&format!(
                r#"{at}/kinds/-","value":{{"kind":"HTTPRoute"}}}},{at}/namespaces","value":{{"from":"Selector","selector":{both}}}}}"#
            ))
        );
        let there = json!({"key": NAMESPACE_NAME, "operator": "In", "values": ["shop"]});
        assert_eq!(by_selector(json!({"matchExpressions": [there]})), "", "something else is the matter");
    }

    #[test]
    fn labels_are_given() {
        let expression = |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
        let met = expression("tier", "In", &["front", "edge"]);
        let exists = expression("example.com/web", "Exists", &[]);
        assert_eq!(
            by_selector(json!({"matchLabels": {"gateway": "open"}, "matchExpressions": [met, exists]})),
            "whatever else chooses namespaces by this label takes shop too then:\n\
             kubectl label namespace shop example.com/web= gateway=open"
        );
        // What can not be had by a label more, or is not for gateways alone, is left to people.
        for selector in [
            json!({}),
            json!({"matchExpressions": [expression("tier", "NotIn", &["edge"])]}),
            json!({"matchExpressions": [expression("tier", "DoesNotExist", &[])]}),
            json!({"matchLabels": {"tier": "front"}}),
            json!({"matchLabels": {"a": "b"}, "matchExpressions": [expression("a", "In", &["c"])]}),
            json!({"matchLabels": {NAMESPACE_NAME: "infra", "a": "b"}}),
            json!({"matchLabels": {"istio-injection": "enabled"}}),
            json!({"matchLabels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
        ] {
            assert_eq!(by_selector(selector.clone()), "", "{selector}");
        }
        // A selector may have words that are no labels, and that kubectl or a shell takes for something else.
        for (key, value) in
            [("--server", "https://example.com"), ("a", "b c"), ("a\nb", "c"), ("-a", ""), ("a", "-b")]
        {
            assert_eq!(by_selector(json!({"matchLabels": {key: value}})), "", "{key}={value}");
        }
    }
}
