//! The way from a gateway to gatecert's responder, where the answer goes by it: endpoints, and TLS on the way.

use super::cluster::{Mesh, name_of};
use super::controller::{self, DEPLOYMENT};
use super::kind::Kind;
use super::policy::{ROOT, selected};
use super::report::{Verdict, merged};
use gatecert_render::{ObjectName, ServiceName};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the responder.
#[derive(Clone, Debug)]
pub(super) struct ResponderFacts {
    pub(super) service: ServiceName,
    /// How many of its endpoints are ready; `None` where there is no Service.
    pub(super) ready: Option<usize>,
    /// The labels of its Pods, and whether one of them has a sidecar of Istio.
    pub(super) pods: Vec<(BTreeMap<String, String>, bool)>,
    /// The namespaces of the Envoys that ask it.
    pub(super) clients: BTreeSet<String>,
    pub(super) mesh: Mesh,
}

pub(super) fn verdicts(facts: &ResponderFacts) -> Vec<Verdict> {
    let ServiceName { namespace, name, port } = &facts.service;
    let title = format!("Service {namespace}/{name}");
    match facts.ready {
        None => {
            let text = "it does not exist, and the gateway's answers go by it: Envoy answers 503";
            let fix = "gatecert render install | kubectl apply --server-side -f -";
            return vec![Verdict::fail(Kind::ResponderDown, text).object(title).fix(fix)];
        }
        Some(0) => {
            let text = "none of its Pods is ready, and the gateway's answers go by it: Envoy answers 503";
            let fix = controller::look(namespace);
            return vec![Verdict::fail(Kind::ResponderDown, text).object(title).fix(fix)];
        }
        Some(_) => {}
    }
    let wrong: Vec<_> = facts.clients.iter().filter_map(|client| tls(facts, client)).collect();
    if !wrong.is_empty() {
        return wrong;
    }
    let ready = facts.ready.unwrap_or_default();
    vec![
        Verdict::ok(Kind::ResponderOk, format!("{ready} ready, asked in plain on port {port}")).object(title),
    ]
}

/// What is wrong with TLS from Envoys of a namespace.
fn tls(facts: &ResponderFacts, client: &str) -> Option<Verdict> {
    let rule = rule_for(facts, client);
    let mode = rule.and_then(|rule| mode_of(rule, facts.service.port));
    let has_sidecar = facts.pods.iter().any(|(_, has_sidecar)| *has_sidecar);
    let is_tls = matches!(mode.as_deref(), Some("SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL"));
    if is_tls && (!has_sidecar || mode.as_deref() != Some("ISTIO_MUTUAL")) {
        let rule = rule?;
        let text = format!(
            "it has gateways of {client} speak TLS ({}) to the responder, which speaks plain HTTP: Envoy answers 503",
            mode.unwrap_or_default()
        );
        let fix = in_plain(&facts.service, rule, client);
        return Some(
            Verdict::fail(Kind::ResponderTls, text)
                .object(format!("DestinationRule {}", name_of(rule)))
                .fix(fix),
        );
    }
    let strict = facts.pods.iter().filter(|(_, has_sidecar)| *has_sidecar);
    let strict = strict.filter_map(|(labels, _)| strict_for(facts, labels)).next()?;
    if mode.as_deref() != Some("DISABLE") {
        return None;
    }
    let text = "it demands mutual TLS (STRICT) of whoever asks the responder, and a DestinationRule turns that off \
                (DISABLE): the sidecar refuses the gateway";
    let title = format!("PeerAuthentication {}", name_of(strict));
    Some(
        Verdict::fail(Kind::ResponderTls, text)
            .object(title)
            .fix(format!("leave the sidecar out:\n{}", without_sidecar(&facts.service.namespace))),
    )
}

/// The command that sets the label which `gatecert render install` gives the Pods.
fn without_sidecar(namespace: &str) -> String {
    let labels = json!({"sidecar.istio.io/inject": "false"});
    let fields = json!({"spec": {"template": {"metadata": {"labels": labels}}}});
    merged("deployment", &ObjectName::new(namespace, DEPLOYMENT), &fields)
}

/// The DestinationRule that istiod takes: of the client's namespace, then the Service's, then the mesh's; in each the
/// closest. For clients in the mesh's namespace, as ingress gateways often are, only those rules come before the Service's that
/// are for this namespace alone: the others there are meant for all.
fn rule_for<'a>(facts: &'a ResponderFacts, client: &str) -> Option<&'a DynamicObject> {
    let homes = [client, facts.service.namespace.as_str(), ROOT];
    homes.into_iter().enumerate().find_map(|(place, home)| {
        let here = facts.mesh.destination_rules.iter().filter(|rule| name_of(*rule).namespace == home);
        let seen = here.filter(|rule| is_seen(rule, home, client));
        let seen = seen.filter(|rule| place > 0 || client != ROOT || is_private(rule));
        seen.filter_map(|rule| Some((closeness(rule, &facts.service, home)?, rule)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, rule)| rule)
    })
}

/// Whether it is for its own namespace alone.
fn is_private(rule: &DynamicObject) -> bool {
    let own = name_of(rule).namespace;
    let to = rule.data["spec"]["exportTo"].as_array().map(Vec::as_slice);
    matches!(to, Some([one]) if one == "." || *one == own.as_str())
}

fn is_seen(rule: &DynamicObject, home: &str, client: &str) -> bool {
    let to = rule.data["spec"]["exportTo"].as_array().filter(|to| !to.is_empty());
    to.is_none_or(|to| to.iter().any(|to| to == "*" || to == client || (to == "." && home == client)))
}

/// How long the part of the host is that is fixed.
fn closeness(rule: &DynamicObject, service: &ServiceName, home: &str) -> Option<usize> {
    let host = rule.data["spec"]["host"].as_str()?;
    let whole = service.host();
    if let Some(suffix) = host.strip_prefix('*') {
        return whole.ends_with(suffix).then_some(suffix.len());
    }
    let meant = if host.contains('.') { host.to_owned() } else { format!("{host}.{home}.svc.cluster.local") };
    (meant == whole).then_some(usize::MAX)
}

fn mode_of(rule: &DynamicObject, port: u16) -> Option<String> {
    let policy = &rule.data["spec"]["trafficPolicy"];
    let of_port = policy["portLevelSettings"].as_array().into_iter().flatten();
    let of_port = of_port.filter(|one| one["port"]["number"] == port).find(|one| one["tls"].is_object());
    let tls = of_port.map_or(&policy["tls"], |one| &one["tls"]);
    tls["mode"].as_str().map(str::to_owned)
}

/// The PeerAuthentication that makes mutual TLS a must for Pods with these labels.
fn strict_for<'a>(facts: &'a ResponderFacts, labels: &BTreeMap<String, String>) -> Option<&'a DynamicObject> {
    let namespace = facts.service.namespace.as_str();
    let fits = |policy: &&DynamicObject| {
        selected(&policy.data["spec"]).iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    let rank = |policy: &DynamicObject| {
        let has_selector = !selected(&policy.data["spec"]).is_empty();
        match name_of(policy).namespace {
            home if home == namespace && has_selector => 2,
            home if home == namespace => 1,
            _ => 0,
        }
    };
    let near = |policy: &&DynamicObject| {
        let home = name_of(*policy).namespace;
        home == namespace || (home == ROOT && selected(&policy.data["spec"]).is_empty())
    };
    let all = facts.mesh.peer_authentications.iter().filter(near).filter(fits);
    let closest =
        all.filter(|policy| mode(policy, facts.service.port) != "UNSET").max_by_key(|policy| rank(policy));
    closest.filter(|policy| mode(policy, facts.service.port) == "STRICT")
}

fn mode(policy: &DynamicObject, port: u16) -> &str {
    let spec: &Value = &policy.data["spec"];
    let of_port = spec["portLevelMtls"][port.to_string().as_str()]["mode"].as_str();
    of_port.or_else(|| spec["mtls"]["mode"].as_str()).unwrap_or("UNSET")
}

/// The command after which the Envoys of a namespace speak plain HTTP to the responder. A rule that is for the responder alone is
/// changed, since a second one of its host is not taken; before one for many hosts there is room for a closer one.
fn in_plain(service: &ServiceName, rule: &DynamicObject, client: &str) -> String {
    let is_for_many = rule.data["spec"]["host"].as_str().is_some_and(|host| host.starts_with('*'));
    if !is_for_many {
        let policy = json!({"tls": {"mode": "DISABLE"}, "portLevelSettings": null});
        let fields = json!({"spec": {"trafficPolicy": policy}});
        return merged("destinationrules.networking.istio.io", &name_of(rule), &fields);
    }
    // One of the client's own namespace comes first, and is not for others.
    let (namespace, seen) = match name_of(rule).namespace == client && client != service.namespace {
        true => (client, ", exportTo: ['.']"),
        false => (service.namespace.as_str(), ""),
    };
    format!(
        "kubectl apply -f - <<'EOF'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {}, namespace: {namespace}}}
spec: {{host: {}{seen}, trafficPolicy: {{tls: {{mode: DISABLE}}}}}}
EOF",
        service.name,
        service.host()
    )
}

#[cfg(test)]
mod tests {
    use super::super::controller::is_about_installed;
    use super::*;

    fn object(kind: &str, namespace: &str, spec: Value) -> DynamicObject {
        let value = json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "o", "namespace": namespace}, "spec": spec});
        serde_json::from_value(value).unwrap()
    }

    fn facts() -> ResponderFacts {
        ResponderFacts {
            service: ServiceName {
                namespace: "gatecert-system".into(),
                name: "gatecert-responder".into(),
                port: 8089,
            },
            ready: Some(2),
            pods: vec![(BTreeMap::new(), false)],
            clients: ["infra".to_owned()].into(),
            mesh: Mesh::default(),
        }
    }

    fn kind(facts: &ResponderFacts) -> &'static str {
        verdicts(facts)[0].kind.as_str()
    }

    #[test]
    fn it_has_to_be_there() {
        assert_eq!(kind(&facts()), "responder-ok");
        let down = &verdicts(&ResponderFacts { ready: Some(0), ..facts() })[0];
        assert_eq!(down.kind.as_str(), "responder-down");
        assert!(is_about_installed(down.fix.as_deref().unwrap(), "gatecert-system"), "{down:?}");
        assert_eq!(kind(&ResponderFacts { ready: None, ..facts() }), "responder-down");
    }

    #[test]
    fn the_rule_of_the_gateways_namespace_comes_first_and_the_closest_in_it() {
        let rule = |namespace: &str, host: &str, mode: &str| {
            object(
                "DestinationRule",
                namespace,
                json!({"host": host, "trafficPolicy": {"tls": {"mode": mode}}}),
            )
        };
        let of = |rules: Vec<DynamicObject>, has_sidecar: bool| {
            let mut facts = facts();
            facts.mesh.destination_rules = rules;
            facts.pods = vec![(BTreeMap::new(), has_sidecar)];
            kind(&facts)
        };
        assert_eq!(of(vec![rule(ROOT, "*.local", "ISTIO_MUTUAL")], false), "responder-tls");
        assert_eq!(of(vec![rule(ROOT, "*.local", "ISTIO_MUTUAL")], true), "responder-ok");
        assert_eq!(of(vec![rule(ROOT, "*.local", "SIMPLE")], true), "responder-tls");
        let beside = rule("gatecert-system", "gatecert-responder", "DISABLE");
        assert_eq!(of(vec![rule(ROOT, "*.local", "ISTIO_MUTUAL"), beside.clone()], false), "responder-ok");
        let of_gateway = rule("infra", "*.svc.cluster.local", "ISTIO_MUTUAL");
        assert_eq!(of(vec![of_gateway.clone(), beside], false), "responder-tls");
        let closer = rule("infra", "gatecert-responder.gatecert-system.svc.cluster.local", "DISABLE");
        assert_eq!(of(vec![of_gateway, closer], false), "responder-ok");
        let of_mesh = rule(ROOT, "gatecert-responder.gatecert-system.svc.cluster.local", "SIMPLE");
        let mut at_root = facts();
        at_root.clients = [ROOT.to_owned()].into();
        at_root.mesh.destination_rules =
            vec![of_mesh, rule("gatecert-system", "gatecert-responder", "DISABLE")];
        assert_eq!(kind(&at_root), "responder-ok", "a rule for all comes behind the Service's");
        assert_eq!(of(vec![rule("elsewhere", "*.local", "SIMPLE")], false), "responder-ok");
        let mut private = rule(ROOT, "*.local", "SIMPLE");
        private.data["spec"]["exportTo"] = json!(["."]);
        assert_eq!(of(vec![private], false), "responder-ok");
    }

    #[test]
    fn strict_is_a_matter_of_the_sidecar() {
        let mut facts = facts();
        facts.mesh.peer_authentications =
            vec![object("PeerAuthentication", ROOT, json!({"mtls": {"mode": "STRICT"}}))];
        let disable = json!({"host": "gatecert-responder", "trafficPolicy": {"tls": {"mode": "DISABLE"}}});
        facts.mesh.destination_rules = vec![object("DestinationRule", "gatecert-system", disable)];
        assert_eq!(kind(&facts), "responder-ok", "without a sidecar nobody enforces it");
        facts.pods = vec![(BTreeMap::new(), true)];
        let strict = &verdicts(&facts)[0];
        assert_eq!(strict.kind.as_str(), "responder-tls");
        assert_eq!(strict.object.as_deref(), Some("PeerAuthentication istio-system/o"));
        let fix = strict.fix.as_deref().unwrap();
        assert!(is_about_installed(fix, "gatecert-system"), "{fix}");
        assert!(fix.contains(r#""sidecar.istio.io/inject":"false""#), "{fix}");
        let permissive = json!({"mtls": {"mode": "PERMISSIVE"}});
        facts.mesh.peer_authentications.push(object("PeerAuthentication", "gatecert-system", permissive));
        assert_eq!(kind(&facts), "responder-ok");
    }
}
