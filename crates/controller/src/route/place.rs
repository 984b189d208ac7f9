//! tmp
use super::*;
use crate::cluster::Cluster;
use kube::ResourceExt as _;
/// tmp
pub fn place(q: &Question<'_>, c: &Cluster) -> Result<Placement, Vec<Refusal>> {
    let mut p = Placement::default();
    for host in q.hosts {
        let gws: Vec<_> = c
            .istio_gateways
            .iter()
            .filter(|g| {
                g.spec.servers.iter().any(|s| {
                    s.is_http()
                        && s.port.number == 80
                        && s.hosts
                            .iter()
                            .any(|h| h == host || h.strip_prefix('*').is_some_and(|x| host.ends_with(x)))
                })
            })
            .collect();
        if gws.is_empty() {
            return Err(vec![Refusal {
                host: host.clone(),
                reason: RefusalReason::NoGateway,
                message: "none".into(),
            }]);
        }
        let gateways: BTreeSet<_> =
            gws.iter().map(|g| ObjectName::new(g.namespace().unwrap(), g.name_any())).collect();
        let addresses: BTreeSet<_> = c
            .endpoint_slices
            .iter()
            .filter(|s| s.name_any().starts_with("istio-ingress"))
            .flat_map(|s| s.endpoints.iter().flat_map(|e| e.addresses.clone()))
            .map(|a| SocketAddr::new(a.parse().unwrap(), 80))
            .collect();
        p.virtual_services.push(VirtualServicePlace {
            export_to: ["istio-system".to_owned()].into(),
            gateways,
            patterns: [host.clone()].into(),
            hosts: [host.clone()].into(),
            answer: Answer::Direct,
        });
        p.probes.push(Probe { host: host.clone(), gateway: "Gateway".into(), addresses, is_tls: false });
    }
    Ok(p)
}
