//! Challenge routes by Ingress.

use crate::challenge::{Challenge, ServiceName};
use crate::owner::{ObjectName, Owner};
use gatecert_api::annotation;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, ServiceBackendPort,
};
use std::collections::BTreeMap;

/// Challenges on an Ingress class.
#[derive(Clone, Debug)]
pub struct IngressForm<'a> {
    /// For whom.
    pub owner: &'a Owner,
    /// The name of the Ingress. It stands beside the responder: an Ingress reaches Services of its own namespace only.
    pub name: String,
    /// The class.
    pub class: &'a str,
    /// The hosts, as the Ingress that serves them now has them, with the challenges of each.
    pub hosts: &'a BTreeMap<String, Vec<Challenge>>,
    /// Who answers them.
    pub responder: &'a ServiceName,
}

/// An Ingress that sends exactly the paths of challenges to the responder.
pub fn ingress(form: &IngressForm<'_>) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: form.responder.name.clone(),
            port: Some(ServiceBackendPort { number: Some(form.responder.port.into()), name: None }),
        }),
        resource: None,
    };
    let rules = form.hosts.iter().map(|(host, challenges)| IngressRule {
        host: (host != "*").then(|| host.clone()),
        http: Some(HTTPIngressRuleValue {
            paths: challenges.iter().map(|challenge| path(challenge, &backend)).collect(),
        }),
    });
    let name = ObjectName::new(&form.responder.namespace, &form.name);
    Ingress {
        metadata: form.owner.metadata(&name, annotation::PART_CHALLENGE),
        spec: Some(IngressSpec {
            ingress_class_name: Some(form.class.to_owned()),
            rules: Some(rules.collect()),
            ..IngressSpec::default()
        }),
        status: None,
    }
}

fn path(challenge: &Challenge, backend: &IngressBackend) -> HTTPIngressPath {
    HTTPIngressPath { path: Some(challenge.path()), path_type: "Exact".to_owned(), backend: backend.clone() }
}
