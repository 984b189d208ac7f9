//! The checks in the cluster, one after the other made from what was read of it.

use super::cluster::{Gathered, Reader, Why, name_of};
use super::gateway::GatewayFacts;
use super::issuer::Meant;
use super::kind::Kind;
use super::policy::PolicyFacts;
use super::report::Verdict;
use super::responder::ResponderFacts;
use super::secret::{Publishing, SecretFacts};
use super::small::Pod;
use super::{certificate, controller, gateway, issuer, policy, responder, secret};
use crate::error::Failure;
use gatecert_acme::Identifier;
use gatecert_api::{AcmeIssuer, Certificate};
use gatecert_controller::route::{Door, GatewayName, Placement, Question, Refusal, explain, place};
use gatecert_render::{Answer, ObjectName, ServiceName};
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};

/// The namespace of an installation, where no Lease tells it.
const NAMESPACE: &str = "gatecert-system";

/// The responder's Service in an installation, and its port.
const RESPONDER: (&str, u16) = ("gatecert-responder", 8089);

/// The label of an EndpointSlice that names its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is seen in the cluster.
pub(super) struct Inside {
    pub(super) verdicts: Vec<Verdict>,
    /// The addresses and names of the gateways that serve the name.
    pub(super) addresses: BTreeSet<String>,
    /// The issuer of the Certificate that has the name.
    pub(super) issuer: Option<Meant>,
}

/// Reads the cluster and judges.
pub(super) async fn look(
    reader: &Reader,
    host: &Identifier,
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<Inside, Failure> {
    let gathered = reader.gather().await?;
    let subject = Subject::new(&gathered, host, namespace, now);
    let (wanted, read) = (subject.wanted_pods(), subject.wanted_secrets());
    let (pods, secrets) = tokio::try_join!(reader.pods(&wanted), reader.secrets(&read))?;

    let mut verdicts = controller::verdicts(&gathered.leases, &gathered.unread, now);
    let is_installed = !verdicts.iter().any(|one| one.kind == Kind::ClusterNotInstalled);
    if subject.are_gateways_read() {
        verdicts.extend(gateway::verdicts(&subject.gateway()));
        verdicts.extend(policy::verdicts(&subject.policy(&pods)));
        verdicts.extend(subject.responder(&pods).iter().flat_map(responder::verdicts));
    }
    let facts = SecretFacts {
        host: host.clone(),
        now,
        certificate: subject.certificate().map(publishing),
        read_by: subject.read_by(),
        secrets,
    };
    verdicts.extend(secret::verdicts(&facts));
    if is_installed && !subject.is_forbidden("certificates.gatecert.dev") {
        verdicts.extend(certificate::verdicts(&subject.certificates()));
    }
    if let (Some(meant), Some(certificate)) = (&subject.issuer, subject.certificate())
        && !subject.is_forbidden("issuers.gatecert.dev")
        && !subject.is_forbidden("clusterissuers.gatecert.dev")
    {
        verdicts.extend(issuer::verdicts(meant));
        verdicts.extend(issuer::limit(meant, certificate, &gathered, now));
    }
    Ok(Inside { verdicts, addresses: subject.addresses(), issuer: subject.issuer })
}

/// The name, and what in the cluster has to do with it.
struct Subject<'a> {
    gathered: &'a Gathered,
    host: String,
    now: Timestamp,
    certificates: Vec<&'a Certificate>,
    /// The namespace of the Certificate, or where one would be right.
    namespace: Option<String>,
    issuer: Option<Meant>,
    doors: Vec<Door>,
    placement: Result<Placement, Vec<Refusal>>,
    responder: ServiceName,
}

impl<'a> Subject<'a> {
    fn new(gathered: &'a Gathered, host: &Identifier, namespace: Option<&str>, now: Timestamp) -> Self {
        let host = host.value();
        let certificates = certificate::naming(&gathered.certificates, &host, namespace);
        let doors = explain(&host, &gathered.cluster);
        let of_certificate = certificates.first().and_then(|one| one.metadata.namespace.clone());
        let namespace = of_certificate.or_else(|| namespace.map(str::to_owned)).or_else(|| home(&doors));
        let issuer = certificates.first().map(|one| Meant::by(one, gathered));
        let controller = gathered.leases.first().and_then(|lease| lease.metadata.namespace.clone());
        let responder = ServiceName {
            namespace: controller.unwrap_or_else(|| NAMESPACE.to_owned()),
            name: RESPONDER.0.to_owned(),
            port: RESPONDER.1,
        };
        let spec =
            issuer.as_ref().and_then(|meant| Some((&meant.found.as_ref()?.0, meant.namespace.is_none())));
        let secret = certificates.first().map(|one| secret_of(one));
        let placement = placement(gathered, &host, namespace.as_deref(), secret, spec, &responder);
        Self { gathered, host, now, certificates, namespace, issuer, doors, placement, responder }
    }

    /// The Certificate that counts, the oldest.
    fn certificate(&self) -> Option<&'a Certificate> {
        self.certificates.first().copied()
    }

    fn is_forbidden(&self, resource: &str) -> bool {
        self.gathered.unread.iter().any(|one| one.why == Why::Forbidden && one.resource == resource)
    }

    /// Whether what gateways and routes there are is known.
    fn are_gateways_read(&self) -> bool {
        let unseen =
            ["gateways.", "virtualservices.", "httproutes.", "ingresses.", "services", "endpointslices."];
        // Whom a listener takes by labels is not known without those.
        let by_labels = self.has_selectors().then_some("namespaces");
        let mut forbidden = self.gathered.unread.iter().filter(|one| one.why == Why::Forbidden);
        !forbidden
            .any(|one| unseen.iter().copied().chain(by_labels).any(|kind| one.resource.starts_with(kind)))
    }

    /// Whether a listener chooses namespaces by their labels.
    fn has_selectors(&self) -> bool {
        let cluster = &self.gathered.cluster;
        let listeners = cluster.gateways.iter().flat_map(|gateway| &gateway.spec.listeners);
        let mut all = listeners.chain(cluster.listener_sets.iter().flat_map(|set| &set.spec.listeners));
        all.any(|listener| {
            let namespaces = listener.allowed_routes.as_ref().and_then(|allowed| allowed.namespaces.as_ref());
            namespaces.is_some_and(|namespaces| namespaces.from.as_deref() == Some("Selector"))
        })
    }

    fn addresses(&self) -> BTreeSet<String> {
        let plain = self.doors.iter().filter(|door| door.port == 80);
        let each = plain.flat_map(|door| {
            let balancers = door.services.iter().filter_map(|service| self.gathered.balancers.get(service));
            balancers.flatten().chain(&door.addresses)
        });
        each.cloned().collect()
    }

    fn wanted_pods(&self) -> BTreeSet<(String, BTreeMap<String, String>)> {
        let gateways = self.doors.iter().flat_map(|door| door.pods.clone());
        let responder = self.responder_selector();
        gateways.chain(responder.map(|labels| (self.responder.namespace.clone(), labels))).collect()
    }

    fn responder_selector(&self) -> Option<BTreeMap<String, String>> {
        let wanted = ObjectName::new(&self.responder.namespace, &self.responder.name);
        let mut services = self.gathered.cluster.services.iter();
        services.find(|service| name_of(&***service) == wanted).map(|service| service.spec.selector.clone())
    }

    fn read_by(&self) -> BTreeSet<(String, ObjectName)> {
        self.doors.iter().flat_map(|door| door.secrets.clone()).collect()
    }

    fn wanted_secrets(&self) -> BTreeSet<ObjectName> {
        let read = self.read_by().into_iter().map(|(_, secret)| secret);
        read.chain(self.certificate().map(secret_of)).collect()
    }

    /// The labels of the namespace that asks for the name.
    fn labels(&self) -> Option<BTreeMap<String, String>> {
        let mut all = self.gathered.cluster.namespaces.iter();
        Some(all.find(|one| Some(one.name_any()) == self.namespace)?.labels().clone())
    }

    fn gateway(&self) -> GatewayFacts {
        GatewayFacts {
            host: self.host.clone(),
            doors: self.doors.clone(),
            placement: self.placement.clone(),
            virtual_services: self.gathered.virtual_services.clone(),
            istio_gateways: self.gathered.cluster.istio_gateways.clone(),
            gateways: self.gathered.cluster.gateways.clone(),
            listener_sets: self.gathered.cluster.listener_sets.clone(),
            ingress_classes: self.gathered.cluster.ingress_classes.iter().map(|one| one.name_any()).collect(),
            namespace: self.namespace.clone(),
            labels: self.labels(),
            secret: self.certificate().map(secret_of),
            issuer: self.issuer.clone(),
        }
    }

    fn policy(&self, pods: &[Pod]) -> PolicyFacts {
        let mut labels = BTreeSet::new();
        for (namespace, selector) in self.doors.iter().flat_map(|door| &door.pods) {
            let here = pods.iter().filter(|pod| pod.namespace().as_ref() == Some(namespace));
            let here = here.map(|pod| pod.labels().clone());
            let here: Vec<_> =
                here.filter(|pod| selector.iter().all(|(key, value)| pod.get(key) == Some(value))).collect();
            let seen = if here.is_empty() { vec![selector.clone()] } else { here };
            labels.extend(seen.into_iter().map(|labels| (namespace.clone(), labels)));
        }
        let (host, doors, mesh) = (self.host.clone(), self.doors.clone(), self.gathered.mesh.clone());
        PolicyFacts { host, doors, mesh, pods: labels }
    }

    /// What is known of the responder, if the answer goes by it.
    fn responder(&self, pods: &[Pod]) -> Option<ResponderFacts> {
        let placement = self.placement.as_ref().ok()?;
        let is_responder = |answer: &Answer| *answer != Answer::Direct;
        let is_used = placement.virtual_services.iter().any(|place| is_responder(&place.answer))
            || placement.bypasses.iter().any(|place| is_responder(&place.answer))
            || !placement.http_routes.is_empty()
            || !placement.ingresses.is_empty();
        let selector = self.responder_selector();
        let is_of = |pod: &&Pod| {
            pod.namespace().as_ref() == Some(&self.responder.namespace)
                && selector.iter().flatten().all(|(key, value)| pod.labels().get(key) == Some(value))
        };
        is_used.then(|| ResponderFacts {
            service: self.responder.clone(),
            ready: selector.as_ref().map(|_| self.ready()),
            pods: pods.iter().filter(is_of).map(|pod| (pod.labels().clone(), pod.has_sidecar())).collect(),
            clients: self.doors.iter().flat_map(|door| door.pods.keys().cloned()).collect(),
            mesh: self.gathered.mesh.clone(),
        })
    }

    /// How many endpoints of the responder are ready.
    fn ready(&self) -> usize {
        let slices = self.gathered.cluster.endpoint_slices.iter().filter(|slice| {
            let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
            slice.metadata.namespace.as_ref() == Some(&self.responder.namespace)
                && service == Some(&self.responder.name)
        });
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        endpoints.filter(|endpoint| endpoint.conditions.ready != Some(false)).count()
    }

    fn certificates(&self) -> certificate::CertificateFacts<'a> {
        certificate::CertificateFacts {
            host: self.host.clone(),
            now: self.now,
            certificates: self.certificates.clone(),
            namespace: self.namespace.clone(),
            controller: self.responder.namespace.clone(),
        }
    }
}

/// The namespace that the name is in now: that of its route, else of its gateway.
fn home(doors: &[Door]) -> Option<String> {
    let of_route =
        doors.iter().flat_map(|door| &door.routes).map(|route| route.name.namespace.clone()).next();
    let of_gateway = || match doors.first()?.gateways.first()? {
        GatewayName::Istio(name) | GatewayName::GatewayApi(name) => Some(name.namespace.clone()),
        _ => None,
    };
    of_route.or_else(of_gateway)
}

fn secret_of(certificate: &Certificate) -> ObjectName {
    let home = certificate.metadata.namespace.clone().unwrap_or_default();
    let namespace = certificate.spec.secret_namespace.clone().unwrap_or(home);
    ObjectName::new(namespace, &certificate.spec.secret_name)
}

fn publishing(certificate: &Certificate) -> Publishing {
    Publishing {
        certificate: name_of(certificate),
        secret: secret_of(certificate),
        names: certificate.spec.names().filter_map(|name| name.parse().ok()).collect(),
    }
}

/// Where the controller would put a challenge for the name.
fn placement(
    gathered: &Gathered,
    host: &str,
    namespace: Option<&str>,
    secret: Option<ObjectName>,
    issuer: Option<(&AcmeIssuer, bool)>,
    responder: &ServiceName,
) -> Result<Placement, Vec<Refusal>> {
    let hosts = [host.to_owned()].into();
    let secret = secret.unwrap_or_else(|| ObjectName::new(namespace.unwrap_or_default(), ""));
    let solvers = issuer.and_then(|(spec, _)| spec.solvers.as_deref()).unwrap_or_default();
    let allow = issuer.filter(|(_, is_cluster)| *is_cluster).and_then(|(spec, _)| spec.allow.as_deref());
    let question = Question {
        namespace: namespace.unwrap_or_default(),
        hosts: &hosts,
        secret: &secret,
        solvers,
        allow,
        responder,
    };
    place(&question, &gathered.cluster)
}
