//! Who may ask for which name. A challenge on a shared gateway proves a name for whoever asked for it.

use super::others::Others;
use super::place::Ask;
use super::{Refusal, RefusalReason};
use gatecert_api::{Allowed, NamespaceSelector};
use gatecert_render::ObjectName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use std::collections::BTreeSet;

/// The refusal of a name that no entry of the ClusterIssuer's `spec.acme.allow` covers, whatever gateway it is on.
pub(super) fn narrowed(ask: &Ask<'_>) -> Option<Refusal> {
    let allow = ask.question.allow?;
    let is_allowed = allow.iter().any(|entry| {
        let namespaces = entry.namespaces.as_ref();
        let names = entry.dns_names.as_deref();
        namespaces.is_none_or(|namespaces| has_namespace(namespaces, ask.question.namespace, ask.others))
            && names.is_none_or(|names| has_name(names, ask.host))
    });
    (!is_allowed).then(|| {
        ask.refusal(
            RefusalReason::NotAllowed,
            format!(
                "spec.acme.allow of the ClusterIssuer has no entry for {} in namespace {}: add one, or use another issuer",
                ask.host, ask.question.namespace
            ),
        )
    })
}

/// Whether `spec.acme.allow` gives the name to the namespace in so many words: by an entry that has both.
fn is_named(ask: &Ask<'_>) -> bool {
    let is_naming = |entry: &Allowed| {
        let namespaces = entry.namespaces.as_ref();
        let names = entry.dns_names.as_deref();
        namespaces.is_some_and(|namespaces| has_namespace(namespaces, ask.question.namespace, ask.others))
            && names.is_some_and(|names| has_name(names, ask.host))
    };
    ask.question.allow.unwrap_or_default().iter().any(is_naming)
}

/// What serves a name now.
pub(super) struct Served {
    /// The kind of the routes.
    pub(super) kind: &'static str,
    /// The routes that Envoy takes for it.
    pub(super) routes: BTreeSet<ObjectName>,
}

/// The refusal of a name that routes of other namespaces serve on `gateway`, in the namespace `home` if it is in one.
/// Whoever owns the gateway owns what it serves, and `spec.acme.allow` may name others.
pub(super) fn served_by_others(
    ask: &Ask<'_>,
    gateway: &str,
    home: Option<&str>,
    served: &Served,
) -> Option<Refusal> {
    let namespace = ask.question.namespace;
    let other = served.routes.first()?;
    let is_among = served.routes.iter().any(|route| route.namespace == namespace);
    if is_among || home == Some(namespace) || is_named(ask) {
        return None;
    }
    let homes = match home {
        Some(home) if home != other.namespace => format!("{} or {home}", other.namespace),
        _ => other.namespace.clone(),
    };
    Some(ask.refusal(
        RefusalReason::NotAllowed,
        format!(
            "{} is served on {gateway} by {} {other}, not by namespace {namespace}: put the Certificate in namespace \
             {homes}, or name {namespace} and {} in one entry of spec.acme.allow of a ClusterIssuer",
            ask.host, served.kind, ask.host
        ),
    ))
}

fn has_name(names: &[String], host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(zone) => {
            !super::host::is_address(host) && parent.is_some_and(|parent| parent.eq_ignore_ascii_case(zone))
        }
        None => name.eq_ignore_ascii_case(host),
    })
}

fn has_namespace(selector: &NamespaceSelector, namespace: &str, others: &Others<'_>) -> bool {
    let names = selector.names.as_deref().unwrap_or_default();
    names.iter().any(|name| name == namespace)
        || selector.selector.as_ref().is_some_and(|labels| selects(labels, namespace, others))
}

/// Whether a namespace has the labels. One that is not known has none, not even those that a selector is content
/// without; a selector that is not understood selects nothing.
pub(super) fn selects(selector: &LabelSelector, namespace: &str, others: &Others<'_>) -> bool {
    let Ok(selector) = Selector::try_from(selector.clone()) else { return false };
    others.namespace_labels(namespace).is_some_and(|labels| selector.matches(&labels))
}
