use super::*;
use gatecert_controller::route::{SolverKind, Subject, TakenRoute};
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

fn istio(name: &str) -> GatewayName {
    GatewayName::Istio(ObjectName::new("infra", name))
}

fn door(port: u16, gateways: &[&str]) -> Door {
    Door {
        gateways: gateways.iter().map(|one| istio(one)).collect(),
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

fn silent(gateway: GatewayName, pods: &[(&str, &str)]) -> Subject {
    let pods = pods.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Subject::SilentGateway { gateway, pods }
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
    let not_allowed =
        |subject, change: &dyn Fn(&mut GatewayFacts)| commands(RefusalReason::NotAllowed, subject, change);
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
    let holder = GatewayName::GatewayApi(ObjectName::new("infra", "a"));
    let subject = Subject::Listener { holder, name: "http".into() };
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
    let not_ready = |subject: Subject, change: &dyn Fn(&mut GatewayFacts)| {
        commands(RefusalReason::GatewayNotReady, subject, change)
    };
    let by_label = silent(istio("a"), &[("istio", "public")]);
    let behind = not_ready(by_label.clone(), &|facts: &mut GatewayFacts| {
        let labels = [("istio".to_owned(), "public".to_owned())].into();
        facts.doors[0].pods = [("infra".to_owned(), labels)].into();
        facts.doors[0].services = [ObjectName::new("infra", "public")].into();
    });
    assert_eq!(
        behind,
        "kubectl -n infra get pods -l istio=public\n\
         kubectl -n infra get endpointslices -l kubernetes.io/service-name=public"
    );
    let without = not_ready(by_label, &|facts: &mut GatewayFacts| {
        facts.istio_gateways = vec![istio_gateway("a", json!([]))];
    });
    assert_eq!(
        without,
        "kubectl get pods --all-namespaces -l istio=public\nkubectl get services --all-namespaces -o wide"
    );
    let of_api = GatewayName::GatewayApi(ObjectName::new("infra", "a"));
    assert_eq!(
        not_ready(silent(of_api, &[]), &|_: &mut GatewayFacts| {}),
        "kubectl -n infra describe gateways.gateway.networking.k8s.io a"
    );
}

#[test]
fn what_an_ingress_class_lacks_is_shown() {
    let of_class = |class: &str, pods: &[(&str, &str)]| {
        let subject = silent(GatewayName::IngressClass(class.to_owned()), pods);
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
            facts.doors[0].redirecting = vec![istio("a")];
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
    assert!(refusing.contains(r#"{"op":"remove","path":"/spec/servers/0/tls/httpsRedirect"}"#), "{refusing}");
}

fn api_gateway() -> Arc<gateway_api::Gateway> {
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": "infra", "generation": 3},
        "spec": {"gatewayClassName": "istio", "listeners": [{
            "name": "http-1", "port": 443, "protocol": "HTTPS", "hostname": "www.example.com",
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }]},
    });
    Arc::new(serde_json::from_value(gateway).unwrap())
}

#[test]
fn a_name_comes_in_on_port_80_by_a_command() {
    let missing = |subject, change: &dyn Fn(&mut GatewayFacts)| {
        commands(RefusalReason::NoGateway, subject, |facts| {
            facts.doors.clear();
            change(facts);
        })
    };
    let nowhere = || Subject::Nowhere(SolverKind::Auto);
    let a = "kubectl -n infra patch gateways.networking.istio.io/a --type=json -p ";
    let host = r#"[{"op":"add","path":"/spec/servers/1/hosts/-","value":"www.example.com"}]"#;
    let server = r#"[{"op":"add","path":"/spec/servers/-","value":{"port":{"number":80,"name":"http-1","protocol":"HTTP"},"hosts":["www.example.com"]}}]"#;
    let on_443 = |facts: &mut GatewayFacts| {
        facts.doors = vec![door(443, &["a"])];
        facts.istio_gateways =
            vec![istio_gateway("b", json!([])), istio_gateway("a", json!([https(&["www.example.com"])]))];
    };
    assert_eq!(missing(nowhere(), &on_443), format!("{a}'{server}'"));
    let has_plain = |facts: &mut GatewayFacts| {
        let servers = json!([https(&["www.example.com"]), http(&["other.test"], json!(null))]);
        facts.istio_gateways = vec![istio_gateway("a", servers)];
    };
    assert_eq!(
        missing(nowhere(), &has_plain),
        format!("if clients come in by Gateway infra/a:\n{a}'{host}'")
    );
    let redirects = |facts: &mut GatewayFacts| {
        let redirect = http(&["other.test"], json!({"httpsRedirect": true}));
        facts.istio_gateways = vec![istio_gateway("a", json!([redirect]))];
    };
    assert!(missing(nowhere(), &redirects).contains("/spec/servers/-"), "a redirect leads nowhere");
    // What the solver is not for helps nothing.
    for kind in [SolverKind::GatewayApi, SolverKind::Ingress] {
        assert_eq!(missing(Subject::Nowhere(kind), &on_443), "", "{kind:?}");
    }
    let of_address = missing(nowhere(), &|facts: &mut GatewayFacts| {
        has_plain(facts);
        facts.host = "192.0.2.1".into();
    });
    assert!(of_address.contains(r#""value":"*""#), "{of_address}");
    // One of several is nobody's but the reader's to choose.
    let several = |facts: &mut GatewayFacts| {
        facts.istio_gateways = vec![istio_gateway("a", json!([])), istio_gateway("b", json!([]))];
    };
    assert!(missing(nowhere(), &several).ends_with("hosts: [www.example.com]"));
    assert_eq!(missing(Subject::Named(istio("a")), &several), format!("{a}'{server}'"));
    assert_eq!(missing(Subject::Named(istio("none")), &several), "");

    let listener = r#"{"name":"http-2","port":80,"protocol":"HTTP","hostname":"www.example.com","allowedRoutes":{"namespaces":{"from":"All"}}}"#;
    let edge = GatewayName::GatewayApi(ObjectName::new("infra", "edge"));
    let patch = missing(nowhere(), &|facts: &mut GatewayFacts| {
        facts.doors = vec![Door { gateways: vec![edge.clone()], ..door(443, &[]) }];
        facts.gateways = vec![api_gateway()];
    });
    let test = r#"{"op":"test","path":"/metadata/generation","value":3}"#;
    assert_eq!(
        patch,
        format!(
            "kubectl -n infra patch gateways.gateway.networking.k8s.io/edge --type=json -p \
             '[{test},{{\"op\":\"add\",\"path\":\"/spec/listeners/-\",\"value\":{listener}}}]'"
        )
    );
}

#[test]
fn a_listener_takes_the_routes_of_the_one_that_has_the_name() {
    let of = |gateway: Value, set: Option<Value>| {
        commands(RefusalReason::NoGateway, Subject::Nowhere(SolverKind::GatewayApi), |facts| {
            let edge = GatewayName::GatewayApi(ObjectName::new("infra", "edge"));
            facts.doors = vec![Door { gateways: vec![edge], host: "*".into(), ..door(443, &[]) }];
            facts.gateways = vec![Arc::new(serde_json::from_value(gateway).unwrap())];
            facts.listener_sets =
                set.into_iter().map(|set| Arc::new(serde_json::from_value(set).unwrap())).collect();
        })
    };
    let for_all = json!({
        "name": "https", "port": 443, "protocol": "HTTPS", "allowedRoutes": {"namespaces": {"from": "All"}},
    });
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "infra"}, "spec": spec,
        })
    };
    let gateway = |listeners: Value| {
        object("Gateway", "edge", json!({"gatewayClassName": "istio", "listeners": listeners}))
    };
    let open = of(gateway(json!([for_all])), None);
    assert!(open.contains(r#""allowedRoutes":{"namespaces":{"from":"All"}}"#), "{open}");
    let set = json!({"parentRef": {"name": "edge"}, "listeners": [for_all]});
    let of_set = of(gateway(json!([])), Some(object("ListenerSet", "more", set)));
    assert!(
        of_set.starts_with("kubectl -n infra patch listenersets.gateway.networking.k8s.io/more "),
        "{of_set}"
    );
    assert!(of_set.contains(r#""allowedRoutes":{"namespaces":{"from":"All"}}"#), "{of_set}");
}

#[test]
fn an_issuer_gets_a_solver_for_the_name() {
    let solver = commands(RefusalReason::NoGateway, Subject::Issuer, |facts| {
        let mut issuer = cluster_issuer(json!(null));
        let other = json!([{"selector": {"dnsZones": ["other.test"]}, "http01": {"auto": {}}}]);
        issuer.found.as_mut().unwrap().0.solvers = Some(serde_json::from_value(other).unwrap());
        facts.issuer = Some(issuer);
    });
    assert_eq!(
        solver,
        "kubectl patch clusterissuers.gatecert.dev/le --type=json -p '[{\"op\":\"add\",\
         \"path\":\"/spec/acme/solvers/-\",\"value\":{\"selector\":{\"dnsNames\":[\"www.example.com\"]},\
         \"http01\":{\"auto\":{}}}}]'"
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
    redirecting.redirecting = vec![istio("a")];
    assert_eq!(kinds(&facts(vec![redirecting, with(door(443, &["a"]), true)], placement())), ["gateway-ok"]);
}

#[test]
fn what_serves_the_name_is_told() {
    let text = |door: Door| verdicts(&facts(vec![door], Ok(Placement::default())))[0].message.clone();
    assert!(text(door(80, &["a"])).starts_with("no route has it"));
    let mut routed = door(80, &["a"]);
    routed.routes = vec![route(false)];
    assert!(text(routed.clone()).starts_with("VirtualService shop/web has it by its host *.example.com"));
    routed.redirecting = vec![istio("a")];
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
        both.istio_gateways =
            vec![istio_gateway("old", json!([https(&["www.example.com"])])), istio_gateway("young", servers)];
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
    assert_eq!(kinds(&facts(vec![door(80, &["old", "young"])], Ok(Placement::default()))), ["gateway-ok"]);
}
