//! Where a gateway's Pods listen.

use super::others::{name_of, namespace_of, object_name};
use crate::cluster::{Cluster, EndpointSlice, Service, ServicePort};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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
        .filter(may_be_gateway)
        .flat_map(|address| numbers.iter().map(move |number| SocketAddr::new(address, *number)))
        .collect()
}

/// The metadata service of AWS over IPv6; elsewhere such services have addresses of the link.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether a gateway may have this address: what can only be the controller's own machine, or the link that it is on,
/// nobody may have it ask.
pub(super) fn may_be_gateway(address: &IpAddr) -> bool {
    let address = address.to_canonical();
    let is_near = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unicast_link_local() || address == METADATA,
    };
    !(is_near || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// Addresses as a solver names them: `address` or `address:port`. A port is the one for HTTP, so that HTTPS is asked on
/// its usual port.
///
/// # Errors
///
/// What is wrong with the first that is neither, or that no gateway has.
pub(super) fn given(addresses: &[String], public: u16) -> Result<BTreeSet<SocketAddr>, String> {
    let parse = |text: &String| {
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
        Ok::<_, String>(address)
    };
    let read = |text: &String| {
        let address = parse(text)?;
        may_be_gateway(&address.ip()).then_some(address).ok_or_else(|| {
            format!(
                "`{text}` in the addresses of the solver is of this machine or its link, where no gateway is: name an \
                 address that leads to the gateway from outside"
            )
        })
    };
    addresses.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::fixture::cluster;

    const BOTH_FAMILIES: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: infra, name: public}
spec:
  selector: {app: public, istio: public}
  ports: [{name: http, port: 80}, {name: plain, port: 8000}, {name: https, port: 443}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: infra, name: public-4, labels: {kubernetes.io/service-name: public}}
addressType: IPv4
endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}}
- {addresses: [10.0.0.2], conditions: {ready: false}}
- {addresses: [10.0.0.3, 10.0.0.4], conditions: {}}
ports: [{name: http, port: 8080}, {name: plain, port: 8081}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: infra, name: public-6, labels: {kubernetes.io/service-name: public}}
addressType: IPv6
endpoints: [{addresses: ['fd00::1']}]
ports: [{name: http, port: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: infra, name: public-names, labels: {kubernetes.io/service-name: public}}
addressType: FQDN
endpoints: [{addresses: [gateway.test]}]
ports: [{name: http, port: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: other, name: public-4, labels: {kubernetes.io/service-name: public}}
addressType: IPv4
endpoints: [{addresses: [10.9.9.9]}]
ports: [{name: http, port: 8080}]
";

    #[test]
    fn ready_pods_of_both_families_are_asked() {
        let cluster = cluster(BOTH_FAMILIES);
        let services: Vec<_> = cluster.services.iter().map(AsRef::as_ref).collect();
        let found = |public, number| {
            let all = pods(&cluster, &services, public, number)?;
            Ok(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let http = "10.0.0.1:8080 10.0.0.3:8080 [fd00::1]:8080".to_owned();
        let missing: Result<_, String> = Err("no Service with port 80".to_owned());
        let unready = Err("no ready Pod behind Service infra/public".to_owned());
        assert_eq!(found(80, 80), Ok(http.clone()));
        assert_eq!(found(80, 8080), Ok(http));
        assert_eq!(found(80, 8081), missing);
        // A port of the Pods that no Service has, which a load balancer may lead to.
        assert_eq!(found(8081, 8081), Ok("10.0.0.1:8081 10.0.0.3:8081".to_owned()));
        assert_eq!(found(443, 443), unready);
        assert!(is_reached(&cluster, &services, 80, 8080));
        assert!(!is_reached(&cluster, &services, 80, 8081));
    }

    #[test]
    fn a_service_is_found_by_labels_that_lead_to_the_same_pods() {
        let cluster = cluster(BOTH_FAMILIES);
        for (labels, wanted) in [
            ("{istio: public}", 1),
            ("{app: public, istio: public}", 1),
            ("{app: public, istio: public, tier: edge}", 1),
            ("{istio: other}", 0),
            ("{app: public, istio: other}", 0),
            ("{}", 0),
        ] {
            let labels = serde_saphyr::from_str(labels).unwrap();
            assert_eq!(services_of(&cluster, &labels).len(), wanted, "{labels:?}");
        }
    }

    #[test]
    fn addresses_are_read() {
        let read = |text: &str, public| {
            given(&[text.to_owned()], public).map(|all| all.first().unwrap().to_string())
        };
        assert_eq!(read("192.0.2.1", HTTP).unwrap(), "192.0.2.1:80");
        assert_eq!(read("192.0.2.1:30080", HTTP).unwrap(), "192.0.2.1:30080");
        assert_eq!(read("192.0.2.1:30080", HTTPS).unwrap(), "192.0.2.1:443");
        assert_eq!(read("[2001:db8::1]", HTTPS).unwrap(), "[2001:db8::1]:443");
        assert!(read("gateway.test", HTTP).is_err());
    }

    /// A tenant writes Issuers and EndpointSlices, and the controller is not to ask for it where a tenant can not.
    #[test]
    fn nothing_near_the_controller_is_asked() {
        let of_pod = |address: &str| {
            let slice = serde_json::json!({
                "endpoints": [{"addresses": [address]}], "ports": [{"name": "http", "port": 80}],
            });
            ready(&serde_json::from_value(slice).unwrap(), &ServicePort { name: "http".into(), port: 80 })
        };
        for near in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            let error = given(&[near.to_owned()], HTTP).unwrap_err();
            assert!(error.contains("no gateway"), "{near}: {error}");
            assert_eq!(of_pod(near), [], "{near}");
        }
        assert_eq!(of_pod("10.0.0.1").len(), 1);
    }
}
