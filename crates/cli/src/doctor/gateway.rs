//! Which gateway takes the name and the challenge's path, and whether a challenge may have a route there.

mod fix;
mod listeners;

use super::issuer::Meant;
use super::kind::Kind;
use super::report::Verdict;
use gatecert_controller::route::{Door, Placement, Refusal, RefusalReason};
use gatecert_render::{CHALLENGE_PATH, ObjectName, gateway_api, istio};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of a name.
#[derive(Clone, Debug)]
pub(super) struct GatewayFacts {
    pub(super) host: String,
    /// The ports that take it.
    pub(super) doors: Vec<Door>,
    /// Where a challenge would go.
    pub(super) placement: Result<Placement, Vec<Refusal>>,
    /// VirtualServices with all that stands in them.
    pub(super) virtual_services: BTreeMap<ObjectName, Value>,
    /// Istio's Gateways.
    pub(super) istio_gateways: Vec<Arc<istio::Gateway>>,
    /// The Gateway API's Gateways.
    pub(super) gateways: Vec<Arc<gateway_api::Gateway>>,
    /// Its ListenerSets.
    pub(super) listener_sets: Vec<Arc<gateway_api::ListenerSet>>,
    /// The names of the IngressClasses.
    pub(super) ingress_classes: BTreeSet<String>,
    /// The namespace that asks for the name, or would.
    pub(super) namespace: Option<String>,
    /// The labels of that namespace, where they could be read.
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// The Secret that the Certificate writes.
    pub(super) secret: Option<ObjectName>,
    /// The Certificate's issuer.
    pub(super) issuer: Option<Meant>,
}

pub(super) fn verdicts(facts: &GatewayFacts) -> Vec<Verdict> {
    let mut verdicts = match &facts.placement {
        Ok(placement) => vec![placed(facts, placement)],
        Err(refusals) => refusals.iter().map(|refusal| refused(facts, refusal)).collect(),
    };
    let is_on_https =
        facts.placement.as_ref().is_ok_and(|placement| placement.probes.iter().any(|probe| probe.is_tls));
    // A redirect is asked before any route, so that the routes behind it count only where it leads.
    let asked = facts.doors.iter().filter(|door| match door.port {
        80 => door.redirecting.is_empty(),
        _ => is_on_https,
    });
    verdicts.extend(asked.flat_map(|door| taken(facts, door)));
    verdicts.extend(facts.doors.iter().filter_map(|door| shadowed(facts, door)));
    verdicts
}

/// A challenge gets a route: how the name comes in now, and how the challenge will.
fn placed(facts: &GatewayFacts, placement: &Placement) -> Verdict {
    let doors = facts.doors.iter().filter(|door| door.port == 80);
    let now: Vec<_> = doors.clone().map(served).collect();
    let objects: Vec<_> = doors.flat_map(|door| door.gateways.iter().map(String::as_str)).collect();
    let way = match placement {
        placement if placement.probes.iter().any(|probe| probe.is_tls) => {
            "plain requests are redirected, so that the challenge is answered on port 443"
        }
        placement if !placement.bypasses.is_empty() => {
            "plain requests are redirected; a Gateway for this name alone takes the challenge's path out of that"
        }
        placement if !placement.virtual_services.is_empty() => {
            "a VirtualService beside the Certificate takes the challenge"
        }
        placement if !placement.http_routes.is_empty() => {
            "an HTTPRoute for the exact path takes the challenge"
        }
        _ => "an Ingress for the exact path takes the challenge",
    };
    let now = if now.is_empty() { "nothing serves it yet".to_owned() } else { now.join("; ") };
    let verdict = Verdict::ok(Kind::GatewayOk, format!("{now}; {way}"));
    if objects.is_empty() { verdict } else { verdict.object(objects.join(", ")) }
}

/// What a port does with the name.
fn served(door: &Door) -> String {
    let route = match door.routes.as_slice() {
        _ if !door.redirecting.is_empty() => {
            format!(
                "redirected to HTTPS by {} (tls.httpsRedirect), before any route",
                door.redirecting.join(", ")
            )
        }
        [] => "no route has it, so that all but a challenge gets 404".to_owned(),
        [first, ..] => format!("{} has it by its host {}, the closest", first.title(), first.host),
    };
    match door.hidden.first() {
        Some(hidden) => format!("{route}, and hides {} ({})", hidden.title(), hidden.host),
        None => route,
    }
}

fn refused(facts: &GatewayFacts, refusal: &Refusal) -> Verdict {
    let kind = match refusal.reason {
        RefusalReason::NotAllowed => Kind::GatewayNotAllowed,
        RefusalReason::GatewayNotReady => Kind::GatewayNotReady,
        RefusalReason::RedirectWithoutHttps => Kind::GatewayRedirect,
        _ => Kind::GatewayMissing,
    };
    // The controller's own words: what, then `: ` and what to do.
    let (message, fix) = refusal.message.rsplit_once(": ").unwrap_or((&refusal.message, ""));
    let gateways: Vec<_> =
        facts.doors.iter().flat_map(|door| door.gateways.first()).map(String::as_str).collect();
    let mut verdict = Verdict::fail(kind, message);
    if let Some(gateway) = gateways.first() {
        verdict = verdict.object(*gateway);
    }
    let command = match kind {
        Kind::GatewayMissing => Some(server_for(&facts.host)),
        _ => fix::refused(facts, refusal),
    };
    let both = Some(fix.to_owned()).filter(|fix| !fix.is_empty()).into_iter().chain(command);
    let both: Vec<_> = both.collect();
    if both.is_empty() { verdict } else { verdict.fix(both.join("\n")) }
}

fn server_for(host: &str) -> String {
    format!(
        "servers of an Istio Gateway:\n- port: {{number: 80, name: http, protocol: HTTP}}\n  hosts: [{host}]"
    )
}

/// Routes of others that come before a challenge's and take its path.
fn taken(facts: &GatewayFacts, door: &Door) -> Vec<Verdict> {
    let before = door.routes.iter().filter(|route| route.is_before_challenges);
    let judged = before.filter_map(|route| {
        let http = facts.virtual_services.get(&route.name)?["spec"]["http"].as_array()?;
        http.iter().filter_map(takes_path).max().map(|how| (route, how))
    });
    judged
        .map(|(route, how)| {
            let text = format!(
                "it is seen by few namespaces only (exportTo), so that it comes before a challenge's route, and a match \
                 of it {} {CHALLENGE_PATH}",
                if how == Takes::Surely { "takes" } else { "may take" }
            );
            let verdict = match how {
                Takes::Surely => Verdict::fail(Kind::GatewayPathTaken, text),
                Takes::Perhaps => Verdict::warn(Kind::GatewayPathTaken, text),
            };
            verdict.object(route.title()).fix(format!(
                "keep {CHALLENGE_PATH} out of its matches, or take its exportTo away: kubectl -n {} patch virtualservice \
                 {} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/exportTo\"}}]'",
                route.name.namespace, route.name.name
            ))
        })
        .collect()
}

/// Whether a route takes a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    Perhaps,
    Surely,
}

/// Whether an HTTP route takes the path of a challenge and is no catch-all, which istiod puts last.
fn takes_path(http: &Value) -> Option<Takes> {
    let matches = http["match"].as_array().filter(|matches| !matches.is_empty())?;
    matches.iter().filter_map(takes_match).max()
}

fn takes_match(one: &Value) -> Option<Takes> {
    let uri = &one["uri"];
    let has_more = [
        "headers",
        "queryParams",
        "sourceLabels",
        "sourceNamespace",
        "withoutHeaders",
        "scheme",
        "authority",
        "port",
    ]
    .iter()
    .any(|condition| !one[*condition].is_null());
    let is_get = match (one["method"]["exact"].as_str(), one["method"].is_null()) {
        (_, true) => true,
        (Some(method), _) => method == "GET",
        _ => true,
    };
    let how = match (uri["prefix"].as_str(), uri["exact"].as_str(), uri["regex"].as_str()) {
        (Some(prefix), ..) if CHALLENGE_PATH.starts_with(prefix) || prefix.starts_with(CHALLENGE_PATH) => {
            let is_catch_all = prefix == "/" && !has_more && one["method"].is_null();
            // Beyond the path itself stands a token, which nobody knows.
            let is_whole = prefix.len() <= CHALLENGE_PATH.len();
            (!is_catch_all).then_some(if is_whole { Takes::Surely } else { Takes::Perhaps })
        }
        (Some(_), ..) | (_, Some(_), _) => None,
        (_, _, Some(".*" | "/.*" | "*")) if !has_more => None,
        (_, _, Some(_)) => Some(Takes::Perhaps),
        // Without a path it is for every path, and a catch-all where it has no other condition.
        _ if has_more => Some(Takes::Perhaps),
        _ if one["method"].is_null() => None,
        _ => Some(Takes::Surely),
    };
    let how = how.filter(|_| is_get)?;
    Some(if has_more { Takes::Perhaps } else { how })
}

/// Of several TLS servers for one host on a port istiod takes the oldest, and says nothing of the others.
fn shadowed(facts: &GatewayFacts, door: &Door) -> Option<Verdict> {
    let [first, rest @ ..] = door.gateways.as_slice() else { return None };
    let is_istio = door.routes.iter().all(|route| route.kind == "VirtualService");
    if door.port != 443 || rest.is_empty() || !is_istio {
        return None;
    }
    let text = format!(
        "{} has an HTTPS server for {} as well and is younger: istiod passes it over in silence",
        rest.join(", "),
        facts.host
    );
    let command = fix::without_host(facts, door).map(|command| format!("\n{command}"));
    Some(Verdict::warn(Kind::GatewayShadowed, text).object(first.clone()).fix(format!(
        "leave {} to one of them: its routes and its Secret are then those of that Gateway{}",
        facts.host,
        command.unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_controller::route::{Subject, TakenRoute};
    use serde_json::json;

    #[test]
    fn paths_are_taken_or_not() {
        let surely = Some(Takes::Surely);
        let perhaps = Some(Takes::Perhaps);
        for (matches, wanted) in [
            (json!(null), None),
            (json!([]), None),
            (json!([{"uri": {"prefix": "/"}}]), None),
            (json!([{"uri": {"prefix": "/.well-known"}}]), surely),
            (json!([{"uri": {"prefix": "/.well-known/acme-challenge/"}}]), surely),
            (json!([{"uri": {"prefix": "/.well-known/acme-challenge/abc"}}]), perhaps),
            (json!([{"uri": {"prefix": "/app"}}, {"uri": {"prefix": "/.w"}}]), surely),
            (json!([{"uri": {"prefix": "/app"}}]), None),
            (json!([{"uri": {"exact": "/.well-known/acme-challenge/"}}]), None),
            (json!([{"uri": {"regex": ".*"}}]), None),
            (json!([{"uri": {"regex": "/[.]well.*"}}]), perhaps),
            (json!([{"uri": {"prefix": "/"}, "headers": {"x": {"exact": "y"}}}]), perhaps),
            (json!([{"uri": {"prefix": "/"}, "method": {"exact": "GET"}}]), surely),
            (json!([{"uri": {"prefix": "/"}, "method": {"exact": "POST"}}]), None),
            (json!([{"method": {"exact": "GET"}}]), surely),
        ] {
            assert_eq!(takes_path(&json!({"match": matches})), wanted, "{matches}");
        }
    }

    fn door(port: u16, gateways: &[&str]) -> Door {
        Door {
            gateways: gateways.iter().map(|one| format!("Gateway infra/{one}")).collect(),
            port,
            host: "www.example.com".into(),
            ..Door::default()
        }
    }

    fn facts(doors: Vec<Door>, placement: Result<Placement, Vec<Refusal>>) -> GatewayFacts {
        let http = json!({"spec": {"http": [{"match": [{"uri": {"prefix": "/.well-known"}}]}]}});
        let virtual_services = [(ObjectName::new("shop", "web"), http)].into();
        GatewayFacts {
            host: "www.example.com".into(),
            doors,
            placement,
            virtual_services,
            istio_gateways: Vec::new(),
            gateways: Vec::new(),
            listener_sets: Vec::new(),
            ingress_classes: BTreeSet::new(),
            namespace: Some("shop".into()),
            labels: Some(BTreeMap::new()),
            secret: Some(ObjectName::new("infra", "www-tls")),
            issuer: None,
        }
    }

    fn kinds(facts: &GatewayFacts) -> Vec<&'static str> {
        verdicts(facts).iter().map(|verdict| verdict.kind.as_str()).collect()
    }

    fn route(is_before_challenges: bool) -> TakenRoute {
        TakenRoute {
            kind: "VirtualService",
            name: ObjectName::new("shop", "web"),
            host: "*.example.com".into(),
            is_before_challenges,
        }
    }

    fn refusal(reason: RefusalReason, subject: Subject) -> Refusal {
        Refusal { host: "www.example.com".into(), reason, subject, message: "it is so: do this".into() }
    }

    fn silent(title: &str, pods: &[(&str, &str)]) -> Subject {
        let pods = pods.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Subject::SilentGateway { title: title.into(), pods }
    }

    #[test]
    fn refusals_have_kinds_and_a_fix_of_their_own() {
        for (reason, wanted) in [
            (RefusalReason::NotAllowed, "gateway-not-allowed"),
            (RefusalReason::NoGateway, "gateway-missing"),
            (RefusalReason::GatewayNotReady, "gateway-not-ready"),
            (RefusalReason::RedirectWithoutHttps, "gateway-redirect"),
        ] {
            let refusal = refusal(reason, Subject::Doors);
            let found = verdicts(&facts(vec![door(80, &["a"])], Err(vec![refusal])));
            assert_eq!(found[0].kind.as_str(), wanted);
            assert_eq!(
                (found[0].message.as_str(), found[0].object.as_deref()),
                ("it is so", Some("Gateway infra/a"))
            );
            assert!(found[0].fix.as_deref().unwrap().starts_with("do this"), "{found:?}");
        }
    }

    fn istio_gateway(name: &str, servers: Value) -> Arc<istio::Gateway> {
        let metadata = json!({"name": name, "namespace": "infra"});
        let spec = json!({"selector": {"istio": "public"}, "servers": servers});
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec,
        });
        Arc::new(serde_json::from_value(gateway).unwrap())
    }

    fn http(hosts: &[&str], tls: Value) -> Value {
        json!({"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts, "tls": tls})
    }

    fn https(hosts: &[&str]) -> Value {
        let tls = json!({"mode": "SIMPLE", "credentialName": "www-tls"});
        json!({"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": hosts, "tls": tls})
    }

    /// The commands that are printed for a refusal.
    fn commands(reason: RefusalReason, subject: Subject, change: impl FnOnce(&mut GatewayFacts)) -> String {
        let mut facts = facts(vec![door(80, &["a"])], Err(vec![refusal(reason, subject)]));
        change(&mut facts);
        let fix = verdicts(&facts)[0].fix.clone().unwrap();
        fix.split_once('\n').map(|(_, commands)| commands.to_owned()).unwrap_or_default()
    }

    fn cluster_issuer(allow: Value) -> Meant {
        let spec = json!({"server": "letsencrypt", "allow": allow});
        Meant {
            title: "ClusterIssuer le".into(),
            namespace: None,
            reference: serde_json::from_value(json!({"name": "le", "kind": "ClusterIssuer"})).unwrap(),
            found: Some((serde_json::from_value(spec).unwrap(), None)),
        }
    }

    #[test]
    fn a_namespace_is_let_in_where_it_is_kept_out() {
        let not_allowed = |subject, change: &dyn Fn(&mut GatewayFacts)| {
            commands(RefusalReason::NotAllowed, subject, change)
        };
        let closed = not_allowed(Subject::Doors, &|facts: &mut GatewayFacts| {
            let servers = json!([https(&["*"]), http(&["infra/www.example.com", "other.test"], json!(null))]);
            facts.istio_gateways = vec![istio_gateway("a", servers)];
        });
        assert_eq!(
            closed,
            "kubectl -n infra patch gateways.networking.istio.io/a --type=json -p '[{\"op\":\"add\",\
             \"path\":\"/spec/servers/1/hosts/-\",\"value\":\"shop/www.example.com\"}]'"
        );
        let allow = "kubectl patch clusterissuers.gatecert.dev/le --type=json -p '[{\"op\":\"add\",\
                     \"path\":\"/spec/acme/allow/-\",\"value\":{\"dnsNames\":[\"www.example.com\"],\
                     \"namespaces\":{\"names\":[\"shop\"]}}}]'";
        for subject in [Subject::Issuer, Subject::Doors] {
            let listed = not_allowed(subject.clone(), &|facts: &mut GatewayFacts| {
                facts.issuer = Some(cluster_issuer(json!([])));
            });
            assert_eq!(listed, allow, "{subject:?}");
        }
        let of_another = not_allowed(Subject::Doors, &|facts: &mut GatewayFacts| {
            facts.doors[0].routes = vec![TakenRoute { name: ObjectName::new("web", "web"), ..route(false) }];
            facts.issuer = Some(cluster_issuer(json!(null)));
        });
        assert!(of_another.contains("metadata: {name: www-tls, namespace: web}"), "{of_another}");
        assert!(of_another.contains("secretNamespace: infra"), "{of_another}");
        assert!(of_another.contains("issuerRef: {name: le, kind: ClusterIssuer}"), "{of_another}");
        let (kind, holder) = ("Gateway", ObjectName::new("infra", "a"));
        let subject = Subject::Listener { kind, holder, name: "http".into() };
        let listener = not_allowed(subject, &|facts: &mut GatewayFacts| {
            let allowed = json!({"namespaces": {"from": "Same"}});
            let gateway = json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "a", "namespace": "infra"},
                "spec": {"gatewayClassName": "istio", "listeners": [{
                    "name": "http", "port": 80, "protocol": "HTTP", "hostname": "www.example.com",
                    "allowedRoutes": allowed,
                }]},
            });
            facts.gateways = vec![Arc::new(serde_json::from_value(gateway).unwrap())];
        });
        assert!(
            listener.starts_with("kubectl -n infra patch gateways.gateway.networking.k8s.io/a "),
            "{listener}"
        );
        assert!(listener.contains(r#""path":"/spec/listeners/0/allowedRoutes/namespaces""#), "{listener}");
        assert!(listener.contains(r#""values":["infra","shop"]"#), "{listener}");
        assert_eq!(not_allowed(Subject::Doors, &|_: &mut GatewayFacts| {}), "", "nothing is made up");
    }

    #[test]
    fn what_should_be_asked_is_shown() {
        let not_ready = |pods: &[(&str, &str)], change: &dyn Fn(&mut GatewayFacts)| {
            commands(RefusalReason::GatewayNotReady, silent("Gateway infra/a", pods), change)
        };
        let by_label = [("istio", "public")];
        let behind = not_ready(&by_label, &|facts: &mut GatewayFacts| {
            let labels = [("istio".to_owned(), "public".to_owned())].into();
            facts.doors[0].pods = [("infra".to_owned(), labels)].into();
            facts.doors[0].services = [ObjectName::new("infra", "public")].into();
        });
        assert_eq!(
            behind,
            "kubectl -n infra get pods -l istio=public\n\
             kubectl -n infra get endpointslices -l kubernetes.io/service-name=public"
        );
        let without = not_ready(&by_label, &|facts: &mut GatewayFacts| {
            facts.istio_gateways = vec![istio_gateway("a", json!([]))];
        });
        assert_eq!(
            without,
            "kubectl get pods --all-namespaces -l istio=public\nkubectl get services --all-namespaces -o wide"
        );
        assert_eq!(
            not_ready(&[], &|_: &mut GatewayFacts| {}),
            "kubectl -n infra describe gateways.gateway.networking.k8s.io a"
        );
    }

    #[test]
    fn what_an_ingress_class_lacks_is_shown() {
        let of_class = |class: &str, pods: &[(&str, &str)]| {
            let subject = silent(&format!("Ingress class {class}"), pods);
            commands(RefusalReason::GatewayNotReady, subject, |facts| {
                facts.doors.clear();
                facts.ingress_classes = ["nginx".to_owned()].into();
            })
        };
        let all = "kubectl get ingresses,services --all-namespaces -o wide";
        assert_eq!(of_class("nginx", &[]), format!("kubectl describe ingressclasses/nginx\n{all}"));
        assert_eq!(
            of_class("istio", &[("istio", "ingressgateway")]),
            format!("{all}\nkubectl get pods --all-namespaces -l istio=ingressgateway")
        );
        // The class is a word of whoever writes an Ingress.
        for class in ["--server=https://example.com", "x\ncurl example.com", "a b"] {
            assert_eq!(of_class(class, &[]), all, "{class}");
        }
    }

    #[test]
    fn behind_a_redirect_there_has_to_be_a_server() {
        let redirect = |change: &dyn Fn(&mut GatewayFacts)| {
            commands(RefusalReason::RedirectWithoutHttps, Subject::Doors, |facts| {
                facts.doors[0].redirecting = vec!["Gateway infra/a".into()];
                let servers = json!([http(&["www.example.com"], json!({"httpsRedirect": true}))]);
                facts.istio_gateways = vec![istio_gateway("a", servers)];
                change(facts);
            })
        };
        assert_eq!(
            redirect(&|_: &mut GatewayFacts| {}),
            "kubectl -n infra patch gateways.networking.istio.io/a --type=json -p '[{\"op\":\"add\",\
             \"path\":\"/spec/servers/-\",\"value\":{\"port\":{\"number\":443,\"name\":\"https-1\",\
             \"protocol\":\"HTTPS\"},\"hosts\":[\"www.example.com\"],\"tls\":{\"mode\":\"SIMPLE\",\
             \"credentialName\":\"www-tls\"}}}]'"
        );
        let refusing = redirect(&|facts: &mut GatewayFacts| facts.doors.push(door(443, &["a"])));
        assert!(
            refusing.contains(r#"{"op":"remove","path":"/spec/servers/0/tls/httpsRedirect"}"#),
            "{refusing}"
        );
    }

    #[test]
    fn a_route_before_the_challenges_takes_its_path() {
        let with = |mut door: Door, is_before| {
            door.routes = vec![route(is_before)];
            door
        };
        let placement = || Ok(Placement::default());
        assert_eq!(kinds(&facts(vec![with(door(80, &["a"]), false)], placement())), ["gateway-ok"]);
        let taken = facts(vec![with(door(80, &["a"]), true)], placement());
        assert_eq!(kinds(&taken), ["gateway-ok", "gateway-path-taken"]);
        // Behind a redirect no route of port 80 is asked, and none of 443 where the challenge does not come there.
        let mut redirecting = with(door(80, &["a"]), true);
        redirecting.redirecting = vec!["Gateway infra/a".into()];
        assert_eq!(
            kinds(&facts(vec![redirecting, with(door(443, &["a"]), true)], placement())),
            ["gateway-ok"]
        );
    }

    #[test]
    fn what_serves_the_name_is_told() {
        let text = |door: Door| verdicts(&facts(vec![door], Ok(Placement::default())))[0].message.clone();
        assert!(text(door(80, &["a"])).starts_with("no route has it"));
        let mut routed = door(80, &["a"]);
        routed.routes = vec![route(false)];
        assert!(text(routed.clone()).starts_with("VirtualService shop/web has it by its host *.example.com"));
        routed.redirecting = vec!["Gateway infra/a".into()];
        assert!(text(routed).starts_with("redirected to HTTPS by Gateway infra/a"));
    }

    #[test]
    fn of_two_servers_for_https_one_is_passed_over() {
        let both = facts(vec![door(443, &["old", "young"])], Ok(Placement::default()));
        assert_eq!(kinds(&both), ["gateway-ok", "gateway-shadowed"]);
        let found = &verdicts(&both)[1];
        assert_eq!(found.object.as_deref(), Some("Gateway infra/old"));
        assert!(found.message.contains("Gateway infra/young"), "{found:?}");
        let of = |servers: Value| {
            let mut both = both.clone();
            both.istio_gateways = vec![
                istio_gateway("old", json!([https(&["www.example.com"])])),
                istio_gateway("young", servers),
            ];
            verdicts(&both)[1].fix.clone().unwrap()
        };
        let patch = "kubectl -n infra patch gateways.networking.istio.io/young --type=json -p ";
        let among = of(json!([http(&["*"], json!(null)), https(&["other.test", "shop/www.example.com"])]));
        let test = r#"{"op":"test","path":"/spec/servers/1/hosts/1","value":"shop/www.example.com"}"#;
        let remove = r#"{"op":"remove","path":"/spec/servers/1/hosts/1"}"#;
        assert!(among.ends_with(&format!("{patch}'[{test},{remove}]'")), "{among}");
        let server = of(json!([https(&["www.example.com"]), https(&["other.test"])]));
        let test = r#"{"op":"test","path":"/spec/servers/0/hosts/0","value":"www.example.com"}"#;
        let remove = r#"{"op":"remove","path":"/spec/servers/0"}"#;
        assert!(server.ends_with(&format!("{patch}'[{test},{remove}]'")), "{server}");
        let whole = of(json!([https(&["www.example.com"])]));
        assert!(whole.ends_with("kubectl -n infra delete gateways.networking.istio.io young"), "{whole}");
        assert_eq!(
            kinds(&facts(vec![door(80, &["old", "young"])], Ok(Placement::default()))),
            ["gateway-ok"]
        );
    }
}
