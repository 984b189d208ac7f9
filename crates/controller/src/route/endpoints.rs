//! Where a gateway's Pods listen.

use super::others::{name_of, namespace_of, object_name};
use crate::cluster::{Cluster, EndpointSlice, Service, ServicePort};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The label of an EndpointSlice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The port that the CA asks on (RFC 8555 section 8.3).
pub(super) const HTTP: u16 = 80;

/// The port that it comes to behind a redirect to HTTPS.
pub(super) const HTTPS: u16 = 443;

/// The Services that lead to Pods with these labels. Either may name more labels than the other, since neither shows
/// all labels of the Pods. No labels are those of every Pod of the mesh, which is not a gateway.
pub(super) fn services_of<'a>(cluster: &'a Cluster, labels: &BTreeMap<String, String>) -> Vec<&'a Service> {
    let is_leading = |service: &&Service| {
        let selector = &service.spec.selector;
        !selector.is_empty() && (has_all(selector, labels) || has_all(labels, selector))
    };
    if labels.is_empty() {
        return Vec::new();
    }
    cluster.services.iter().map(AsRef::as_ref).filter(is_leading).collect()
}

/// Whether `labels` holds all of `wanted`.
pub(super) fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether what listens on `number` is reached on the `public` port: it has that number, or a Service leads from one to
/// the other.
pub(super) fn is_reached(cluster: &Cluster, services: &[&Service], public: u16, number: u32) -> bool {
    number == u32::from(public)
        || services.iter().any(|service| !leading_ports(cluster, service, public, number).is_empty())
}

/// The ready Pods behind the Services, at the port that is `public` outside and `number` on the gateway.
///
/// # Errors
///
/// What is missing, in words that continue a sentence.
pub(super) fn pods(
    cluster: &Cluster,
    services: &[&Service],
    public: u16,
    number: u32,
) -> Result<BTreeSet<SocketAddr>, String> {
    let mut names = Vec::new();
    let mut addresses = BTreeSet::new();
    for service in services {
        let ports = leading_ports(cluster, service, public, number);
        if !ports.is_empty() {
            names.push(object_name(*service).to_string());
        }
        for slice in slices(cluster, service) {
            addresses.extend(ports.iter().flat_map(|port| ready(slice, port)));
        }
    }
    match (names.is_empty(), addresses.is_empty()) {
        (_, false) => Ok(addresses),
        (true, _) => Err(format!("no Service with port {public}")),
        (false, true) => Err(format!("no ready Pod behind Service {}", names.join(", "))),
    }
}

/// The ports of a Service that lead to `number`. A number that is itself the public one names the Service's port, as
/// istiod reads it, whatever the port of the Pod is; without such a port, the Pod's.
fn leading_ports<'a>(
    cluster: &Cluster,
    service: &'a Service,
    public: u16,
    number: u32,
) -> Vec<&'a ServicePort> {
    let is_to_pod = |port: &&ServicePort| {
        slices(cluster, service)
            .flat_map(|slice| &slice.ports)
            .any(|one| one.name == port.name && one.port == number)
    };
    let public = u32::from(public);
    let ports: Vec<_> = service.spec.ports.iter().filter(|port| port.port == public).collect();
    if number == public && ports.is_empty() {
        return service.spec.ports.iter().filter(is_to_pod).collect();
    }
    ports.into_iter().filter(|port| number == public || is_to_pod(port)).collect()
}

fn slices<'a>(cluster: &'a Cluster, service: &Service) -> impl Iterator<Item = &'a EndpointSlice> {
    cluster.endpoint_slices.iter().map(AsRef::as_ref).filter(move |slice| {
        let labels = slice.metadata.labels.as_ref();
        namespace_of(*slice) == namespace_of(service)
            && labels.and_then(|labels| labels.get(SERVICE_NAME)).is_some_and(|name| name == name_of(service))
    })
}

fn ready(slice: &EndpointSlice, port: &ServicePort) -> Vec<SocketAddr> {
    let numbers = slice.ports.iter().filter(|one| one.name == port.name);
    let numbers: Vec<_> = numbers.filter_map(|one| u16::try_from(one.port).ok()).collect();
    let pods = slice.endpoints.iter().filter(|endpoint| endpoint.conditions.ready != Some(false));
    // The addresses of one endpoint are the same Pod, so the first will do. Names are not asked.
    let addresses = pods.filter_map(|endpoint| endpoint.addresses.first()?.parse::<IpAddr>().ok());
    addresses
        .flat_map(|address| numbers.iter().map(move |number| SocketAddr::new(address, *number)))
        .collect()
}

/// Addresses as a solver names them: `address` or `address:port`. A port is the one for HTTP, so that HTTPS is asked on
/// its usual port.
///
/// # Errors
///
/// What is wrong with the first that is neither.
pub(super) fn given(addresses: &[String], public: u16) -> Result<BTreeSet<SocketAddr>, String> {
    let read = |text: &String| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, public));
        }
        let mut address: SocketAddr = text.parse().map_err(|_| {
            format!("`{text}` in the addresses of the solver is neither an address nor address:port")
        })?;
        if public != HTTP {
            address.set_port(public);
        }
        Ok(address)
    };
    addresses.iter().map(read).collect()
}
