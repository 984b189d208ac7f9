//! Who may ask for which name. A challenge on a shared gateway proves a name for whoever asked for it.

use super::others::Others;
use super::place::Ask;
use super::{GatewayName, Refusal, RefusalReason, Subject};
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
        let message = format!(
            "spec.acme.allow of the ClusterIssuer has no entry for {} in namespace {}: add one, or use another issuer",
            ask.host, ask.question.namespace
        );
        Refusal { subject: Subject::Issuer, ..ask.refusal(RefusalReason::NotAllowed, message) }
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
    gateway: &GatewayName,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::fixture::{Asking, asking, cluster, service};

    const NAMESPACES: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {namespace: infra, name: public}
spec:
  selector: {istio: public}
  servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ['*']}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: web}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bare}
---
";

    #[test]
    fn a_list_lets_namespaces_ask_for_names() {
        let cluster = cluster(&(service("public", "{istio: public}", "10.0.0.1") + NAMESPACES));
        for (allow, namespace, host, wanted) in [
            ("[]", "shop", "foo.example.test", false),
            ("[{}]", "shop", "foo.example.test", true),
            ("[{dnsNames: [foo.example.test]}]", "shop", "foo.example.test", true),
            ("[{dnsNames: [Foo.Example.test]}]", "shop", "foo.example.test", true),
            ("[{dnsNames: ['*.example.test']}]", "shop", "foo.example.test", true),
            ("[{dnsNames: ['*.example.test']}]", "shop", "a.foo.example.test", false),
            ("[{dnsNames: ['*.example.test']}]", "shop", "example.test", false),
            ("[{dnsNames: ['*.0.2.1']}]", "shop", "192.0.2.1", false),
            ("[{dnsNames: [192.0.2.1]}]", "shop", "192.0.2.1", true),
            ("[{namespaces: {names: [shop]}}]", "shop", "foo.example.test", true),
            ("[{namespaces: {names: [shop]}}]", "bare", "foo.example.test", false),
            ("[{namespaces: {}}]", "shop", "foo.example.test", false),
            ("[{namespaces: {selector: {matchLabels: {team: web}}}}]", "shop", "foo.example.test", true),
            ("[{namespaces: {selector: {matchLabels: {team: web}}}}]", "bare", "foo.example.test", false),
            ("[{namespaces: {selector: {}}}]", "bare", "foo.example.test", true),
            ("[{namespaces: {selector: {}}}]", "gone", "foo.example.test", false),
            (
                "[{namespaces: {selector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}}]",
                "bare",
                "foo.example.test",
                true,
            ),
            (
                "[{namespaces: {selector: {matchExpressions: [{key: team, operator: Odd}]}}}]",
                "shop",
                "foo.example.test",
                false,
            ),
            (
                "[{namespaces: {names: [bare]}}, {dnsNames: [bar.example.test]}]",
                "shop",
                "foo.example.test",
                false,
            ),
        ] {
            let result = Asking { allow: Some(allow), ..asking(namespace, &[host]) }.of(&cluster);
            assert_eq!(result.is_ok(), wanted, "{allow} {namespace} {host}: {result:?}");
        }
        let nobody = Asking { allow: Some("[]"), ..asking("shop", &["a.test"]) };
        assert_eq!(nobody.subject(&cluster), Subject::Issuer);
        let (reason, message) = nobody.refusal(&cluster);
        assert_eq!(reason, RefusalReason::NotAllowed);
        assert_eq!(
            message,
            "spec.acme.allow of the ClusterIssuer has no entry for a.test in namespace shop: add one, or use another \
             issuer"
        );
    }

    #[test]
    fn all_refusals_come_at_once() {
        let cluster = cluster(&(service("public", "{istio: public}", "10.0.0.1") + NAMESPACES));
        let allow = Some("[{dnsNames: [b.test]}]");
        let refusals = Asking { allow, ..asking("shop", &["a.test", "b.test", "c.test"]) }.of(&cluster);
        let hosts: Vec<_> = refusals.unwrap_err().into_iter().map(|one| one.host).collect();
        assert_eq!(hosts, ["a.test", "c.test"]);
        let solvers = "[{selector: {dnsNames: [b.test]}, http01: {auto: {}}}]";
        let (reason, message) = Asking { solvers, ..asking("shop", &["a.test"]) }.refusal(&cluster);
        assert_eq!(reason, RefusalReason::NoGateway);
        assert!(message.starts_with("no solver of the issuer is for a.test: add the name"), "{message}");
    }
}
