//! As Istio's Gateway and VirtualServices.

use super::Conversion;
use super::site::{ANY, Backend, Host, Path, Protocol, Route, Schemes};
use crate::error::word;
use crate::metadata;
use crate::migration::{Comments, Migration};
use gatecert_render::istio::{
    Destination, DestinationHost, Gateway, GatewaySpec, HttpMatch, HttpRoute, Port, PortNumber, Server,
    ServerTls, StringMatch, VirtualService, VirtualServiceSpec,
};
use gatecert_render::{ObjectName, secret_grant};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

const HTTP: u32 = 80;
const HTTPS: u32 = 443;

impl Conversion<'_> {
    pub(super) fn istio(
        &self,
        annotations: BTreeMap<String, String>,
        mut comments: Comments,
        migration: &mut Migration,
    ) {
        self.say_orphans(&annotations, &["spec", "servers"], &mut comments);
        if self.site.hosts.values().any(Host::is_redirected) {
            let text = "hosts of which every Ingress had `allow-http: \"false\"` are redirected to https; port 80 stays open \
                        for the CA, whose challenges gatecert answers there and behind the redirect";
            comments.add(&["spec", "servers"], text);
        }
        comments.add(
            &["spec", "selector"],
            "Istio's ingress gateway by its usual label: check it against your Pods",
        );
        self.grants(&annotations, migration);
        self.say_dropped(&mut comments);
        self.say_elsewhere(&annotations, &["spec", "servers"], &mut comments);
        let spec = GatewaySpec {
            selector: [("istio".to_owned(), "ingressgateway".to_owned())].into(),
            servers: self.servers(),
        };
        let mut gateway = Gateway::new(&self.gateway_name(), spec);
        let bare = ObjectMeta {
            name: gateway.metadata.name.clone(),
            namespace: self.namespace.map(str::to_owned),
            ..ObjectMeta::default()
        };
        gateway.metadata = metadata::with(&bare, annotations);
        migration.add(&gateway, &self.origins(), comments);
        for (name, host) in &self.site.hosts {
            self.virtual_service(name, host, migration);
        }
    }

    /// Certificates of an annotated Gateway are written where the Envoys are, which that namespace has to allow.
    fn grants(&self, annotations: &BTreeMap<String, String>, migration: &mut Migration) {
        let (Some(from), false) = (self.namespace, annotations.is_empty()) else { return };
        let to = &self.options.gateway_namespace;
        if from == to {
            return;
        }
        for secret in self.written_secrets() {
            let mut comments = Comments::default();
            let text = format!(
                "consent of `{to}`, where Istio reads this Secret: for whoever administers it to apply"
            );
            comments.add(&["spec"], text);
            let grant = secret_grant(from, &ObjectName::new(to, &secret));
            migration.add(&grant, &self.origins(), comments);
        }
    }

    fn servers(&self) -> Vec<Server> {
        let mut by_secret: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let (mut plain, mut redirected) = (Vec::new(), Vec::new());
        for (name, host) in &self.site.hosts {
            if let Some(secret) = &host.secret {
                by_secret.entry(secret).or_default().push(name.clone());
            }
            let list = if host.is_redirected() { &mut redirected } else { &mut plain };
            list.push(name.clone());
        }
        let redirect = ServerTls { https_redirect: Some(true), ..ServerTls::default() };
        let mut servers = Vec::new();
        servers.extend(server(HTTP, "http", "HTTP", plain, None));
        servers.extend(server(HTTP, "http-redirect", "HTTP", redirected, Some(redirect)));
        for (secret, hosts) in by_secret {
            let tls = ServerTls {
                mode: Some("SIMPLE".to_owned()),
                credential_name: Some(secret.to_owned()),
                ..ServerTls::default()
            };
            servers.extend(server(HTTPS, &format!("https-{secret}"), "HTTPS", hosts, Some(tls)));
        }
        servers
    }

    fn virtual_service(&self, name: &str, host: &Host, migration: &mut Migration) {
        let mut comments = Comments::default();
        say_protocol(
            host,
            "name the ports `http2-…` or `grpc-…`, or set `appProtocol`",
            &["spec", "http"],
            &mut comments,
        );
        let gateway = match self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.gateway_name()),
            None => self.gateway_name(),
        };
        let spec = VirtualServiceSpec {
            hosts: vec![name.to_owned()],
            gateways: vec![gateway],
            http: host.routes.iter().map(|route| self.route(route, host)).collect(),
            export_to: Vec::new(),
        };
        let mut service = VirtualService::new(&object_name(name), spec);
        service.metadata.namespace = self.namespace.map(str::to_owned);
        migration.add(&service, &self.origins_of(host), comments);
    }

    fn route(&self, route: &Route, host: &Host) -> HttpRoute {
        let port = match (host.is_redirected(), route.schemes) {
            (false, Schemes { http: true, https: false }) if host.secret.is_some() => Some(HTTP),
            (false, Schemes { http: false, https: true }) => Some(HTTPS),
            _ => None,
        };
        let matches = uris(&route.path).into_iter().map(|uri| HttpMatch { uri, port });
        let matches = matches.filter(|one| *one != HttpMatch::default()).collect();
        let Backend { service, port, .. } = &route.backend;
        let host = match self.namespace {
            Some(namespace) => format!("{service}.{namespace}.svc.cluster.local"),
            None => service.clone(),
        };
        let destination = DestinationHost { host, port: Some(PortNumber { number: *port }) };
        HttpRoute { matches, route: vec![Destination { destination }], ..HttpRoute::default() }
    }
}

fn server(
    number: u32,
    name: &str,
    protocol: &str,
    hosts: Vec<String>,
    tls: Option<ServerTls>,
) -> Option<Server> {
    let port = Port { number, protocol: protocol.to_owned(), name: name.to_owned() };
    (!hosts.is_empty()).then_some(Server { port, hosts, tls, name: None })
}

/// The matches of a path: Istio's prefix is one of the text, so that `/foo` would take `/foobar` too.
fn uris(path: &Path) -> Vec<Option<StringMatch>> {
    let exact = |text: &str| Some(StringMatch { exact: Some(text.to_owned()), prefix: None });
    let prefix = |text: String| Some(StringMatch { exact: None, prefix: Some(text) });
    match path {
        Path::Exact(text) => vec![exact(text)],
        Path::Below(text) => vec![exact(text), prefix(format!("{text}/"))],
        Path::Begins(text) => vec![prefix(text.clone())],
        Path::Any => vec![None],
    }
}

/// The name of a host's route: `*` can be in no name of an object.
pub(super) fn object_name(host: &str) -> String {
    match host.strip_prefix("*.") {
        _ if host == ANY => "any-host".to_owned(),
        Some(rest) => format!("any.{rest}"),
        None => host.to_owned(),
    }
}

/// HTTP/2 and gRPC behind a gateway have to be announced by the Service.
pub(super) fn say_protocol(host: &Host, how: &str, field: &'static [&'static str], comments: &mut Comments) {
    let unsaid = host.routes.iter().filter(|route| route.backend.protocol != Some(Protocol::Said));
    let services: BTreeSet<_> = unsaid.map(|route| word(&route.backend.service)).collect();
    if !services.is_empty() {
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        comments.add(field, format!("if HTTP/2 or gRPC is spoken to Service {services}, {how}"));
    }
}
