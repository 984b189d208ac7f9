//! Challenge routes on Gateways of the Gateway API.

use crate::challenge::{Challenge, ServiceName};
use crate::gateway_api::{
    BackendReference, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, ParentReference, PathMatch,
};
use crate::owner::{ObjectName, Owner};
use gatecert_api::annotation;
use std::collections::BTreeSet;

/// Challenges on listeners that serve their hosts.
#[derive(Clone, Debug)]
pub struct HttpRouteForm<'a> {
    /// For whom.
    pub owner: &'a Owner,
    /// The route's namespace, that of the Gateway, from which listeners take routes by default, and its name.
    pub name: ObjectName,
    /// The listeners.
    pub parents: &'a BTreeSet<ParentReference>,
    /// The hosts, as the routes that serve them now have them.
    pub hostnames: &'a BTreeSet<String>,
    /// The challenges.
    pub challenges: &'a [Challenge],
    /// Who answers them.
    pub responder: &'a ServiceName,
}

/// An HTTPRoute that sends exactly the paths of challenges to the responder.
pub fn http_route(form: &HttpRouteForm<'_>) -> HttpRoute {
    let matches = form.challenges.iter().map(|challenge| HttpRouteMatch {
        path: Some(PathMatch { type_: "Exact".to_owned(), value: challenge.path() }),
    });
    let is_beside = form.responder.namespace == form.name.namespace;
    let backend = BackendReference {
        name: form.responder.name.clone(),
        namespace: (!is_beside).then(|| form.responder.namespace.clone()),
        port: Some(form.responder.port.into()),
    };
    // A rule takes eight matches at most in older versions, so each challenge has its own.
    let rules = matches.map(|one| HttpRouteRule {
        matches: vec![one],
        backend_refs: vec![backend.clone()],
        ..HttpRouteRule::default()
    });
    HttpRoute {
        metadata: form.owner.metadata(&form.name, annotation::PART_CHALLENGE),
        spec: HttpRouteSpec {
            parent_refs: form.parents.iter().cloned().collect(),
            hostnames: form.hostnames.iter().cloned().collect(),
            rules: rules.collect(),
        },
        status: None,
    }
}
