//! The way from the names of a Certificate to the routes that prove them.

use super::others::Others;
use super::{
    BypassPlace, GatewayName, HttpRoutePlace, IngressPlace, Placement, Probe, Question, Refusal,
    RefusalReason, SolverKind, Subject, VirtualServicePlace, entitlement, gateway_api, ingress, istio,
    solver,
};
use crate::cluster::Cluster;
use gatecert_api::Http01Solver;
use gatecert_render::gateway_api::ParentReference;
use gatecert_render::{Answer, ObjectName};
use std::collections::{BTreeMap, BTreeSet};

/// Names on one HTTPRoute. The Gateway API takes 16 hosts and 16 rules, and each name needs a rule.
const MAX_ROUTE_HOSTS: usize = 16;

/// Finds what has to be put where for the CA to be answered for every name.
///
/// # Errors
///
/// Why names get no route, all of them at once. A name gets one when one gateway takes it: what others say of it is
/// then left out.
pub fn place(question: &Question<'_>, cluster: &Cluster) -> Result<Placement, Vec<Refusal>> {
    let others = Others::new(cluster);
    let mut refusals = Vec::new();
    let mut builder = Builder::default();
    for host in question.hosts {
        let ask = Ask { question, others: &others, host };
        let found = find(&ask);
        if found.routes.is_empty() {
            refusals.extend(found.refusals);
        } else {
            builder.add(host, found);
        }
    }
    if refusals.is_empty() { Ok(builder.placement()) } else { Err(refusals) }
}

/// One name of a question.
pub(super) struct Ask<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) others: &'a Others<'a>,
    pub(super) host: &'a str,
}

impl Ask<'_> {
    /// A refusal of the name, by what serves it.
    pub(super) fn refusal(&self, reason: RefusalReason, message: String) -> Refusal {
        Refusal { host: self.host.to_owned(), reason, subject: Subject::Doors, message }
    }

    /// The refusal of a name that none of the issuer's solvers is for.
    fn without_solver(&self) -> Refusal {
        let message = format!(
            "no solver of the issuer is for {}: add the name or its zone to a selector, or a solver without one",
            self.host
        );
        Refusal { subject: Subject::Issuer, ..self.refusal(RefusalReason::NoGateway, message) }
    }

    /// The refusal of a name that a gateway does not take, which the solver names.
    pub(super) fn unhelpful(&self, gateway: GatewayName, what: &str) -> Refusal {
        let message = format!("{gateway}, which the solver names, {what}");
        let subject = Subject::Named(gateway);
        Refusal { subject, ..self.refusal(RefusalReason::NoGateway, message) }
    }

    /// The refusal of a name whose gateway can not be asked.
    pub(super) fn silent(&self, gateway: GatewayName, pods: BTreeMap<String, String>, why: &str) -> Refusal {
        let message = format!("{gateway} can not be asked: {why}");
        let subject = Subject::SilentGateway { gateway, pods };
        Refusal { subject, ..self.refusal(RefusalReason::GatewayNotReady, message) }
    }

    /// Who answers on an Istio gateway.
    fn answer(&self, wanted: Option<gatecert_api::Answer>) -> Answer {
        match wanted.unwrap_or_default() {
            gatecert_api::Answer::Gateway => Answer::Direct,
            gatecert_api::Answer::Responder => Answer::Responder(self.question.responder.clone()),
        }
    }
}

/// A piece of a placement: the route for one name on one gateway.
#[derive(Debug)]
pub(super) enum Piece {
    /// By a VirtualService.
    VirtualService { gateway: ObjectName, export_to: BTreeSet<String>, pattern: String, answer: Answer },
    /// By a Gateway and a VirtualService.
    Bypass(BypassPlace),
    /// By an HTTPRoute in `namespace`; `*` is the host of a route without hosts.
    HttpRoute { namespace: String, parent: ParentReference, pattern: String },
    /// By an Ingress.
    Ingress { class: String, pattern: String },
}

/// What there is for one name.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) routes: Vec<Piece>,
    pub(super) probes: Vec<Probe>,
    pub(super) placeholders: BTreeSet<ObjectName>,
    pub(super) refusals: Vec<Refusal>,
}

impl Found {
    /// Nothing, and why.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { refusals: vec![refusal], ..Self::default() }
    }

    /// Adds what there is elsewhere.
    pub(super) fn extend(&mut self, more: Self) {
        self.routes.extend(more.routes);
        self.probes.extend(more.probes);
        self.placeholders.extend(more.placeholders);
        self.refusals.extend(more.refusals);
    }

    fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.refusals.is_empty()
    }
}

fn find(ask: &Ask<'_>) -> Found {
    if let Some(refusal) = entitlement::narrowed(ask) {
        return Found::refused(refusal);
    }
    let automatic = Http01Solver::default();
    let solver = match ask.question.solvers {
        [] => Some(&automatic),
        solvers => solver::for_host(solvers, ask.host),
    };
    let Some(solver) = solver else { return Found::refused(ask.without_solver()) };
    let mut found = by_solver(ask, solver);
    if found.is_empty() {
        found.refusals.push(nowhere(ask, solver));
    }
    found
}

fn by_solver(ask: &Ask<'_>, solver: &Http01Solver) -> Found {
    if let Some(istio) = &solver.istio {
        let choice = istio::Choice {
            gateways: istio.gateways.as_deref(),
            answer: ask.answer(istio.answer),
            addresses: istio.addresses.as_deref(),
            export_to: istio.export_to.as_deref(),
        };
        return istio::find(ask, &choice);
    }
    if let Some(gateway_api) = &solver.gateway_api {
        let (parents, addresses) = (gateway_api.parent_refs.as_deref(), gateway_api.addresses.as_deref());
        return gateway_api::find(ask, &gateway_api::Choice { parents, addresses });
    }
    if let Some(ingress) = &solver.ingress {
        let class = Some(ingress.ingress_class_name.as_str());
        return ingress::find(ask, &ingress::Choice { class, addresses: ingress.addresses.as_deref() });
    }
    let auto = solver.auto.clone().unwrap_or_default();
    let answer = ask.answer(auto.answer);
    let choice = istio::Choice { gateways: None, answer, addresses: None, export_to: None };
    let mut found = istio::find(ask, &choice);
    found.extend(gateway_api::find(ask, &gateway_api::Choice { parents: None, addresses: None }));
    found.extend(ingress::find(ask, &ingress::Choice { class: None, addresses: None }));
    found
}

/// Why nothing was found.
fn nowhere(ask: &Ask<'_>, solver: &Http01Solver) -> Refusal {
    let host = ask.host;
    let (kind, message) = if solver.istio.is_some() {
        let text = "no Istio Gateway serves {} on port 80: add it to the hosts of an HTTP server there";
        (SolverKind::Istio, text)
    } else if solver.gateway_api.is_some() {
        let text = "no Gateway has an HTTP listener on port 80 for {}: add one, or a hostname to one";
        (SolverKind::GatewayApi, text)
    } else {
        let kind = if solver.ingress.is_some() { SolverKind::Ingress } else { SolverKind::Auto };
        let text = "no gateway serves {} on port 80: add it to an HTTP server of an Istio Gateway, to an HTTP listener of a \
                    Gateway, or to an Ingress";
        (kind, text)
    };
    let refusal = ask.refusal(RefusalReason::NoGateway, message.replace("{}", host));
    Refusal { subject: Subject::Nowhere(kind), ..refusal }
}

/// The gateways that serve a name by one pattern.
struct Bound {
    gateways: BTreeSet<ObjectName>,
    export_to: BTreeSet<String>,
    answer: Answer,
}

impl Bound {
    fn new(answer: Answer) -> Self {
        Self { gateways: BTreeSet::new(), export_to: BTreeSet::new(), answer }
    }
}

/// Groups the routes of names into few objects.
#[derive(Default)]
struct Builder(Placement);

impl Builder {
    fn add(&mut self, host: &str, found: Found) {
        // From a pattern to the gateways that serve the name by it.
        let mut bound: BTreeMap<String, Bound> = BTreeMap::new();
        let mut attached: BTreeMap<(String, String), BTreeSet<ParentReference>> = BTreeMap::new();
        for route in found.routes {
            match route {
                Piece::VirtualService { gateway, export_to, pattern, answer } => {
                    let bound = bound.entry(pattern).or_insert_with(|| Bound::new(answer));
                    bound.gateways.insert(gateway);
                    bound.export_to.extend(export_to);
                }
                Piece::Bypass(place) => self.0.bypasses.push(place),
                Piece::HttpRoute { namespace, parent, pattern } => {
                    attached.entry((namespace, pattern)).or_default().insert(parent);
                }
                Piece::Ingress { class, pattern } => self.add_ingress(host, class, pattern),
            }
        }
        for (pattern, bound) in bound {
            self.add_virtual_service(host, pattern, bound);
        }
        for ((namespace, pattern), parents) in attached {
            self.add_http_route(host, namespace, pattern, parents);
        }
        self.0.placeholders.extend(found.placeholders);
        for probe in found.probes {
            self.add_probe(probe);
        }
    }

    /// Patterns share a VirtualService only where they are on the same Gateways: elsewhere a pattern of one Gateway
    /// would be a new and more specific host on another, and hide what is served there.
    fn add_virtual_service(&mut self, host: &str, pattern: String, bound: Bound) {
        let Bound { gateways, export_to, answer } = bound;
        let places = &mut self.0.virtual_services;
        let is_shared =
            |place: &&mut VirtualServicePlace| place.gateways == gateways && place.answer == answer;
        if let Some(place) = places.iter_mut().find(is_shared) {
            place.patterns.insert(pattern);
            place.hosts.insert(host.to_owned());
            place.export_to.extend(export_to);
            return;
        }
        let (patterns, hosts) = ([pattern].into(), [host.to_owned()].into());
        places.push(VirtualServicePlace { gateways, export_to, patterns, hosts, answer });
    }

    /// As for VirtualServices. A route without hosts is for every host of its listeners, so that it has no others.
    fn add_http_route(
        &mut self,
        host: &str,
        namespace: String,
        pattern: String,
        parents: BTreeSet<ParentReference>,
    ) {
        let places = &mut self.0.http_routes;
        let patterns: BTreeSet<_> = (pattern != "*").then_some(pattern).into_iter().collect();
        let is_shared = |place: &&mut HttpRoutePlace| {
            place.namespace == namespace
                && place.parents == parents
                && place.patterns.is_empty() == patterns.is_empty()
                && place.hosts.len() < MAX_ROUTE_HOSTS
        };
        if let Some(place) = places.iter_mut().find(is_shared) {
            place.patterns.extend(patterns);
            place.hosts.insert(host.to_owned());
            return;
        }
        let hosts = [host.to_owned()].into();
        places.push(HttpRoutePlace { namespace, parents, patterns, hosts });
    }

    fn add_ingress(&mut self, host: &str, class: String, pattern: String) {
        let places = &mut self.0.ingresses;
        let found = places.iter().position(|place| place.class == class).unwrap_or_else(|| {
            places.push(IngressPlace { class, hosts: BTreeMap::new() });
            places.len() - 1
        });
        if let Some(place) = places.get_mut(found) {
            place.hosts.entry(pattern).or_default().insert(host.to_owned());
        }
    }

    fn add_probe(&mut self, probe: Probe) {
        let is_same = |one: &Probe| {
            one.host == probe.host && one.is_tls == probe.is_tls && one.addresses == probe.addresses
        };
        match self.0.probes.iter_mut().find(|one| is_same(one)) {
            Some(same) => same.gateway = std::cmp::min(&same.gateway, &probe.gateway).clone(),
            None => self.0.probes.push(probe),
        }
    }

    /// The same for the same cluster, in whatever order its objects are listed.
    fn placement(mut self) -> Placement {
        self.0.bypasses.sort_by(|a, b| (&a.namespace, &a.host).cmp(&(&b.namespace, &b.host)));
        self.0
            .probes
            .sort_by(|a, b| (&a.host, a.is_tls, &a.addresses).cmp(&(&b.host, b.is_tls, &b.addresses)));
        self.0
    }
}
