//! What was made for challenges, by hand or by cert-manager's solver, and is needed no more.

use crate::inputs::Input;
use crate::migration::Migration;
use crate::note::{Note, NoteKind, Origin, kubectl};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
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

/// Services: those for challenges are to be deleted, the others only told of.
pub(crate) fn services(services: &[Input<Service>], migration: &mut Migration) {
    for Input { origin, object } in services {
        let note = match is_for_challenges(object) {
            true => obsolete(origin),
            false => origin.note(NoteKind::PassedOver, "nothing of cert-manager's"),
        };
        migration.notes.push(note);
    }
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

/// An Ingress without its paths for challenges; none where nothing is left, which is told.
pub(crate) fn without(input: &Input<Ingress>, migration: &mut Migration) -> Option<Ingress> {
    let mut ingress = input.object.clone();
    let spec = ingress.spec.as_mut()?;
    let mut found = 0;
    for http in spec.rules.iter_mut().flatten().filter_map(|rule| rule.http.as_mut()) {
        let before = http.paths.len();
        http.paths.retain(|path| !path.path.as_ref().is_some_and(|path| path.starts_with(PATH)));
        found += before - http.paths.len();
    }
    if let Some(rules) = &mut spec.rules {
        rules.retain(|rule| rule.http.as_ref().is_none_or(|http| !http.paths.is_empty()));
    }
    let is_empty = spec.rules.as_ref().is_none_or(Vec::is_empty) && spec.default_backend.is_none();
    if found > 0 && is_empty {
        migration.notes.push(obsolete(&input.origin));
        return None;
    }
    Some(ingress)
}

fn obsolete(origin: &Origin) -> Note {
    let Origin { kind, namespace, name, .. } = origin;
    let command = format!("{} delete {} {name}", kubectl(namespace.as_deref()), kind.to_lowercase());
    let text = "Delete what was made for challenges, which gatecert answers without:";
    origin.note(NoteKind::After, text).command(command)
}
