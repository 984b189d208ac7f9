//! What takes a name by Ingresses.

use super::super::explain::{Door, TakenRoute};
use super::*;
use gatecert_render::ObjectName;

/// The port that HTTPS is on.
const HTTPS: u16 = 443;

/// The classes whose Ingresses name the host; for HTTPS where they name a Secret for it.
pub(in super::super) fn doors(ask: &Ask<'_>) -> Vec<Door> {
    let mut classes: BTreeMap<&str, Vec<&Ingress>> = BTreeMap::new();
    for ingress in &ask.others.ingresses {
        if let Some(class) = class_of(ingress) {
            classes.entry(class).or_default().push(ingress);
        }
    }
    let choice = Choice { class: None, addresses: None };
    let classes =
        classes.into_iter().map(|(class, ingresses)| Class { ask, choice: &choice, class, ingresses });
    classes.filter_map(|class| class.doors()).flatten().collect()
}

impl Class<'_> {
    fn doors(&self) -> Option<Vec<Door>> {
        let naming = self.naming();
        let (_, host, _) = naming.first()?;
        let services = if self.is_istio() { self.services() } else { Vec::new() };
        let plain = Door {
            gateways: vec![GatewayName::IngressClass(self.class.to_owned())],
            port: HTTP,
            host: (*host).to_owned(),
            redirecting: Vec::new(),
            routes: naming.iter().map(|(_, host, ingress)| route(host, ingress)).collect(),
            hidden: Vec::new(),
            secrets: BTreeSet::new(),
            pods: services
                .iter()
                .map(|service| (namespace_of(*service).to_owned(), service.spec.selector.clone()))
                .collect(),
            services: services.iter().map(|service| object_name(*service)).collect(),
            addresses: naming.iter().flat_map(|(_, _, ingress)| addresses(ingress)).collect(),
        };
        let secrets: BTreeSet<_> =
            naming.iter().flat_map(|(_, _, ingress)| self.secrets(ingress, &services)).collect();
        let tls = (!secrets.is_empty()).then(|| Door { port: HTTPS, secrets, ..plain.clone() });
        Some([plain].into_iter().chain(tls).collect())
    }

    /// Istio reads them beside the gateway, others beside the Ingress.
    fn secrets(&self, ingress: &Ingress, services: &[&Service]) -> Vec<(String, ObjectName)> {
        let tls = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
        let is_for_host = |hosts: &[String]| {
            hosts.is_empty() || hosts.iter().any(|host| fit_one_label(host, self.ask.host).is_some())
        };
        let named = tls.filter(|tls| is_for_host(tls.hosts.as_deref().unwrap_or_default()));
        let named = named.filter_map(|tls| tls.secret_name.as_deref());
        let title = format!("Ingress {}", object_name(ingress));
        let namespaces: BTreeSet<_> = match self.is_istio() {
            true => services.iter().map(|service| namespace_of(*service)).collect(),
            false => [namespace_of(ingress)].into(),
        };
        named
            .flat_map(|name| namespaces.iter().map(move |namespace| ObjectName::new(*namespace, name)))
            .map(|secret| (title.clone(), secret))
            .collect()
    }
}

fn route(host: &str, ingress: &Ingress) -> TakenRoute {
    TakenRoute {
        kind: "Ingress",
        name: object_name(ingress),
        host: host.to_owned(),
        // The path of a challenge is matched exactly.
        is_before_challenges: false,
    }
}

fn addresses(ingress: &Ingress) -> Vec<String> {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let all = status.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    all.iter().filter_map(|one| one.ip.clone().or_else(|| one.hostname.clone())).collect()
}
