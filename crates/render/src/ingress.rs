//! Challenge routes by Ingress.

use crate::challenge::{Challenge, ServiceName};
use crate::owner::{ObjectName, Owner};
use gatecert_api::annotation;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, ServiceBackendPort,
};
use std::collections::BTreeMap;

/// The annotation that named a class before there were IngressClasses.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Challenges on an Ingress class.
#[derive(Clone, Debug)]
pub struct IngressForm<'a> {
    /// For whom.
    pub owner: &'a Owner,
    /// The name of the Ingress. It stands beside the responder: an Ingress reaches Services of its own namespace only.
    pub name: String,
    /// The class.
    pub class: &'a str,
    /// Whether the class is named by the annotation of old, as it has to be where there is no such IngressClass.
    pub is_annotated: bool,
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
    let mut metadata = form.owner.metadata(&name, annotation::PART_CHALLENGE);
    if form.is_annotated {
        metadata.annotations = Some([(CLASS_ANNOTATION.to_owned(), form.class.to_owned())].into());
    }
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: (!form.is_annotated).then(|| form.class.to_owned()),
            rules: Some(rules.collect()),
            ..IngressSpec::default()
        }),
        status: None,
    }
}

fn path(challenge: &Challenge, backend: &IngressBackend) -> HTTPIngressPath {
    HTTPIngressPath { path: Some(challenge.path()), path_type: "Exact".to_owned(), backend: backend.clone() }
}
