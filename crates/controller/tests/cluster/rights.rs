//! The rights that are installed: enough, and no more.

use crate::Outcome;
use crate::harness::World;
use gatecert_render::RIGHTS;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client};

/// What a program with everybody's keys must not be able to do: group, resource, verbs.
const REFUSED: [(&str, &str, &[&str]); 14] = [
    ("", "pods", &["get", "list", "create", "delete"]),
    ("", "pods/exec", &["create"]),
    ("", "pods/portforward", &["create"]),
    ("", "services", &["create", "update", "patch", "delete"]),
    ("", "endpoints", &["create", "update", "patch"]),
    ("", "configmaps", &["get", "list", "create", "update"]),
    ("", "namespaces", &["create", "update", "patch", "delete"]),
    ("", "serviceaccounts/token", &["create"]),
    ("apps", "deployments", &["get", "create", "update", "patch"]),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", &["create", "update", "patch"]),
    ("apiextensions.k8s.io", "customresourcedefinitions", &["create", "update", "patch", "delete"]),
    ("rbac.authorization.k8s.io", "clusterrolebindings", &["create", "update", "patch", "bind"]),
    ("security.istio.io", "authorizationpolicies", &["create", "update", "patch", "delete"]),
    ("gatecert.dev", "clusterissuers", &["create", "update", "patch", "delete"]),
];

pub(crate) async fn no_more_than_is_needed(world: &World) -> Outcome {
    let server = &world.cluster.server;
    let token = server.service_account_token("gatecert-system", "gatecert").await?;
    let client = server.client_for(&token).await?;
    for right in RIGHTS {
        for resource in right.resources {
            for verb in right.verbs {
                assert!(may(&client, right.group, resource, verb).await?, "may not {verb} {resource}");
            }
        }
    }
    for (group, resource, verbs) in REFUSED {
        for verb in verbs {
            assert!(!may(&client, group, resource, verb).await?, "may {verb} {resource}");
        }
    }
    for verb in ["*", "deletecollection", "impersonate", "escalate"] {
        for right in RIGHTS {
            for resource in right.resources {
                assert!(!may(&client, right.group, resource, verb).await?, "may {verb} {resource}");
            }
        }
    }
    Ok(())
}

/// What the API server says, anywhere in the cluster.
async fn may(client: &Client, group: &str, resource: &str, verb: &str) -> Result<bool, kube::Error> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: Some(subresource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let question = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&Default::default(), &question).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
