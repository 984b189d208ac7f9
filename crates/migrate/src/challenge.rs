//! What was made for challenges, by hand or by cert-manager's solver, and is needed no more.

use crate::inputs::{Input, Inputs};
use crate::migration::Migration;
use crate::note::{Note, NoteKind, Origin, kubectl};
use crate::staying::Staying;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress};
use std::collections::BTreeMap;

/// The paths that the CA asks (RFC 8555 section 8.3).
pub(crate) const PATH: &str = "/.well-known/acme-challenge";

/// The port of cert-manager's solver.
const SOLVER_PORT: i32 = 8089;

/// What kept mutual TLS away from that port, in Istio of 2018.
const NO_MUTUAL_TLS: &str = "auth.istio.io/8089";

/// Names of what belongs to a challenge: `cm-<Secret>-xxxxx` of 2018, and `cm-acme-http-solver-xxxxx`.
const NAME: &str = "cm-";

/// What cert-manager labels its solvers with.
const LABELS: [&str; 2] = ["acme.cert-manager.io/http01-solver", "certmanager.k8s.io/acme-http-domain"];

/// What to do with it.
const OBSOLETE: &str = "Delete what was made for challenges, which gatecert answers without:";

/// The same where the host is not known, and some hosts stay with cert-manager.
const PERHAPS_OBSOLETE: &str =
    "Delete what was made for challenges, unless it is for a host whose Certificate stays with cert-manager:";

/// Services: those for challenges are to be deleted, the others only told of.
pub(crate) fn services(inputs: &Inputs, staying: &Staying, migration: &mut Migration) {
    for service in &inputs.services {
        let Input { origin, object } = service;
        let note = match is_for_challenges(object).then(|| need(service, inputs, staying)) {
            None => origin.note(NoteKind::PassedOver, "nothing of cert-manager's"),
            Some(Need::None) => obsolete(origin, OBSOLETE),
            Some(Need::Unknown) => obsolete(origin, PERHAPS_OBSOLETE),
            Some(Need::Of(certificate)) => kept(origin, certificate),
        };
        migration.notes.push(note);
    }
}

/// Whether what is for challenges is needed still.
enum Need<'a> {
    None,
    /// By this Certificate, which stays with cert-manager.
    Of(&'a Origin),
    /// For which host it is can not be seen.
    Unknown,
}

/// Who needs a Service: whoever needs the Ingress that leads to it, or the host that it is labelled with.
fn need<'a>(service: &Input<Service>, inputs: &Inputs, staying: &'a Staying) -> Need<'a> {
    if staying.with_host(None).is_none() {
        return Need::None;
    }
    let leads = |ingress: &&Input<Ingress>| {
        ingress.origin.namespace == service.origin.namespace
            && challenge_paths(&ingress.object)
                .any(|(_, backend)| backend == Some(service.origin.name.as_str()))
    };
    let mut is_led_to = false;
    for ingress in inputs.ingresses.iter().filter(leads) {
        is_led_to = true;
        if let Some(certificate) = needed_by(ingress, staying) {
            return Need::Of(certificate);
        }
    }
    let selector = service.object.spec.iter().flat_map(|spec| spec.selector.iter().flatten());
    let mut words = service.object.metadata.labels.iter().flatten().chain(selector).map(|(_, value)| value);
    match words.find_map(|word| staying.with_host(Some(word))) {
        Some(certificate) => Need::Of(certificate),
        None if is_led_to => Need::None,
        None => Need::Unknown,
    }
}

/// The Certificate that stays with cert-manager and needs an Ingress for its challenges.
pub(crate) fn needed_by<'a>(input: &Input<Ingress>, staying: &'a Staying) -> Option<&'a Origin> {
    let by_host = || challenge_paths(&input.object).find_map(|(host, _)| staying.with_host(host));
    staying.with_ingress(&input.origin).or_else(by_host)
}

/// The hosts of the paths for challenges, and the Services behind them.
fn challenge_paths(ingress: &Ingress) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
    rules.flat_map(|rule| {
        let paths = rule.http.iter().flat_map(|http| &http.paths).filter(|path| is_challenge(path));
        let host = rule.host.as_deref().filter(|host| !host.is_empty());
        paths.map(move |path| (host, path.backend.service.as_ref().map(|service| service.name.as_str())))
    })
}

fn is_challenge(path: &HTTPIngressPath) -> bool {
    path.path.as_ref().is_some_and(|path| path.starts_with(PATH))
}

/// That something is to be left as it is.
pub(crate) fn kept(origin: &Origin, certificate: &Origin) -> Note {
    let text = format!("keep it: {certificate} stays with cert-manager and needs it for its challenges");
    origin.not_migrated(text)
}

fn is_for_challenges(service: &Service) -> bool {
    let has = |map: &Option<BTreeMap<String, String>>, key: &str| {
        map.as_ref().is_some_and(|map| map.contains_key(key))
    };
    let metadata = &service.metadata;
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let is_on_port = ports.into_iter().any(|port| port.port == SOLVER_PORT);
    let is_named = metadata.name.as_ref().is_some_and(|name| name.starts_with(NAME));
    LABELS.iter().any(|label| has(&metadata.labels, label))
        || (is_on_port && (is_named || has(&metadata.annotations, NO_MUTUAL_TLS)))
}

/// An Ingress without its paths for challenges, unless they are needed; none where nothing else is in it, which is told.
pub(crate) fn without(
    input: &Input<Ingress>,
    staying: &Staying,
    migration: &mut Migration,
) -> Option<Ingress> {
    let mut ingress = input.object.clone();
    let spec = ingress.spec.as_mut()?;
    let mut found = 0;
    for http in spec.rules.iter_mut().flatten().filter_map(|rule| rule.http.as_mut()) {
        let before = http.paths.len();
        http.paths.retain(|path| !is_challenge(path));
        found += before - http.paths.len();
    }
    if let Some(rules) = &mut spec.rules {
        rules.retain(|rule| rule.http.as_ref().is_none_or(|http| !http.paths.is_empty()));
    }
    let is_empty = spec.rules.as_ref().is_none_or(Vec::is_empty) && spec.default_backend.is_none();
    let needed = needed_by(input, staying).filter(|_| found > 0);
    match (needed, found > 0 && is_empty) {
        (None, true) => migration.notes.push(obsolete(&input.origin, OBSOLETE)),
        (Some(certificate), true) => migration.notes.push(kept(&input.origin, certificate)),
        (None, false) => return Some(ingress),
        (Some(_), false) => return Some(input.object.clone()),
    }
    None
}

fn obsolete(origin: &Origin, text: &str) -> Note {
    let Origin { kind, namespace, name, .. } = origin;
    let command = format!("{} delete {} {name}", kubectl(namespace.as_deref()), kind.to_lowercase());
    origin.note(NoteKind::After, text).command(command)
}
