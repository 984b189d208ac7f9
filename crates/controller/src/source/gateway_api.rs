//! The Gateway API's Gateways and ListenerSets.

use super::workload::Gateways;
use super::{Asked, Source};
use gatecert_render::ObjectName;
use gatecert_render::gateway_api::{Gateway, Listener, ListenerSet, ObjectReference};

impl Source for Gateway {
    fn ask(&self, namespace: &str, _: &Gateways<'_>, asked: &mut Asked) {
        ask_for_listeners(&self.spec.listeners, namespace, asked);
    }
}

impl Source for ListenerSet {
    fn ask(&self, namespace: &str, _: &Gateways<'_>, asked: &mut Asked) {
        ask_for_listeners(&self.spec.listeners, namespace, asked);
    }
}

fn ask_for_listeners(listeners: &[Listener], namespace: &str, asked: &mut Asked) {
    for listener in listeners {
        let Some(tls) = listener.tls.as_ref().filter(|tls| tls.is_terminating()) else { continue };
        for reference in tls.certificate_refs.iter().filter(|reference| is_secret(reference)) {
            let namespace = reference.namespace.as_deref().unwrap_or(namespace);
            let host = listener.hostname.as_deref().filter(|host| !host.is_empty());
            asked.add(ObjectName::new(namespace, &reference.name), host);
        }
    }
}

fn is_secret(reference: &ObjectReference) -> bool {
    reference.group.as_deref().is_none_or(str::is_empty)
        && reference.kind.as_deref().is_none_or(|kind| kind == "Secret")
}
