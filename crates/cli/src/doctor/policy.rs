//! Policies that are asked at a gateway before any route: may a request of the CA pass, which brings no certificate and
//! no token?

mod request;

use super::cluster::{Mesh, name_of};
use super::kind::Kind;
use super::report::{Verdict, patched};
use gatecert_controller::route::{Door, GatewayName};
use gatecert_render::{CHALLENGE_PATH, ObjectName};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::DynamicObject;
use request::{Match, Request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The kind as kubectl names it.
const POLICIES: &str = "authorizationpolicies.security.istio.io";

/// The namespace whose policies are for the whole mesh, unless its configuration names another.
pub(super) const ROOT: &str = "istio-system";

/// Rules that one command takes a path out of: with more of them it would be too long for a report.
const MAX_RULES: usize = 10;

/// What is known of a gateway.
#[derive(Clone, Debug)]
pub(super) struct PolicyFacts {
    pub(super) host: String,
    pub(super) doors: Vec<Door>,
    pub(super) mesh: Mesh,
    /// The labels of the gateways' Pods, by namespace; those that select them, where the Pods can not be read.
    pub(super) pods: BTreeSet<(String, BTreeMap<String, String>)>,
}

pub(super) fn verdicts(facts: &PolicyFacts) -> Vec<Verdict> {
    if facts.pods.is_empty() {
        return Vec::new();
    }
    let policies: Vec<_> =
        facts.mesh.authorization_policies.iter().filter(|policy| is_for(policy, facts)).collect();
    let request = Request { host: &facts.host, ports: ports(&facts.doors) };
    let denying: Vec<_> = policies.iter().filter_map(|policy| denied(policy, &request)).collect();
    let mut verdicts = denying;
    verdicts.extend(not_allowed(&policies, &request));
    if verdicts.is_empty() {
        verdicts.push(passed(facts, &policies));
    }
    verdicts
}

fn passed(facts: &PolicyFacts, policies: &[&DynamicObject]) -> Verdict {
    let tokens = facts.mesh.request_authentications.iter().filter(|policy| is_for(policy, facts));
    let tokens: Vec<_> = tokens.map(title).collect();
    let mut text = match policies {
        [] => "no AuthorizationPolicy is for the gateway".to_owned(),
        policies => format!(
            "{} let the challenge's path pass",
            policies.iter().map(|policy| title(policy)).collect::<Vec<_>>().join(", ")
        ),
    };
    if !tokens.is_empty() {
        text = format!("{text}; {} refuses wrong tokens, and the CA brings none", tokens.join(", "));
    }
    Verdict::ok(Kind::PolicyOk, text)
}

/// A policy that denies, or asks somebody else.
fn denied(policy: &DynamicObject, request: &Request<'_>) -> Option<Verdict> {
    let action = policy.data["spec"]["action"].as_str().unwrap_or("ALLOW");
    let matches = rules(policy).map(|rule| request.is_matched(rule)).max().unwrap_or(Match::No);
    match (action, matches) {
        (_, Match::No) | ("ALLOW" | "AUDIT", _) => None,
        ("DENY", Match::Yes) => Some(
            Verdict::fail(
                Kind::PolicyDenies,
                "it denies the challenge's path: Envoy answers 403 before any route",
            )
            .object(title(policy))
            .fix(without_challenges(policy, request)),
        ),
        ("DENY", Match::Perhaps) => {
            let text = "it may deny the CA, by what is only known of a request when it comes";
            Some(perhaps(policy, text, &without_challenges(policy, request)))
        }
        _ => {
            let text = "it has the challenge's path judged by an external authorizer (CUSTOM)";
            Some(perhaps(policy, text, &without_challenges(policy, request)))
        }
    }
}

fn perhaps(policy: &DynamicObject, text: &str, fix: &str) -> Verdict {
    Verdict::warn(Kind::PolicyMayDeny, text)
        .object(title(policy))
        .fix(format!("the CA asks from many addresses that it does not tell\n{fix}"))
}

/// How to take the challenge's path out of the rules that a request of the CA may match.
fn without_challenges(policy: &DynamicObject, request: &Request<'_>) -> String {
    let name = name_of(policy);
    let matching = rules(policy).enumerate().filter(|(_, rule)| request.is_matched(rule) != Match::No);
    let operations: Vec<_> = matching.flat_map(|(place, rule)| without_path(place, rule)).collect();
    let command = match operations.len() {
        0..=MAX_RULES => patched(POLICIES, &name, policy.metadata.generation, &operations),
        _ => format!("kubectl -n {} edit {POLICIES} {}", name.namespace, name.name),
    };
    format!("add `notPaths: [\"{CHALLENGE_PATH}*\"]` under to.operation of its rules:\n{command}")
}

/// The changes that take the challenge's path out of one rule.
fn without_path(place: usize, rule: &Value) -> Vec<Value> {
    let path = format!("{CHALLENGE_PATH}*");
    let Some(all) = rule["to"].as_array().filter(|all| !all.is_empty()) else {
        let to = json!([{"operation": {"notPaths": [path]}}]);
        return vec![json!({"op": "add", "path": format!("/spec/rules/{place}/to"), "value": to})];
    };
    let each = all.iter().enumerate().map(|(index, one)| {
        let operation = format!("/spec/rules/{place}/to/{index}/operation");
        let (at, value) = match &one["operation"] {
            Value::Object(fields) if fields.contains_key("notPaths") => {
                (format!("{operation}/notPaths/-"), json!(path))
            }
            Value::Object(_) => (format!("{operation}/notPaths"), json!([path])),
            _ => (operation, json!({"notPaths": [path]})),
        };
        json!({"op": "add", "path": at, "value": value})
    });
    each.collect()
}

/// Where there is a policy that allows, all else is denied.
fn not_allowed(policies: &[&DynamicObject], request: &Request<'_>) -> Option<Verdict> {
    let allowing: Vec<_> = policies
        .iter()
        .filter(|policy| policy.data["spec"]["action"].as_str().unwrap_or("ALLOW") == "ALLOW")
        .collect();
    let first = allowing.first()?;
    let rules = allowing.iter().flat_map(|policy| rules(policy));
    match rules.map(|rule| request.is_matched(rule)).max().unwrap_or(Match::No) {
        Match::Yes => None,
        Match::Perhaps => {
            let text = "it allows the CA only by what is known of a request when it comes";
            Some(perhaps(first, text, &allow(&name_of(**first).namespace, first)))
        }
        Match::No => {
            let titles: Vec<_> = allowing.iter().map(|policy| title(policy)).collect();
            let text = "it allows other requests only, so that Envoy answers 403 to the CA before any route";
            let namespace = name_of(**first).namespace;
            Some(
                Verdict::fail(Kind::PolicyDenies, text)
                    .object(titles.join(", "))
                    .fix(allow(&namespace, first)),
            )
        }
    }
}

/// A policy beside it that allows the path.
fn allow(namespace: &str, policy: &DynamicObject) -> String {
    let spec = &policy.data["spec"];
    let aim = ["selector", "targetRefs", "targetRef"]
        .iter()
        .filter(|field| !spec[**field].is_null())
        .map(|field| format!("  {field}: {}\n", spec[*field]))
        .collect::<String>();
    format!(
        "kubectl apply -f - <<'EOF'
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {}-acme-challenges, namespace: {namespace}}}
spec:
{aim}  action: ALLOW
  rules: [{{to: [{{operation: {{methods: [GET], paths: [\"{CHALLENGE_PATH}*\"]}}}}]}}]
EOF",
        name_of(policy).name
    )
}

fn title(policy: &DynamicObject) -> String {
    let kind = policy.types.as_ref().map_or("AuthorizationPolicy", |types| types.kind.as_str());
    format!("{kind} {}", name_of(policy))
}

fn rules(policy: &DynamicObject) -> impl Iterator<Item = &Value> {
    policy.data["spec"]["rules"].as_array().into_iter().flatten()
}

/// Whether a policy is for a gateway: of its namespace or of the whole mesh, and by labels or by name.
fn is_for(policy: &DynamicObject, facts: &PolicyFacts) -> bool {
    let (spec, namespace) = (&policy.data["spec"], name_of(policy).namespace);
    let targets: Vec<_> = spec["targetRefs"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(Some(&spec["targetRef"]).filter(|one| one.is_object()))
        .collect();
    if !targets.is_empty() {
        let named = targets.iter().filter(|target| target["kind"] == "Gateway");
        // A Gateway of Istio's own is nothing that a policy can name.
        let named =
            named.map(|target| ObjectName::new(&namespace, target["name"].as_str().unwrap_or_default()));
        let named: Vec<_> = named.map(GatewayName::GatewayApi).collect();
        return facts.doors.iter().flat_map(|door| &door.gateways).any(|gateway| named.contains(gateway));
    }
    let labels = selected(spec);
    facts.pods.iter().any(|(home, pod)| {
        let is_near = *home == namespace || namespace == ROOT;
        is_near && labels.iter().all(|(key, value)| pod.get(key) == Some(value))
    })
}

pub(super) fn selected(spec: &Value) -> BTreeMap<String, String> {
    let selector = serde_json::from_value::<LabelSelector>(spec["selector"].clone());
    selector.ok().and_then(|selector| selector.match_labels).unwrap_or_default()
}

fn ports(doors: &[Door]) -> BTreeSet<u16> {
    doors.iter().map(|door| door.port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespace: &str, spec: Value) -> DynamicObject {
        let value = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "p", "namespace": namespace}, "spec": spec,
        });
        serde_json::from_value(value).unwrap()
    }

    fn kinds(policies: Vec<DynamicObject>) -> Vec<&'static str> {
        let labels = [("istio".to_owned(), "public".to_owned()), ("app".to_owned(), "gw".to_owned())].into();
        let door = Door {
            gateways: vec![GatewayName::GatewayApi(ObjectName::new("infra", "api"))],
            port: 80,
            ..Door::default()
        };
        let facts = PolicyFacts {
            host: "www.example.com".into(),
            doors: vec![door],
            mesh: Mesh { authorization_policies: policies, ..Mesh::default() },
            pods: [("infra".to_owned(), labels)].into(),
        };
        verdicts(&facts).iter().map(|verdict| verdict.kind.as_str()).collect()
    }

    fn kind(spec: Value) -> &'static str {
        let kinds = kinds(vec![policy("infra", spec)]);
        assert_eq!(kinds.len(), 1);
        kinds[0]
    }

    #[test]
    fn only_policies_for_the_gateway_count() {
        let deny = |more: Value| {
            let mut spec = json!({"action": "DENY", "rules": [{}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        assert_eq!(kind(deny(json!({}))), "policy-denies");
        assert_eq!(kind(deny(json!({"selector": {"matchLabels": {"istio": "public"}}}))), "policy-denies");
        assert_eq!(kind(deny(json!({"selector": {"matchLabels": {"istio": "other"}}}))), "policy-ok");
        let named = |name| {
            deny(
                json!({"targetRefs": [{"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": name}]}),
            )
        };
        assert_eq!(kind(named("api")), "policy-denies");
        assert_eq!(kind(named("other")), "policy-ok");
        assert_eq!(kinds(vec![policy("elsewhere", deny(json!({})))]), ["policy-ok"]);
        assert_eq!(kinds(vec![policy(ROOT, deny(json!({})))]), ["policy-denies"]);
        assert_eq!(kinds(Vec::new()), ["policy-ok"]);
    }

    #[test]
    fn a_policy_that_denies() {
        let deny = |rule: Value| kind(json!({"action": "DENY", "rules": [rule]}));
        for (rule, wanted) in [
            (json!({"to": [{"operation": {"paths": ["/.well-known/*"]}}]}), "policy-denies"),
            (json!({"to": [{"operation": {"paths": ["/admin*"]}}]}), "policy-ok"),
            (json!({"to": [{"operation": {"notPaths": ["/.well-known/acme-challenge/*"]}}]}), "policy-ok"),
            (json!({"to": [{"operation": {"notPaths": ["/app"]}}]}), "policy-denies"),
            (json!({"to": [{"operation": {"methods": ["POST"]}}]}), "policy-ok"),
            (json!({"to": [{"operation": {"hosts": ["*.example.com"]}}]}), "policy-denies"),
            (json!({"to": [{"operation": {"hosts": ["other.test"]}}]}), "policy-ok"),
            (json!({"to": [{"operation": {"notPorts": ["80"]}}]}), "policy-ok"),
            (json!({"from": [{"source": {"ipBlocks": ["192.0.2.0/24"]}}]}), "policy-may-deny"),
            (json!({"from": [{"source": {"remoteIpBlocks": ["0.0.0.0/0"]}}]}), "policy-denies"),
            (json!({"from": [{"source": {"notRequestPrincipals": ["*"]}}]}), "policy-denies"),
            (json!({"from": [{"source": {"requestPrincipals": ["*"]}}]}), "policy-ok"),
            (json!({"when": [{"key": "request.headers[x]", "values": ["y"]}]}), "policy-may-deny"),
            (json!({"when": [{"key": "destination.port", "values": ["80"]}]}), "policy-denies"),
        ] {
            assert_eq!(deny(rule.clone()), wanted, "{rule}");
        }
        assert_eq!(kind(json!({"action": "DENY"})), "policy-ok");
        assert_eq!(kind(json!({"action": "AUDIT", "rules": [{}]})), "policy-ok");
        assert_eq!(
            kind(json!({"action": "CUSTOM", "provider": {"name": "x"}, "rules": [{}]})),
            "policy-may-deny"
        );
    }

    #[test]
    fn a_policy_that_allows_denies_all_else() {
        let allow = |rule: Value| kind(json!({"rules": [rule]}));
        assert_eq!(kind(json!({})), "policy-denies");
        assert_eq!(allow(json!({})), "policy-ok");
        assert_eq!(allow(json!({"from": [{"source": {"requestPrincipals": ["*"]}}]})), "policy-denies");
        assert_eq!(
            allow(json!({"when": [{"key": "request.auth.claims[a]", "values": ["b"]}]})),
            "policy-denies"
        );
        assert_eq!(allow(json!({"from": [{"source": {"ipBlocks": ["192.0.2.0/24"]}}]})), "policy-may-deny");
        assert_eq!(
            allow(json!({"to": [{"operation": {"paths": ["/.well-known/acme-challenge/*"]}}]})),
            "policy-ok"
        );
        let both = [json!({"rules": [{"to": [{"operation": {"paths": ["/app"]}}]}]}), json!({"rules": [{}]})];
        assert_eq!(kinds(both.into_iter().map(|spec| policy("infra", spec)).collect()), ["policy-ok"]);
    }

    #[test]
    fn the_path_is_taken_out_of_the_rules_that_match() {
        let request = Request { host: "www.example.com", ports: [80].into() };
        let fix = |rules: Value| without_challenges(&policy("infra", json!({"rules": rules})), &request);
        let some = fix(json!([
            {"to": [{"operation": {"paths": ["/admin"]}}]},
            {"from": [{"source": {"ipBlocks": ["192.0.2.0/24"]}}]},
            {"to": [{"operation": {"hosts": ["*"]}}, {"operation": {"notPaths": ["/app"]}}, {}]},
        ]));
        let patch = some.split_once(" -p '").unwrap().1.trim_end_matches('\'');
        let path = "/.well-known/acme-challenge/*";
        assert_eq!(
            serde_json::from_str::<Value>(patch).unwrap(),
            json!([
                {"op": "add", "path": "/spec/rules/1/to", "value": [{"operation": {"notPaths": [path]}}]},
                {"op": "add", "path": "/spec/rules/2/to/0/operation/notPaths", "value": [path]},
                {"op": "add", "path": "/spec/rules/2/to/1/operation/notPaths/-", "value": path},
                {"op": "add", "path": "/spec/rules/2/to/2/operation", "value": {"notPaths": [path]}},
            ])
        );
        assert!(some.contains("kubectl -n infra patch authorizationpolicies.security.istio.io/p "), "{some}");
        let many = fix(json!(vec![json!({}); MAX_RULES + 1]));
        assert!(many.contains("kubectl -n infra edit authorizationpolicies.security.istio.io p"), "{many}");
        assert!(fix(json!(vec![json!({}); MAX_RULES])).len() < 1900, "a report has place for it");
    }

    #[test]
    fn the_fix_is_a_policy_for_the_same_gateway() {
        let spec = json!({"selector": {"matchLabels": {"istio": "public"}}});
        let fix = allow("infra", &policy("infra", spec));
        assert!(fix.contains("selector: {\"matchLabels\":{\"istio\":\"public\"}}"), "{fix}");
        assert!(fix.contains("paths: [\"/.well-known/acme-challenge/*\"]"), "{fix}");
    }
}
