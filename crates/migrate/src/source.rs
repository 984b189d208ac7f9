//! Ingresses, Gateways and ListenerSets that go on as they are, with gatecert's annotations instead of cert-manager's.

use crate::annotations::{ANNOTATIONS, Asked, wildcards};
use crate::certificate::{ADOPT, missing_issuer};
use crate::inputs::{Input, is_name};
use crate::metadata;
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin, adopt_command};
use gatecert_api::IssuerKind;
use gatecert_api::annotation::{CLUSTER_ISSUER, ISSUER};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::BTreeSet;

/// Converts an Ingress of a class other than Istio's. False where it did not ask cert-manager.
pub(crate) fn ingress(input: &Input<Ingress>, migration: &mut Migration) -> bool {
    let Input { origin, object } = input;
    let tls = object.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    let hosts = tls.clone().flat_map(|tls| tls.hosts.iter().flatten().map(String::as_str));
    let secrets: BTreeSet<_> = tls.clone().filter_map(|tls| tls.secret_name.clone()).collect();
    let secrets = secrets.into_iter().map(|name| (object.metadata.namespace.clone(), name)).collect();
    let mut comments = Comments::default();
    match convert(origin, &object.metadata, secrets, &mut comments, migration) {
        Converted::NotAsked => false,
        Converted::Refused => true,
        Converted::As(metadata) => {
            wildcards(origin, hosts, &mut migration.notes);
            let object = Ingress { metadata: *metadata, spec: object.spec.clone(), status: None };
            migration.add(&object, &[origin], comments);
            true
        }
    }
}

/// Converts a Gateway or a ListenerSet.
pub(crate) fn gateway(input: &Input<Value>, migration: &mut Migration) {
    let Input { origin, object } = input;
    let metadata: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap_or_default();
    let secrets = secrets_of_listeners(object, metadata.namespace.as_deref());
    let mut comments = Comments::default();
    match convert(origin, &metadata, secrets, &mut comments, migration) {
        Converted::NotAsked => {
            migration.notes.push(origin.note(NoteKind::PassedOver, "nothing of cert-manager's"));
        }
        Converted::Refused => {}
        Converted::As(metadata) => {
            let listeners = object.pointer("/spec/listeners").and_then(Value::as_array).into_iter().flatten();
            let of_tls = listeners.filter(|listener| listener["tls"].is_object());
            wildcards(
                origin,
                of_tls.filter_map(|listener| listener["hostname"].as_str()),
                &mut migration.notes,
            );
            let mut object = object.clone();
            object["metadata"] = serde_json::to_value(metadata).unwrap_or_default();
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            migration.add(&object, &[origin], comments);
        }
    }
}

/// A namespace, where one is known, and the name of a Secret in it.
type SecretName = (Option<String>, String);

fn secrets_of_listeners(object: &Value, own: Option<&str>) -> BTreeSet<SecretName> {
    let listeners = object.pointer("/spec/listeners").and_then(Value::as_array).into_iter().flatten();
    let references =
        listeners.filter_map(|listener| listener.pointer("/tls/certificateRefs")?.as_array()).flatten();
    let secrets = references.filter_map(|reference| {
        let namespace = reference["namespace"].as_str().or(own);
        Some((namespace.map(str::to_owned), reference["name"].as_str()?.to_owned()))
    });
    secrets.collect()
}

enum Converted {
    /// It did not ask cert-manager.
    NotAsked,
    /// What it asked for has no counterpart, which is told.
    Refused,
    /// Its metadata from now on.
    As(Box<ObjectMeta>),
}

fn convert(
    origin: &Origin,
    metadata: &ObjectMeta,
    secrets: BTreeSet<SecretName>,
    comments: &mut Comments,
    migration: &mut Migration,
) -> Converted {
    let Some(asked) = Asked::of(origin, metadata.annotations.as_ref()) else { return Converted::NotAsked };
    let wanted = match asked.wanted(comments, &mut migration.notes) {
        Ok(wanted) => wanted,
        Err(why) => {
            migration.notes.push(origin.not_migrated(why));
            return Converted::Refused;
        }
    };
    for (key, kind) in [(ISSUER, IssuerKind::Issuer), (CLUSTER_ISSUER, IssuerKind::ClusterIssuer)] {
        if let Some(name) = wanted.get(key)
            && !migration.has_issuer(kind, metadata.namespace.as_deref(), name)
        {
            comments.add(ANNOTATIONS, missing_issuer(kind, name));
        }
    }
    let mut annotations = metadata::kept(metadata).annotations.unwrap_or_default();
    annotations.extend(wanted);
    for (namespace, secret) in secrets.iter().filter(|(_, secret)| is_name(secret)) {
        let command = adopt_command(namespace.as_deref(), secret);
        migration.notes.push(origin.note(NoteKind::Before, ADOPT).command(command));
    }
    migration.notes.push(asked.removal());
    Converted::As(Box::new(metadata::with(metadata, annotations)))
}
