//! What takes a name, for people: the ports of gateways that it comes in by, and the routes there in the order in which
//! they are asked.

use super::others::Others;
use super::place::Ask;
use super::{GatewayName, Question, gateway_api, ingress, istio};
use crate::cluster::Cluster;
use gatecert_render::{ObjectName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// A port of a gateway that takes a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Door {
    /// Whose it is, the one that asks first before others.
    pub gateways: Vec<GatewayName>,
    /// The port as clients know it: 80 or 443.
    pub port: u16,
    /// The host that takes the name, as it is written: the closest one.
    pub host: String,
    /// The Gateways that redirect plain requests to HTTPS before any route.
    pub redirecting: Vec<GatewayName>,
    /// The routes that take the name, in the order in which Envoy asks them.
    pub routes: Vec<TakenRoute>,
    /// Routes that have the name by a host that is less close: none of them is asked.
    pub hidden: Vec<TakenRoute>,
    /// The Secrets that TLS is ended with, by Gateway.
    pub secrets: BTreeSet<(String, ObjectName)>,
    /// The namespaces of the Envoys, and the labels that select their Pods; empty where they are not known.
    pub pods: BTreeMap<String, BTreeMap<String, String>>,
    /// The Services in front of them.
    pub services: BTreeSet<ObjectName>,
    /// What the gateway says its addresses are.
    pub addresses: BTreeSet<String>,
}

/// A route that takes a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenRoute {
    /// `VirtualService`, `HTTPRoute` or `Ingress`.
    pub kind: &'static str,
    /// Which.
    pub name: ObjectName,
    /// Its host.
    pub host: String,
    /// Whether it is asked before the route of a challenge whatever that says: a VirtualService that only some namespaces
    /// see comes before younger ones.
    pub is_before_challenges: bool,
}

impl TakenRoute {
    /// How a message names it.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// What takes `host`, which is in lower case, on ports 80 and 443. Gatecert's own routes do not count.
pub fn explain(host: &str, cluster: &Cluster) -> Vec<Door> {
    let nothing = ObjectName::new("", "");
    let responder = ServiceName { namespace: String::new(), name: String::new(), port: 0 };
    let hosts = [host.to_owned()].into();
    let question = Question {
        namespace: "",
        hosts: &hosts,
        secret: &nothing,
        solvers: &[],
        allow: None,
        responder: &responder,
    };
    let others = Others::new(cluster);
    let ask = Ask { question: &question, others: &others, host };
    let mut doors = istio::explain::doors(&ask);
    doors.extend(gateway_api::explain::doors(&ask));
    doors.extend(ingress::explain::doors(&ask));
    doors
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{cluster, service};
    use super::*;

    const ISTIO: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {namespace: infra, name: old, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  selector: {istio: public}
  servers:
  - {port: {number: 80, protocol: HTTP, name: http}, hosts: ['*.example.test']}
  - {port: {number: 443, protocol: HTTPS, name: https}, hosts: ['*.example.test'], tls: {mode: SIMPLE, credentialName: www-tls}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {namespace: infra, name: young, creationTimestamp: '2026-02-01T00:00:00Z'}
spec:
  selector: {istio: public}
  servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ['redirected.test'], tls: {httpsRedirect: true}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: wide, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {hosts: ['*.example.test'], gateways: [infra/old]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: first, creationTimestamp: '2026-01-02T00:00:00Z'}
spec: {hosts: [www.example.test], gateways: [infra/old]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: infra, name: private, creationTimestamp: '2026-01-03T00:00:00Z'}
spec: {hosts: [www.example.test], gateways: [old], exportTo: ['.']}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: shop, name: ours, labels: {gatecert.dev/part: challenge}}
spec: {hosts: [www.example.test], gateways: [infra/old]}
---
";

    fn lines(routes: &[TakenRoute]) -> Vec<String> {
        routes
            .iter()
            .map(|one| format!("{} {} {}", one.title(), one.host, one.is_before_challenges))
            .collect()
    }

    fn istio(name: &str) -> GatewayName {
        GatewayName::Istio(ObjectName::new("infra", name))
    }

    #[test]
    fn routes_of_istio_come_in_the_order_of_envoy() {
        let cluster = cluster(&(service("public", "{istio: public}", "10.0.0.1") + ISTIO));
        let doors = explain("www.example.test", &cluster);
        assert_eq!(doors.iter().map(|door| door.port).collect::<Vec<_>>(), [80, 443]);
        assert_eq!(doors[0].gateways, [istio("old")]);
        assert_eq!(
            lines(&doors[0].routes),
            [
                "VirtualService infra/private www.example.test true",
                "VirtualService shop/first www.example.test false"
            ]
        );
        assert_eq!(lines(&doors[0].hidden), ["VirtualService shop/wide *.example.test false"]);
        assert_eq!(doors[0].host, "*.example.test");
        assert_eq!(doors[0].redirecting, []);
        let secret = ("Gateway infra/old".to_owned(), ObjectName::new("infra", "www-tls"));
        assert_eq!(doors[1].secrets, [secret].into());
        assert_eq!(doors[1].services, [ObjectName::new("infra", "public")].into());
        let labels = [("istio".to_owned(), "public".to_owned())].into();
        assert_eq!(doors[1].pods, [("infra".to_owned(), labels)].into());

        let redirected = explain("redirected.test", &cluster);
        assert_eq!(redirected.len(), 1);
        assert_eq!(redirected[0].redirecting, [istio("young")]);
        assert_eq!(explain("elsewhere.test", &cluster), []);
    }

    const GATEWAY_API: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: infra, name: api}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: public.infra.svc.cluster.local}]
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: '*.example.test', allowedRoutes: {namespaces: {from: All}}}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: www-tls}, {name: b, namespace: shop}]}}
status: {addresses: [{value: 203.0.113.9}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: shop, name: web}
spec: {hostnames: [www.example.test], parentRefs: [{name: api, namespace: infra}]}
---
";

    #[test]
    fn listeners_and_ingresses_are_explained() {
        let found = explain(
            "www.example.test",
            &cluster(&(service("public", "{istio: public}", "10.0.0.1") + GATEWAY_API)),
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].gateways, [GatewayName::GatewayApi(ObjectName::new("infra", "api"))]);
        assert_eq!(lines(&found[0].routes), ["HTTPRoute shop/web www.example.test false"]);
        assert_eq!(found[0].addresses, ["203.0.113.9".to_owned()].into());
        let secrets: Vec<_> = found[1].secrets.iter().map(|(_, name)| name.to_string()).collect();
        assert_eq!(secrets, ["infra/www-tls", "shop/b"]);

        let ingress = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {namespace: shop, name: web}
spec:
  ingressClassName: nginx
  tls: [{hosts: [www.example.test], secretName: www-tls}]
  rules: [{host: www.example.test}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.7}, {hostname: lb.test}]}}
";
        let found = explain("www.example.test", &cluster(ingress));
        assert_eq!(found.iter().map(|door| door.port).collect::<Vec<_>>(), [80, 443]);
        assert_eq!(lines(&found[0].routes), ["Ingress shop/web www.example.test false"]);
        assert_eq!(found[0].addresses.len(), 2);
        assert_eq!(
            found[1].secrets,
            [("Ingress shop/web".to_owned(), ObjectName::new("shop", "www-tls"))].into()
        );
    }
}
