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
    // A rule without paths is refused, and so would be all of it: a name may be proved already.
    let hosts = form.hosts.iter().filter(|(_, challenges)| !challenges.is_empty());
    let rules = hosts.map(|(host, challenges)| IngressRule {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_proved_already_have_no_rule() {
        let challenge = |host: &str| Challenge {
            host: host.to_owned(),
            token: "t".to_owned(),
            key_authorization: "t.k".to_owned(),
        };
        let hosts =
            [("a.test".to_owned(), vec![]), ("*".to_owned(), vec![challenge("b.test"), challenge("c.test")])];
        let form = IngressForm {
            owner: &Owner { namespace: "shop".into(), name: "www".into(), uid: "1".into() },
            name: "route".into(),
            class: "istio",
            is_annotated: true,
            hosts: &hosts.into(),
            responder: &ServiceName { namespace: "system".into(), name: "responder".into(), port: 8089 },
        };
        let ingress = ingress(&form);
        let spec = ingress.spec.unwrap();
        let rules = spec.rules.unwrap();
        assert_eq!((rules.len(), spec.ingress_class_name), (1, None));
        assert_eq!((rules[0].host.as_ref(), rules[0].http.as_ref().unwrap().paths.len()), (None, 2));
        assert_eq!(ingress.metadata.annotations.unwrap()["kubernetes.io/ingress.class"], "istio");
    }
}
