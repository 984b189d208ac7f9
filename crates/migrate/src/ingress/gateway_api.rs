//! As the Gateway API's Gateway and HTTPRoutes.

use super::Conversion;
use super::istio::{object_name, say_protocol};
use super::site::{ANY, Backend, Host, Path, Route, Schemes};
use crate::metadata;
use crate::migration::{Comments, Migration};
use gatecert_api::annotation;
use gatecert_render::gateway_api::{
    Address, AllowedRoutes, BackendReference, Gateway, GatewaySpec, HttpRoute, HttpRouteFilter,
    HttpRouteMatch, HttpRouteRule, HttpRouteSpec, Listener, ListenerTls, ObjectReference, ParentReference,
    PathMatch, RequestRedirect, RouteNamespaces,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use std::collections::{BTreeMap, BTreeSet};

/// What a Gateway holds at most.
const MAX_LISTENERS: usize = 64;

/// What an HTTPRoute holds at most.
const MAX_RULES: usize = 16;

/// The listener for plain requests.
const HTTP: &str = "http";

impl Conversion<'_> {
    pub(super) fn gateway_api(
        &self,
        annotations: BTreeMap<String, String>,
        mut comments: Comments,
        migration: &mut Migration,
    ) {
        self.say_orphans(&annotations, &["spec", "listeners"], &mut comments);
        self.say_dropped(&mut comments);
        self.say_elsewhere(&annotations, &["spec", "listeners"], &mut comments);
        let text = "the Service of the ingress gateway that there is; without this, Istio deploys another one, with another \
                    address";
        comments.add(&["spec", "addresses"], text);
        let service = format!("istio-ingressgateway.{}.svc.cluster.local", self.options.gateway_namespace);
        let spec = GatewaySpec {
            gateway_class_name: "istio".to_owned(),
            listeners: self.listeners(migration),
            addresses: vec![Address { type_: Some("Hostname".to_owned()), value: service }],
            allowed_listeners: None,
        };
        let mut gateway = Gateway::new(&self.gateway_name(), spec);
        let bare = ObjectMeta {
            name: gateway.metadata.name.clone(),
            namespace: Some(self.options.gateway_namespace.clone()),
            ..ObjectMeta::default()
        };
        gateway.metadata = metadata::with(&bare, annotations);
        migration.add(&gateway, &self.origins(), comments);
        for (name, host) in &self.site.hosts {
            self.routes(name, host, migration);
        }
    }

    /// The Gateway stands beside the Secrets, so that an Issuer of the Ingresses' namespace is not its own.
    pub(super) fn without_issuer_of_ingresses(
        &self,
        annotations: &mut BTreeMap<String, String>,
        migration: &mut Migration,
    ) {
        let is_elsewhere = self.namespace != Some(self.options.gateway_namespace.as_str());
        if is_elsewhere && annotations.contains_key(annotation::ISSUER) {
            annotations.clear();
            if let Some(first) = self.ingresses.first() {
                let text = "its Issuer is of its own namespace, and the Gateway is not: make the issuer a ClusterIssuer, and \
                            annotate the Gateway with that";
                migration.notes.push(first.origin.not_migrated(text));
            }
        }
    }

    fn listeners(&self, migration: &mut Migration) -> Vec<Listener> {
        let mut listeners = vec![self.listener(HTTP.to_owned(), 80, "HTTP", None, None)];
        for (name, host) in &self.site.hosts {
            let Some(secret) = &host.secret else { continue };
            let reference = ObjectReference { name: secret.clone(), ..ObjectReference::default() };
            let tls = ListenerTls { mode: None, certificate_refs: vec![reference] };
            let hostname = (name != ANY).then(|| name.clone());
            listeners.push(self.listener(https(name), 443, "HTTPS", hostname, Some(tls)));
        }
        if listeners.len() > MAX_LISTENERS {
            if let Some(first) = self.ingresses.first() {
                let text = format!(
                    "{} hosts have certificates, and a Gateway holds {MAX_LISTENERS} listeners: those beyond were left out; \
                     give them ListenerSets",
                    listeners.len() - 1
                );
                migration.notes.push(first.origin.not_migrated(text));
            }
            listeners.truncate(MAX_LISTENERS);
        }
        listeners
    }

    /// A listener for the routes of the Ingresses' namespace.
    fn listener(
        &self,
        name: String,
        port: u32,
        protocol: &str,
        hostname: Option<String>,
        tls: Option<ListenerTls>,
    ) -> Listener {
        let namespaces = match self.namespace {
            Some(namespace) if namespace == self.options.gateway_namespace => None,
            Some(namespace) => {
                // A challenge's route stands beside the Gateway.
                let beside = (port == 80).then(|| self.options.gateway_namespace.clone());
                let requirement = LabelSelectorRequirement {
                    key: "kubernetes.io/metadata.name".to_owned(),
                    operator: "In".to_owned(),
                    values: Some(beside.into_iter().chain([namespace.to_owned()]).collect()),
                };
                let selector =
                    LabelSelector { match_expressions: Some(vec![requirement]), ..LabelSelector::default() };
                Some(RouteNamespaces { from: Some("Selector".to_owned()), selector: Some(selector) })
            }
            None => Some(RouteNamespaces { from: Some("All".to_owned()), selector: None }),
        };
        let allowed_routes = namespaces
            .map(|namespaces| AllowedRoutes { namespaces: Some(namespaces), ..AllowedRoutes::default() });
        Listener { name, hostname, port, protocol: protocol.to_owned(), tls, allowed_routes }
    }

    fn routes(&self, name: &str, host: &Host, migration: &mut Migration) {
        let http = Schemes { http: true, https: false };
        let https_only = Schemes { http: false, https: true };
        if host.is_redirected() {
            self.rules(name, "-redirect", http, vec![redirect()], host, migration);
            self.rules(name, "", https_only, rules(&host.routes.iter().collect::<Vec<_>>()), host, migration);
            return;
        }
        let both = Schemes { http: true, https: true };
        for (schemes, suffix) in
            [(both, ""), (http, if host.secret.is_some() { "-http" } else { "" }), (https_only, "-https")]
        {
            let routes: Vec<_> = host.routes.iter().filter(|route| route.schemes == schemes).collect();
            if !routes.is_empty() {
                self.rules(name, suffix, schemes, rules(&routes), host, migration);
            }
        }
    }

    /// HTTPRoutes with these rules.
    fn rules(
        &self,
        name: &str,
        suffix: &str,
        schemes: Schemes,
        rules: Vec<HttpRouteRule>,
        host: &Host,
        migration: &mut Migration,
    ) {
        let listeners = [schemes.http.then(|| HTTP.to_owned()), schemes.https.then(|| https(name))];
        let parent_refs: Vec<_> = listeners
            .into_iter()
            .flatten()
            .map(|section| ParentReference {
                namespace: Some(self.options.gateway_namespace.clone()),
                name: self.gateway_name(),
                section_name: Some(section),
                ..ParentReference::default()
            })
            .collect();
        for (index, rules) in rules.chunks(MAX_RULES).enumerate() {
            let mut comments = Comments::default();
            if rules.iter().any(|rule| !rule.backend_refs.is_empty()) {
                let how = "set `appProtocol: kubernetes.io/h2c` on its port";
                say_protocol(host, how, &["spec", "rules"], &mut comments);
                say_text_prefixes(host, &mut comments);
            }
            let spec = HttpRouteSpec {
                parent_refs: parent_refs.clone(),
                hostnames: if name == ANY { Vec::new() } else { vec![name.to_owned()] },
                rules: rules.to_vec(),
            };
            let number = if index == 0 { String::new() } else { format!("-{}", index + 1) };
            let mut route = HttpRoute::new(&format!("{}{suffix}{number}", object_name(name)), spec);
            route.metadata.namespace = self.namespace.map(str::to_owned);
            migration.add(&route, &self.origins_of(host), comments);
        }
    }
}

/// The name of a host's listener.
fn https(host: &str) -> String {
    format!("https-{}", object_name(host))
}

/// One rule for each Service.
fn rules(routes: &[&Route]) -> Vec<HttpRouteRule> {
    let mut rules: Vec<(&Backend, Vec<HttpRouteMatch>)> = Vec::new();
    for route in routes {
        let one = HttpRouteMatch { path: Some(path(&route.path)) };
        match rules.iter_mut().find(|(backend, matches)| *backend == &route.backend && matches.len() < 64) {
            Some((_, matches)) => matches.push(one),
            None => rules.push((&route.backend, vec![one])),
        }
    }
    let reference = |backend: &Backend| BackendReference {
        name: backend.service.clone(),
        namespace: None,
        port: Some(backend.port),
    };
    rules
        .into_iter()
        .map(|(backend, matches)| HttpRouteRule {
            matches,
            backend_refs: vec![reference(backend)],
            ..HttpRouteRule::default()
        })
        .collect()
}

fn path(path: &Path) -> PathMatch {
    let (type_, value) = match path {
        Path::Exact(text) => ("Exact", text.clone()),
        Path::Below(text) | Path::Begins(text) => ("PathPrefix", text.clone()),
        Path::Any => ("PathPrefix", "/".to_owned()),
    };
    PathMatch { type_: type_.to_owned(), value }
}

/// To https, as `httpsRedirect` of Istio does.
fn redirect() -> HttpRouteRule {
    let redirect = RequestRedirect { scheme: Some("https".to_owned()), status_code: Some(301) };
    let filter = HttpRouteFilter { type_: "RequestRedirect".to_owned(), request_redirect: Some(redirect) };
    HttpRouteRule { filters: vec![filter], ..HttpRouteRule::default() }
}

/// `/foo.*` took `/foobar` too.
fn say_text_prefixes(host: &Host, comments: &mut Comments) {
    let begins = host.routes.iter().filter_map(|route| match &route.path {
        Path::Begins(text) if !text.ends_with('/') => Some(crate::error::word(&format!("{text}.*"))),
        _ => None,
    });
    let begins: BTreeSet<_> = begins.collect();
    if !begins.is_empty() {
        let text = format!(
            "{} took every path that begins so; a PathPrefix takes that one and what is below it",
            begins.into_iter().collect::<Vec<_>>().join(", ")
        );
        comments.add(&["spec", "rules"], text);
    }
}
