//! Challenge routes on Istio Gateways.

use crate::challenge::{Answer, Challenge};
use crate::istio::{
    Destination, DestinationHost, DirectBody, DirectResponse, Gateway, GatewaySpec, HttpMatch, HttpRoute,
    Port, PortNumber, Redirect, Server, StringMatch, VirtualService, VirtualServiceSpec,
};
use crate::owner::{ObjectName, Owner};
use gatecert_api::annotation;
use std::collections::{BTreeMap, BTreeSet};

/// Challenges on Gateways that serve their hosts.
#[derive(Clone, Debug)]
pub struct VirtualServiceRoute<'a> {
    /// For whom. The VirtualService stands beside the Certificate, so that it is held to what its namespace may route.
    pub owner: &'a Owner,
    /// Its name.
    pub name: String,
    /// The Gateways.
    pub gateways: &'a BTreeSet<ObjectName>,
    /// The namespaces of the Envoys behind them.
    pub export_to: &'a BTreeSet<String>,
    /// The hosts, as the routes that serve them now have them: Envoy takes the most specific host and never falls back,
    /// so a new host would hide every other path of a wildcard's route.
    pub hosts: &'a BTreeSet<String>,
    /// The challenges.
    pub challenges: &'a [Challenge],
    /// Who answers them.
    pub answer: &'a Answer,
}

/// A VirtualService that answers exactly the paths of challenges.
///
/// It is exported to the namespaces of the Envoys alone: Istio puts the routes of such a one before those of a
/// VirtualService that all namespaces see, whatever their age.
pub fn virtual_service(route: &VirtualServiceRoute<'_>) -> VirtualService {
    with_routes(route, route.challenges.iter().map(|challenge| answering(challenge, route.answer)).collect())
}

fn with_routes(route: &VirtualServiceRoute<'_>, http: Vec<HttpRoute>) -> VirtualService {
    let name = ObjectName::new(&route.owner.namespace, &route.name);
    VirtualService {
        metadata: route.owner.metadata(&name, annotation::PART_CHALLENGE),
        spec: VirtualServiceSpec {
            hosts: route.hosts.iter().cloned().collect(),
            gateways: route.gateways.iter().map(ToString::to_string).collect(),
            http,
            export_to: route.export_to.iter().cloned().collect(),
        },
    }
}

fn answering(challenge: &Challenge, answer: &Answer) -> HttpRoute {
    let uri = StringMatch { exact: Some(challenge.path()), prefix: None };
    let matched =
        HttpRoute { matches: vec![HttpMatch { uri: Some(uri), port: None }], ..HttpRoute::default() };
    match answer {
        Answer::Direct => {
            let body = DirectBody { text: Some(challenge.key_authorization.clone()) };
            HttpRoute { direct_response: Some(DirectResponse { status: 200, body: Some(body) }), ..matched }
        }
        Answer::Responder(service) => {
            let port = Some(PortNumber { number: service.port.into() });
            let destination = DestinationHost { host: service.host(), port };
            HttpRoute { route: vec![Destination { destination }], ..matched }
        }
    }
}

/// A host whose server on a Gateway redirects every plain request, and lists it by a wildcard only.
#[derive(Clone, Debug)]
pub struct RedirectBypass<'a> {
    /// For whom.
    pub owner: &'a Owner,
    /// The name of the Gateway and of the VirtualService.
    pub name: String,
    /// The namespace of the redirecting Gateway, which the new one stands beside.
    pub namespace: String,
    /// The namespaces of the Envoys behind it.
    pub export_to: &'a BTreeSet<String>,
    /// The redirecting Gateway's selector.
    pub selector: &'a BTreeMap<String, String>,
    /// The redirecting server's port.
    pub port: &'a Port,
    /// The exact host.
    pub host: &'a str,
    /// The challenges.
    pub challenges: &'a [Challenge],
    /// Who answers them.
    pub answer: &'a Answer,
}

/// A Gateway for the exact host that does not redirect, and a VirtualService on it that answers the challenges and
/// redirects everything else, as the wildcard's server does. `httpsRedirect` is asked before any route, so that there
/// is no other way in.
pub fn redirect_bypass(bypass: &RedirectBypass<'_>) -> (Gateway, VirtualService) {
    let name = ObjectName::new(&bypass.namespace, &bypass.name);
    let server = Server {
        port: Port { name: format!("{}-acme", bypass.port.name), ..bypass.port.clone() },
        hosts: vec![format!("{}/{}", bypass.owner.namespace, bypass.host)],
        tls: None,
        name: None,
    };
    let gateway = Gateway {
        metadata: bypass.owner.metadata(&name, annotation::PART_CHALLENGE),
        spec: GatewaySpec { selector: bypass.selector.clone(), servers: vec![server] },
    };
    let route = VirtualServiceRoute {
        owner: bypass.owner,
        name: bypass.name.clone(),
        gateways: &[name].into(),
        export_to: bypass.export_to,
        hosts: &[bypass.host.to_owned()].into(),
        challenges: bypass.challenges,
        answer: bypass.answer,
    };
    let mut http: Vec<_> =
        bypass.challenges.iter().map(|challenge| answering(challenge, bypass.answer)).collect();
    let redirect = Redirect { scheme: Some("https".to_owned()), redirect_code: Some(301) };
    http.push(HttpRoute { redirect: Some(redirect), ..HttpRoute::default() });
    (gateway, with_routes(&route, http))
}
