//! Names that are well, what is outside of the cluster, and what gatecert's own objects say.

use crate::Outcome;
use crate::manifest::{certificate, gateway, http, https, object, route};
use crate::world::{PATH, World, condition, ready, ready_issuer, refused};
use gatecert_acme::{Clock as _, SystemClock};
use gatecert_render::Answer;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// A name with all that it needs: route, HTTPS, Secret, Certificate.
pub async fn well(world: &World, name: &str, host: &str) -> Outcome {
    world
        .apply(&[gateway(name, &[http(name, host, ""), https(name, host, name)]), route(name, host)].concat())
        .await?;
    world.secret(name, host, -1, 60).await?;
    world.ready_certificate(name, host).await
}

pub async fn a_name_that_is_well(world: &World) -> Outcome {
    well(world, "well", "www.well.test").await?;
    world.challenge("istio-system", "well", "www.well.test", &Answer::Direct).await?;
    world.answers("www.well.test", PATH, 200).await?;
    world.answers("www.well.test", "/app", 200).await?;
    world.is_taken("www.well.test", true).await?;
    let report = world.doctor("www.well.test", &[]).await?;
    report.expect(&[]);
    let kinds: Vec<_> = report.checks.iter().map(|check| check["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "dns-ok",
            "caa-ok",
            "http-ok",
            "controller-ok",
            "gateway-ok",
            "policy-ok",
            "secret-ok",
            "certificate-ok",
            "issuer-ok",
            "limit-ok"
        ]
    );
    assert_eq!(report.checks[4]["object"], "Gateway istio-system/well");
    assert!(report.checks[4]["message"].as_str().unwrap().contains("VirtualService app/well"), "{report:#?}");
    // Of a namespace without Certificates.
    let elsewhere = world.doctor("www.well.test", &["-n", "app"]).await?;
    elsewhere.check("certificate-missing");
    Ok(())
}

pub async fn what_is_outside(world: &World) -> Outcome {
    let dns = world.cluster.pebble.challtestsrv();
    for host in ["servfail", "caa", "method", "elsewhere", "family"] {
        well(world, host, &format!("{host}.outside.test")).await?;
        world.answers(&format!("{host}.outside.test"), "/app", 200).await?;
    }
    dns.set_servfail("servfail.outside.test").await?;
    let report = world.doctor("servfail.outside.test", &[]).await?;
    report.expect(&["dns-failed", "dns-failed", "caa-failed"]);
    report.check("http-skipped");

    dns.add_caa("caa.outside.test", &[("issue", "other.test")]).await?;
    let report = world.doctor("caa.outside.test", &[]).await?;
    report.expect(&["caa-forbids"]);
    assert_eq!(report.check("caa-forbids")["object"], "CAA caa.outside.test");
    dns.add_caa("caa.outside.test", &[("issue", "letsencrypt.org; accounturi=https://ca.test/acct/2")])
        .await?;
    world.doctor("caa.outside.test", &[]).await?.expect(&["caa-account"]);
    dns.add_caa("method.outside.test", &[("issue", "letsencrypt.org; validationmethods=dns-01")]).await?;
    world.doctor("method.outside.test", &[]).await?.expect(&["caa-method"]);

    // The gateway's address is that of its load balancer.
    let services: Api<Service> = Api::namespaced(world.cluster.client.clone(), "istio-system");
    let spec = json!({"spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}});
    services.patch("istio-ingressgateway", &PatchParams::default(), &Patch::Merge(spec)).await?;
    let balancer =
        json!({"status": {"loadBalancer": {"ingress": [{"ip": world.cluster.gateway_address()}]}}});
    services.patch_status("istio-ingressgateway", &PatchParams::default(), &Patch::Merge(balancer)).await?;
    dns.add_a("elsewhere.outside.test", &["10.99.0.77".parse()?]).await?;
    let report = world.doctor("elsewhere.outside.test", &[]).await?;
    report.expect(&["dns-elsewhere", "http-unreachable"]);
    assert!(report.check("dns-elsewhere")["message"].as_str().unwrap().contains("10.99.0.1"), "{report:#?}");

    dns.add_aaaa("family.outside.test", &["::1".parse()?]).await?;
    world.doctor("family.outside.test", &[]).await?.expect(&["dns-elsewhere", "http-ipv6"]);

    // The gateway's address is on no public network, and the CA is.
    let report = world.doctor_outside("caa.outside.test", &[]).await?;
    report.expect(&["dns-private", "caa-account"]);
    assert_eq!(report.check("dns-private")["object"], "A caa.outside.test");
    report.check("http-skipped");
    // What is left of a name without a record is where it should lead.
    dns.set_default_ipv4("").await?;
    let report = world.doctor("method.outside.test", &[]).await;
    dns.set_default_ipv4(&world.cluster.gateway_address().to_string()).await?;
    let report = report?;
    report.expect(&["dns-missing", "caa-method"]);
    let fix = report.check("dns-missing")["fix"].as_str().unwrap();
    assert_eq!(fix, format!("let method.outside.test lead to {}", world.cluster.gateway_address()));
    Ok(())
}

/// What takes all paths of a name, and what a CA makes of it.
pub async fn what_port_80_answers(world: &World) -> Outcome {
    let host = "www.port80.test";
    well(world, "port80", host).await?;
    let web = "route: [{destination: {host: web.app.svc.cluster.local, port: {number: 8000}}}]";
    let nobody = web.replace("web.app", "nobody.app");
    let late = format!("fault: {{delay: {{percentage: {{value: 100}}, fixedDelay: 12s}}}}, {web}");
    for (answer, path, status, kind) in [
        ("redirect: {uri: /again}", PATH, 301, "http-redirects"),
        ("redirect: {authority: www.target.test}", PATH, 301, "http-redirect-elsewhere"),
        ("redirect: {port: 8443}", PATH, 301, "http-redirect-target"),
        (nobody.as_str(), PATH, 503, "http-error"),
        ("directResponse: {status: 200}", PATH, 200, "http-answered"),
        (late.as_str(), "/late", 200, "http-timeout"),
    ] {
        let name = format!("as-{}", kind.trim_start_matches("http-"));
        let spec = format!("{{hosts: [{host}], gateways: [istio-system/port80], http: [{{{answer}}}]}}");
        let before = route("port80", host);
        world.delete(&before).await?;
        let all = object("networking.istio.io/v1", "VirtualService", "app", &name, &spec);
        world.apply(&all).await?;
        world.answers(host, path, status).await?;
        let report = world.doctor(host, &[]).await?;
        report.expect(&[kind]);
        assert!(report.check(kind)["object"].as_str().unwrap().contains("port80.test"), "{report:#?}");
        world.delete(&all).await?;
        world.apply(&before).await?;
        world.answers(host, PATH, 404).await?;
    }
    Ok(())
}

/// Writes what the Certificate `says` says.
async fn says(world: &World, status: &Value) -> Outcome {
    world.status("Certificate", Some("istio-system"), "says", status).await
}

pub async fn what_the_certificate_says(world: &World) -> Outcome {
    let host = "www.says.test";
    well(world, "says", host).await?;
    world.answers(host, "/app", 200).await?;
    says(world, &refused("NoGateway", "no gateway")).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["certificate-not-ready"]);
    assert_eq!(report.check("certificate-not-ready")["object"], "Certificate istio-system/says");

    let issuing = json!({"conditions": [
        condition("Ready", "False", "DoesNotExist", ""), condition("Issuing", "True", "DomainLimit", "waits")]});
    says(world, &issuing).await?;
    world.doctor(host, &[]).await?.expect(&["certificate-issuing"]);

    let mut planned = ready();
    planned["renewalTime"] = json!("2099-01-02T00:00:00Z");
    says(world, &planned).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&[]);
    report.check("renewal-unknown");
    planned["ari"] = json!({
        "certificateID": "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE", "windowStart": "2099-01-01T00:00:00Z",
        "windowEnd": "2099-01-03T00:00:00Z", "selected": "2099-01-02T00:00:00Z", "askAgainAt": "2026-01-01T00:00:00Z"});
    says(world, &planned).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&[]);
    report.check("renewal-ok");
    says(world, &json!({"ari": null})).await?;

    let mut overdue = ready();
    overdue["renewalTime"] = json!("2026-01-01T00:00:00Z");
    says(world, &overdue).await?;
    world.doctor(host, &[]).await?.expect(&["renewal-overdue"]);
    let now = SystemClock.now();
    let orders: Vec<_> =
        (0..5).map(|n| json!({"url": format!("https://ca.test/{n}"), "time": now.strftime("%FT%TZ").to_string(), "type": "New"})).collect();
    let mut used_up = ready();
    used_up["renewalTime"] = json!(null);
    used_up["recentOrders"] = json!(orders);
    says(world, &used_up).await?;
    world.doctor(host, &[]).await?.expect(&["limit-used-up"]);
    says(world, &json!({"recentOrders": []})).await?;

    let mut unregistered = ready_issuer();
    unregistered["conditions"][0]["status"] = json!("False");
    world.status("ClusterIssuer", None, "letsencrypt", &unregistered).await?;
    world.doctor(host, &[]).await?.expect(&["issuer-not-ready"]);
    world.status("ClusterIssuer", None, "letsencrypt", &ready_issuer()).await?;
    world.lease(600).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["controller-stale"]);
    world.has_deployment(report.check("controller-stale")["fix"].as_str().unwrap()).await?;
    let lease = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: gatecert-controller, namespace: gatecert-system}\n";
    world.delete(lease).await?;
    world.doctor(host, &[]).await?.expect(&["controller-missing"]);
    world.lease(-3600).await?;

    world
        .apply(&certificate("istio-system", "says", host).replace("{name: letsencrypt,", "{name: nobody,"))
        .await?;
    let report = world.doctor(host, &[]).await?;
    let stale = report.checks.iter().any(|check| check["kind"] == "issuer-missing");
    assert!(stale, "{report:#?}");
    assert_eq!(report.check("issuer-missing")["object"], "ClusterIssuer nobody");
    world.delete(&certificate("istio-system", "says", host)).await?;
    let report = world.doctor(host, &[]).await?;
    report.expect(&["certificate-missing"]);
    let fix = report.check("certificate-missing")["fix"].as_str().unwrap();
    assert!(fix.contains("namespace: app"), "{report:#?}");
    world.mend(&fix.replace("ISSUER", "letsencrypt")).await?;
    let report = world.doctor(host, &[]).await?;
    assert_eq!(report.check("certificate-not-ready")["object"], "Certificate app/www");
    Ok(())
}

/// A user without rights is told so, and nothing is made up.
pub async fn what_may_not_be_read(world: &World) -> Outcome {
    world.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: guest, namespace: app}\n").await?;
    let token = world.cluster.server.service_account_token("app", "guest").await?;
    let directory = tempfile::TempDir::new()?;
    let file = directory.path().join("guest");
    std::fs::write(&file, world.cluster.server.kubeconfig_for(&token))?;
    let resolver = world.cluster.pebble.challtestsrv().dns_address();
    let file = file.display().to_string();
    let arguments = [
        "doctor",
        "www.well.test",
        "--resolver",
        resolver,
        "--allow-private",
        "-o",
        "json",
        "--kubeconfig",
        &file,
    ];
    let report = crate::world::run(&arguments).await?;
    assert!(report.checks.iter().skip(3).all(|check| check["kind"] == "cluster-forbidden"), "{report:#?}");
    assert!(report.checks.len() > 10, "{report:#?}");
    assert_eq!(report.code, 0, "{report:#?}");
    Ok(())
}
