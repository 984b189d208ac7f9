//! Consent of a namespace to be referred to from another one.

use crate::challenge::ServiceName;
use crate::gateway_api::{GROUP, GrantFrom, GrantTo, ReferenceGrant, ReferenceGrantSpec};
use crate::owner::ObjectName;
use gatecert_api::annotation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The longest name of an object, in characters.
const MAX_NAME: usize = 253;

/// The consent that HTTPRoutes of a namespace need to reach the responder.
pub fn reference_grant(namespace: &str, responder: &ServiceName) -> ReferenceGrant {
    let labels = [(annotation::MANAGED_BY.to_owned(), annotation::MANAGER.to_owned())];
    let name = format!("gatecert-routes-of-{namespace}");
    let mut grant = grant(ObjectName::new(&responder.namespace, name), "Service", &responder.name);
    grant.metadata.labels = Some(labels.into());
    grant.spec.from = vec![GrantFrom {
        group: GROUP.to_owned(),
        kind: "HTTPRoute".to_owned(),
        namespace: namespace.to_owned(),
    }];
    grant
}

/// The consent that Certificates of a namespace need to publish a Secret in another one. It is the other namespace's to
/// give, so that it bears no label of gatecert's. One for each Secret: applying another takes none back.
pub fn secret_grant(namespace: &str, secret: &ObjectName) -> ReferenceGrant {
    let name = format!("certificates-of-{namespace}-for-{}", secret.name);
    let name: String = name.chars().take(MAX_NAME).collect();
    let name = name.trim_end_matches(['-', '.']).to_owned();
    let mut grant = grant(ObjectName::new(&secret.namespace, name), "Secret", &secret.name);
    grant.spec.from = vec![GrantFrom {
        group: gatecert_api::GROUP.to_owned(),
        kind: "Certificate".to_owned(),
        namespace: namespace.to_owned(),
    }];
    grant
}

fn grant(name: ObjectName, kind: &str, to: &str) -> ReferenceGrant {
    ReferenceGrant {
        metadata: ObjectMeta {
            namespace: Some(name.namespace),
            name: Some(name.name),
            ..ObjectMeta::default()
        },
        spec: ReferenceGrantSpec {
            from: Vec::new(),
            to: vec![GrantTo { group: String::new(), kind: kind.to_owned(), name: Some(to.to_owned()) }],
        },
    }
}
