//! The objects as a cluster gets them. `INSTA_UPDATE=always cargo test -p gatecert-render` writes them anew, to be read
//! before they are committed.
#![allow(clippy::unwrap_used, reason = "what is rendered here is plain data")]

mod ingress;
mod install;

use gatecert_api::{IssuerKind, IssuerReference, SecretTemplate};
use gatecert_render::gateway_api::ParentReference;
use gatecert_render::istio::Port;
use gatecert_render::{
    Answer, Challenge, HttpRouteForm, InstallOptions, ObjectName, Owner, Publication, RedirectBypass,
    ServiceName, VirtualServiceRoute, http_route, install, pending_key_secret, placeholder_secret,
    published_secret, redirect_bypass, reference_grant, secret_grant, uninstall, virtual_service,
};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

fn owner() -> Owner {
    Owner { namespace: "shop".into(), name: "www".into(), uid: "4f6c".into() }
}

fn challenges() -> [Challenge; 2] {
    ["www.example.com", "api.example.com"].map(|host| Challenge {
        host: host.into(),
        token: format!("token-of-{}", &host[..3]),
        key_authorization: format!("token-of-{}.thumbprint", &host[..3]),
    })
}

fn responder() -> ServiceName {
    ServiceName { namespace: "gatecert-system".into(), name: "gatecert-responder".into(), port: 8089 }
}

fn yaml(object: &impl Serialize) -> String {
    serde_saphyr::to_string(&sorted(serde_json::to_value(object).unwrap())).unwrap()
}

/// With its keys in one order, whatever features of serde_json a build has.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(all) => all.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[test]
fn virtual_services() {
    for (name, answer) in [("direct", Answer::Direct), ("responder", Answer::Responder(responder()))] {
        let route = virtual_service(&VirtualServiceRoute {
            owner: &owner(),
            name: "www-acme-1".into(),
            gateways: &[ObjectName::new("istio-system", "public"), ObjectName::new("edge", "other")].into(),
            export_to: &["istio-system".to_owned()].into(),
            hosts: &["*.example.com".to_owned()].into(),
            challenges: &challenges(),
            answer: &answer,
        });
        insta::assert_snapshot!(format!("virtual_service_{name}"), yaml(&route));
    }
}

#[test]
fn a_bypass_of_a_redirect() {
    let (gateway, route) = redirect_bypass(&RedirectBypass {
        owner: &owner(),
        name: "www-acme-2".into(),
        namespace: "istio-system".into(),
        export_to: &["istio-system".to_owned()].into(),
        selector: &[("istio".to_owned(), "ingressgateway".to_owned())].into(),
        port: &Port { number: 80, protocol: "HTTP".into(), name: "http".into() },
        host: "www.example.com",
        challenges: &challenges()[..1],
        answer: &Answer::Direct,
    });
    insta::assert_snapshot!(yaml(&gateway) + "---\n" + &yaml(&route));
}

#[test]
fn an_http_route_and_its_grant() {
    let parent = ParentReference {
        name: "public".into(),
        section_name: Some("http".into()),
        ..ParentReference::default()
    };
    let route = http_route(&HttpRouteForm {
        owner: &owner(),
        name: ObjectName::new("edge", "www-acme-3"),
        parents: &[parent].into(),
        hostnames: &["*.example.com".to_owned()].into(),
        challenges: &challenges(),
        responder: &responder(),
    });
    insta::assert_snapshot!(yaml(&route) + "---\n" + &yaml(&reference_grant("edge", &responder())));
}

#[test]
fn a_grant_for_a_secret() {
    insta::assert_snapshot!(yaml(&secret_grant("shop", &ObjectName::new("istio-system", "www-tls"))));
}

#[test]
fn secrets() {
    let pairs = |all: &[(&str, &str)]| {
        Some(all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    let template = SecretTemplate {
        annotations: pairs(&[("team", "shop"), ("gatecert.dev/issuer-name", "forged")]),
        labels: pairs(&[("team", "shop"), ("app.kubernetes.io/managed-by", "forged")]),
    };
    let published = published_secret(&Publication {
        owner: &owner(),
        secret: &ObjectName::new("istio-system", "www-tls"),
        chain_pem: "CHAIN",
        key_pem: "KEY",
        dns_names: vec!["api.example.com".into(), "www.example.com".into()],
        ip_addresses: Vec::new(),
        common_name: None,
        issuer: &IssuerReference {
            name: "letsencrypt".into(),
            kind: Some(IssuerKind::ClusterIssuer),
            group: None,
        },
        directory: "https://ca.test/directory",
        profile: None,
        issued_at: "2026-11-23T12:00:00Z",
        template: Some(&template),
    });
    insta::assert_snapshot!("secret_published", yaml(&published));
    let secret = ObjectName::new("istio-system", "www-tls");
    insta::assert_snapshot!(
        "secret_placeholder",
        yaml(&placeholder_secret(&owner(), &secret, "CERTIFICATE", "KEY"))
    );
    insta::assert_snapshot!("secret_pending_key", yaml(&pending_key_secret(&owner(), b"{}")));
}

#[test]
fn one_namespace_needs_no_rights_in_others() {
    let options = InstallOptions { only_namespace: Some("shop".into()), ..InstallOptions::default() };
    let kinds: Vec<_> =
        install(&options).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect();
    assert!(!kinds.iter().any(|kind| kind.starts_with("ClusterRole")), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "Role"));
}

#[test]
fn what_is_uninstalled_leaves_issuers_certificates_and_keys() {
    let kinds: Vec<_> = uninstall(&InstallOptions::default())
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        !kinds.iter().any(|kind| matches!(kind.as_str(), "CustomResourceDefinition" | "Namespace")),
        "{kinds:?}"
    );
    assert!(kinds.len() >= 10);
}
