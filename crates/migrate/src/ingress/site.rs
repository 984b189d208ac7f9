//! What the Ingresses of a namespace serve together, host by host.

use crate::error::word;
use crate::inputs::Input;
use crate::migration::Migration;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressSpec, ServiceBackendPort,
};
use std::collections::{BTreeMap, BTreeSet};

/// `"false"` on the Ingress of a pair that is for HTTPS. Istio never looked at it, and served both.
pub(super) const ALLOW_HTTP: &str = "kubernetes.io/ingress.allow-http";

/// The Secret of the one certificate that Istio had in 2018.
const ISTIO_CERTIFICATE: &str = "istio-ingress-certs";

/// Every host that no rule names.
pub(super) const ANY: &str = "*";

/// What is served.
pub(super) struct Site {
    pub(super) hosts: BTreeMap<String, Host>,
}

/// A host.
#[derive(Default)]
pub(super) struct Host {
    /// The Secret, where it is served by HTTPS.
    pub(super) secret: Option<String>,
    /// Whether plain requests were wanted.
    pub(super) is_plain: bool,
    pub(super) routes: Vec<Route>,
    /// The Ingresses that it comes from, by their places.
    pub(super) ingresses: BTreeSet<usize>,
}

/// Where requests for a path go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) path: Path,
    pub(super) backend: Backend,
    /// By plain HTTP, by HTTPS, or both.
    pub(super) schemes: Schemes,
}

/// The schemes by which a path is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Schemes {
    pub(super) http: bool,
    pub(super) https: bool,
}

/// A path. The order is that in which Istio and the Gateway API look at them, the longest of a kind first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// This alone.
    Exact(String),
    /// This and what is below it.
    Below(String),
    /// Whatever begins with this text: `/foo.*` of old.
    Begins(String),
    /// All.
    Any,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) service: String,
    pub(super) port: u32,
    /// Whether the Service says that HTTP/2 is spoken, or which protocol at all; none where it was not read.
    pub(super) protocol: Option<Protocol>,
}

/// What a Service says of the protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// By name or `appProtocol`.
    Said,
    /// Nothing: Istio looks at the bytes.
    Unsaid,
}

impl Site {
    pub(super) fn of(
        namespace: Option<&str>,
        ingresses: &[Input<Ingress>],
        services: &[Input<Service>],
        migration: &mut Migration,
    ) -> Self {
        let mut reading = Reading { namespace, services, migration, hosts: BTreeMap::new() };
        for (index, input) in ingresses.iter().enumerate() {
            reading.ingress(index, input);
        }
        for host in reading.hosts.values_mut() {
            host.routes.sort_by(|a, b| a.path.rank().cmp(&b.path.rank()));
        }
        Self { hosts: reading.hosts }
    }
}

impl Host {
    /// Whether plain requests were to be refused, and are sent to HTTPS now.
    pub(super) fn is_redirected(&self) -> bool {
        self.secret.is_some() && !self.is_plain
    }
}

impl Path {
    fn rank(&self) -> impl Ord + '_ {
        match self {
            Self::Exact(text) => (0, usize::MAX - text.len(), text.as_str()),
            Self::Below(text) | Self::Begins(text) => (1, usize::MAX - text.len(), text.as_str()),
            Self::Any => (2, 0, ""),
        }
    }

    fn of(path: &HTTPIngressPath) -> Self {
        let text = path.path.as_deref().unwrap_or_default();
        match (path.path_type.as_str(), text) {
            (_, "") | ("Prefix", "/") => Self::Any,
            ("Exact", text) => Self::Exact(text.to_owned()),
            ("Prefix", text) => match text.trim_end_matches('/') {
                "" => Self::Any,
                text => Self::Below(text.to_owned()),
            },
            // As Istio read them when there were no types.
            (_, text) => match (text.strip_suffix(".*"), text.strip_suffix("/*")) {
                (Some("" | "/"), _) | (_, Some("")) => Self::Any,
                (Some(start), _) | (None, Some(start)) => Self::Begins(start.to_owned()),
                (None, None) => Self::Exact(text.to_owned()),
            },
        }
    }
}

struct Reading<'a> {
    namespace: Option<&'a str>,
    services: &'a [Input<Service>],
    migration: &'a mut Migration,
    hosts: BTreeMap<String, Host>,
}

impl Reading<'_> {
    fn ingress(&mut self, index: usize, input: &Input<Ingress>) {
        let Some(spec) = &input.object.spec else { return };
        let annotations = input.object.metadata.annotations.as_ref();
        let is_plain = annotations.and_then(|all| all.get(ALLOW_HTTP)).is_none_or(|value| value != "false");
        let paths = self.paths(input, spec);
        let mut served: BTreeMap<String, &[(Path, Backend)]> =
            paths.iter().map(|(host, paths)| (host.clone(), paths.as_slice())).collect();
        // A rule without a host is for the hosts of the certificate too.
        if let Some(any) = paths.get(ANY) {
            for host in spec.tls.iter().flatten().flat_map(|tls| tls.hosts.iter().flatten()) {
                served.entry(host.to_ascii_lowercase()).or_insert(any);
            }
        }
        for (name, paths) in served {
            let secret = secret_of(spec, &name);
            let schemes = Schemes { http: is_plain || secret.is_none(), https: secret.is_some() };
            let host = self.hosts.entry(name.clone()).or_default();
            host.ingresses.insert(index);
            host.is_plain |= schemes.http;
            match (&host.secret, secret) {
                (Some(one), Some(other)) if *one != other => {
                    let text = format!(
                        "{} has another Secret in another Ingress, {}, which is taken",
                        word(&name),
                        word(one)
                    );
                    self.migration.notes.push(input.origin.not_migrated(text).field("spec.tls"));
                }
                (None, Some(secret)) => host.secret = Some(secret),
                _ => {}
            }
            for (path, backend) in paths {
                host.add(path, backend, schemes);
            }
        }
    }

    /// The paths of each host.
    fn paths(
        &mut self,
        input: &Input<Ingress>,
        spec: &IngressSpec,
    ) -> BTreeMap<String, Vec<(Path, Backend)>> {
        let mut paths: BTreeMap<String, Vec<(Path, Backend)>> = BTreeMap::new();
        for rule in spec.rules.iter().flatten() {
            let host =
                rule.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(ANY).to_ascii_lowercase();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                if let Some(backend) = self.backend(input, &path.backend) {
                    paths.entry(host.clone()).or_default().push((Path::of(path), backend));
                }
            }
        }
        if let Some(backend) = spec.default_backend.as_ref().and_then(|backend| self.backend(input, backend))
        {
            paths.entry(ANY.to_owned()).or_default().push((Path::Any, backend));
        }
        paths
    }

    /// The Service with the number of its port; none, which is told, where the number is not known.
    fn backend(&mut self, input: &Input<Ingress>, backend: &IngressBackend) -> Option<Backend> {
        let mut refuse = |text: String| {
            self.migration.notes.push(input.origin.not_migrated(text).field("spec.rules"));
        };
        let Some(service) = &backend.service else {
            refuse("a backend that is no Service was left out".to_owned());
            return None;
        };
        let known = self.services.iter().find(|known| {
            known.origin.name == service.name && known.origin.namespace.as_deref() == self.namespace
        });
        let ports = known
            .iter()
            .flat_map(|known| known.object.spec.iter().flat_map(|spec| spec.ports.iter().flatten()));
        let wanted = service.port.clone().unwrap_or_default();
        let port = ports.into_iter().find(|port| match &wanted {
            ServiceBackendPort { name: Some(name), .. } => port.name.as_ref() == Some(name),
            ServiceBackendPort { number, .. } => *number == Some(port.port),
        });
        let number = wanted.number.or_else(|| port.map(|port| port.port));
        let Some(number) = number.and_then(|number| u32::try_from(number).ok()) else {
            let name = wanted.name.unwrap_or_default();
            refuse(format!(
                "the route to Service {} was left out: its port is the name {}, which VirtualServices and HTTPRoutes do not \
                 take; write its number, or give the Service to `gatecert migrate` as well",
                word(&service.name),
                word(&name),
            ));
            return None;
        };
        let protocol = port.map(|port| {
            let prefixes = ["http", "grpc", "tls", "https", "tcp"];
            let named = port.name.as_deref().unwrap_or_default();
            let is_named = prefixes.iter().any(|prefix| named.split('-').next() == Some(prefix))
                || named.starts_with("http2");
            if is_named || port.app_protocol.is_some() { Protocol::Said } else { Protocol::Unsaid }
        });
        Some(Backend { service: service.name.clone(), port: number, protocol })
    }
}

impl Host {
    fn add(&mut self, path: &Path, backend: &Backend, schemes: Schemes) {
        let same = self.routes.iter_mut().find(|route| route.path == *path && route.backend == *backend);
        match same {
            Some(route) => {
                route.schemes.http |= schemes.http;
                route.schemes.https |= schemes.https;
            }
            None => self.routes.push(Route { path: path.clone(), backend: backend.clone(), schemes }),
        }
    }
}

/// The Secret for a host: of the part that lists it, or of one that lists none.
fn secret_of(spec: &IngressSpec, host: &str) -> Option<String> {
    let tls = spec.tls.iter().flatten();
    let lists =
        |hosts: &[String]| hosts.is_empty() || hosts.iter().any(|other| other.eq_ignore_ascii_case(host));
    let fitting = tls.into_iter().find(|tls| lists(tls.hosts.as_deref().unwrap_or_default()))?;
    Some(fitting.secret_name.clone().unwrap_or_else(|| ISTIO_CERTIFICATE.to_owned()))
}
