//! Ingresses, Gateways and ListenerSets that go on as they are, with gatecert's annotations instead of cert-manager's.

use crate::annotations::{ANNOTATIONS, Asked, can_be_proved, wildcards};
use crate::certificate::{ADOPT, missing_issuer};
use crate::error::word;
use crate::inputs::{Input, is_name};
use crate::metadata;
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin, adopt_command};
use crate::staying::Staying;
use gatecert_api::IssuerKind;
use gatecert_api::annotation::{CLUSTER_ISSUER, ISSUER};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::BTreeSet;

/// Converts an Ingress of a class other than Istio's. False where it did not ask cert-manager.
pub(crate) fn ingress(input: &Input<Ingress>, staying: &Staying, migration: &mut Migration) -> bool {
    let Input { origin, object } = input;
    let tls = object.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    let hosts: Vec<_> = tls.clone().flat_map(|tls| tls.hosts.iter().flatten().map(String::as_str)).collect();
    let written = tls.clone().filter(|tls| tls.hosts.iter().flatten().any(|host| can_be_proved(host)));
    let secrets: BTreeSet<_> = written.filter_map(|tls| tls.secret_name.clone()).collect();
    let secrets = secrets.into_iter().map(|name| (object.metadata.namespace.clone(), name)).collect();
    let mut comments = Comments::default();
    match convert(origin, &object.metadata, &hosts, secrets, staying, &mut comments, migration) {
        Converted::NotAsked => false,
        Converted::Refused => true,
        Converted::As(metadata) => {
            let object = Ingress { metadata: *metadata, spec: object.spec.clone(), status: None };
            migration.add(&object, &[origin], comments);
            true
        }
    }
}

/// Converts a Gateway or a ListenerSet.
pub(crate) fn gateway(input: &Input<Value>, staying: &Staying, migration: &mut Migration) {
    let Input { origin, object } = input;
    let metadata: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap_or_default();
    let secrets = secrets_of_listeners(object, metadata.namespace.as_deref());
    let hosts: Vec<_> = listeners(object).filter(|one| ends_tls(one)).filter_map(host_of).collect();
    let mut comments = Comments::default();
    match convert(origin, &metadata, &hosts, secrets, staying, &mut comments, migration) {
        Converted::NotAsked => {
            migration.notes.push(origin.note(NoteKind::PassedOver, "nothing of cert-manager's"));
        }
        Converted::Refused => {}
        Converted::As(metadata) => {
            left_out(origin, object, migration);
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

/// The Secrets that gatecert writes for a Gateway: of listeners that end TLS for a host that can be proved.
fn secrets_of_listeners(object: &Value, own: Option<&str>) -> BTreeSet<SecretName> {
    let written = listeners(object)
        .filter(|listener| ends_tls(listener) && host_of(listener).is_some_and(can_be_proved));
    let references = written.flat_map(references).filter(|reference| {
        let is = |field: &str, wanted: &str| reference[field].as_str().is_none_or(|text| text == wanted);
        is("group", "") && is("kind", "Secret")
    });
    let secrets = references.filter_map(|reference| {
        let namespace = reference["namespace"].as_str().or(own);
        Some((namespace.map(str::to_owned), reference["name"].as_str()?.to_owned()))
    });
    secrets.collect()
}

/// Tells of the listeners that name a Secret and get no certificate, but for those of wildcards.
fn left_out(origin: &Origin, object: &Value, migration: &mut Migration) {
    for listener in listeners(object).filter(|listener| references(listener).next().is_some()) {
        let why = match (ends_tls(listener), host_of(listener)) {
            (false, _) => {
                "does not end TLS (`mode: Passthrough`) and gets no certificate: what is behind it has its own"
            }
            (true, None) => "has no hostname and gets no certificate: name its host",
            (true, Some(_)) => continue,
        };
        let text = format!("listener {} {why}", word(listener["name"].as_str().unwrap_or_default()));
        migration.notes.push(origin.not_migrated(text).field("spec.listeners"));
    }
}

fn listeners(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/spec/listeners").and_then(Value::as_array).into_iter().flatten()
}

fn references(listener: &Value) -> impl Iterator<Item = &Value> {
    listener.pointer("/tls/certificateRefs").and_then(Value::as_array).into_iter().flatten()
}

/// Whether it is the one who shows the certificate.
fn ends_tls(listener: &Value) -> bool {
    listener["tls"].is_object() && listener["tls"]["mode"].as_str().is_none_or(|mode| mode == "Terminate")
}

fn host_of(listener: &Value) -> Option<&str> {
    listener["hostname"].as_str().filter(|host| !host.is_empty())
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
    hosts: &[&str],
    secrets: BTreeSet<SecretName>,
    staying: &Staying,
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
        let namespace = namespace.as_deref();
        let note = staying.note_on_secret(origin, namespace, secret).unwrap_or_else(|| {
            origin.note(NoteKind::Before, ADOPT).command(adopt_command(namespace, secret))
        });
        migration.notes.push(note);
    }
    metadata::say_dropped([metadata], metadata::BY_CONTROLLERS, comments);
    // Where gatecert gets none of its certificates, cert-manager has them still.
    if !secrets.is_empty() {
        migration.notes.push(asked.removal(hosts));
    }
    wildcards(origin, hosts.iter().copied(), &mut migration.notes);
    Converted::As(Box::new(metadata::with(metadata, annotations)))
}
