//! How an issuer has names proved.

use super::Conversion;
use crate::cert_manager::{Acme, GatewaySolver, IngressSolver, Selector, Solver};
use gatecert_api::{
    AutoSolver, GatewayApiSolver, Http01Solver, IngressSolver as WantedIngress, ParentReference,
    Selector as WantedSelector, Solver as Wanted,
};

const SOLVERS: &[&str] = &["spec", "acme", "solvers"];

/// The class of Istio's ingress gateway, whose Ingresses become Gateways.
pub(crate) const ISTIO: &str = "istio";

impl Conversion<'_> {
    /// The solvers; none where names can not be proved without DNS-01.
    pub(super) fn solvers(&mut self, acme: &Acme) -> Option<Vec<Wanted>> {
        let solvers = acme.solvers.as_deref().unwrap_or_default();
        let by_dns =
            usize::from(acme.dns01.is_some()) + solvers.iter().filter(|one| one.dns01.is_some()).count();
        let by_http =
            usize::from(acme.http01.is_some()) + solvers.iter().filter(|one| one.http01.is_some()).count();
        if by_dns > 0 && by_http == 0 {
            let text = "proves names by DNS-01 alone, and gatecert proves them by HTTP-01: names that are reachable on \
                        port 80 can have an issuer with `http01`, the others stay with cert-manager";
            self.migration.notes.push(self.origin.not_migrated(text).field(SOLVERS.join(".")));
            return None;
        }
        if acme.dns01.is_some() {
            self.refuse("`dns01` was left out: gatecert proves names by HTTP-01");
        }
        if acme.http01.is_some() {
            self.comments.add(
                &["spec", "acme"],
                "`http01` is gone: without `solvers`, names are proved on whatever gateway serves them",
            );
        }
        Some(solvers.iter().enumerate().filter_map(|(index, solver)| self.solver(index, solver)).collect())
    }

    fn refuse(&mut self, text: &str) {
        self.migration.notes.push(self.origin.not_migrated(text).field(SOLVERS.join(".")));
    }

    fn solver(&mut self, index: usize, solver: &Solver) -> Option<Wanted> {
        let number = index + 1;
        let selector = self.selector(number, solver.selector.as_ref())?;
        let Some(http01) = &solver.http01 else {
            let names = selector.as_ref().map(names_of).unwrap_or_default();
            self.refuse(&format!(
                "solver {number} was left out: it is for DNS-01{names}, and gatecert proves names by HTTP-01; keep what \
                 is reachable on no port 80, and wildcards, with cert-manager"
            ));
            return None;
        };
        let http01 = match (&http01.ingress, &http01.gateway) {
            (_, Some(gateway)) => self.gateway(number, gateway),
            (ingress, None) => self.ingress(number, ingress.as_ref()),
        };
        Some(Wanted { selector, http01 })
    }

    /// The selector; none where the solver is for what can not be said here.
    fn selector(&mut self, number: usize, selector: Option<&Selector>) -> Option<Option<WantedSelector>> {
        let Some(selector) = selector else { return Some(None) };
        if selector.match_labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
            self.refuse(&format!(
                "solver {number} was left out: it selects by `matchLabels`; name the hosts in `selector.dnsNames`, or \
                 make another issuer for those Certificates"
            ));
            return None;
        }
        let given = |names: &Option<Vec<String>>| names.clone().filter(|names| !names.is_empty());
        let wanted =
            WantedSelector { dns_names: given(&selector.dns_names), dns_zones: given(&selector.dns_zones) };
        Some((wanted != WantedSelector::default()).then_some(wanted))
    }

    fn ingress(&mut self, number: usize, ingress: Option<&IngressSolver>) -> Http01Solver {
        let class = ingress.and_then(|one| one.ingress_class_name.as_ref().or(one.class.as_ref()));
        let auto = Http01Solver { auto: Some(AutoSolver::default()), ..Http01Solver::default() };
        if let Some(ingress) = ingress {
            self.dropped(
                number,
                "the solver's Pod, Service and Ingress",
                &[
                    ("serviceType", ingress.service_type.is_some()),
                    ("podTemplate", ingress.pod_template.is_some()),
                    ("ingressTemplate", ingress.ingress_template.is_some()),
                ],
            );
        }
        match class.filter(|class| !class.is_empty()) {
            Some(class) if class == ISTIO => {
                self.comments.add(
                    SOLVERS,
                    format!("solver {number} was for Ingresses of class `istio`: `auto` finds the gateway that serves a name"),
                );
                auto
            }
            Some(class) => {
                let ingress = WantedIngress { ingress_class_name: class.clone(), addresses: None };
                Http01Solver { ingress: Some(ingress), ..Http01Solver::default() }
            }
            None => {
                let what = match ingress.and_then(|ingress| ingress.name.as_ref()) {
                    Some(_) => "changed an Ingress of the user's (`name`)",
                    None => "made an Ingress without a class",
                };
                self.comments.add(
                    SOLVERS,
                    format!("solver {number} {what}: `auto` finds the gateway that serves a name, and changes nothing of it"),
                );
                auto
            }
        }
    }

    fn gateway(&mut self, number: usize, gateway: &GatewaySolver) -> Http01Solver {
        let parents = gateway.parent_refs.iter().flatten();
        self.dropped(
            number,
            "the solver's Pod and Service",
            &[
                ("serviceType", gateway.service_type.is_some()),
                ("podTemplate", gateway.pod_template.is_some()),
                ("labels", gateway.labels.is_some()),
                ("port", parents.clone().any(|parent| parent.port.is_some())),
            ],
        );
        let parents: Vec<_> = parents
            .map(|parent| ParentReference {
                group: parent.group.clone(),
                kind: parent.kind.clone(),
                name: parent.name.clone(),
                namespace: parent.namespace.clone(),
                section_name: parent.section_name.clone(),
            })
            .collect();
        let solver =
            GatewayApiSolver { parent_refs: (!parents.is_empty()).then_some(parents), addresses: None };
        Http01Solver { gateway_api: Some(solver), ..Http01Solver::default() }
    }

    /// Fields that said how cert-manager's own solver runs.
    fn dropped(&mut self, number: usize, of: &str, fields: &[(&str, bool)]) {
        let fields: Vec<_> =
            fields.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| format!("`{name}`")).collect();
        if !fields.is_empty() {
            let text = format!("{} gone from solver {number}: there is no need of {of}", are(&fields));
            self.comments.add(SOLVERS, text);
        }
    }
}

/// A list with its verb.
fn are(words: &[String]) -> String {
    format!("{} {}", words.join(", "), if words.len() == 1 { "is" } else { "are" })
}

fn names_of(selector: &WantedSelector) -> String {
    let names: Vec<_> = selector
        .dns_names
        .iter()
        .flatten()
        .chain(selector.dns_zones.iter().flatten())
        .take(5)
        .map(|name| crate::error::word(name))
        .collect();
    if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) }
}
