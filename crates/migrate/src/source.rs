//! Ingresses, Gateways and ListenerSets that go on as they are, with gatecert's annotations instead of cert-manager's.

use crate::annotations::{ANNOTATIONS, Asked, Secrets, are_proved, wildcards};
use crate::certificate::missing_issuer;
use crate::error::word;
use crate::inputs::{Input, is_name};
use crate::metadata;
use crate::migration::{Comments, Migration};
use crate::note::{NoteKind, Origin};
use crate::staying::Staying;
use gatecert_api::IssuerKind;
use gatecert_api::annotation::{CLUSTER_ISSUER, ISSUER};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// Converts an Ingress of a class other than Istio's. False where it did not ask cert-manager.
pub(crate) fn ingress(input: &Input<Ingress>, staying: &Staying, migration: &mut Migration) -> bool {
    let Input { origin, object } = input;
    let mut comments = Comments::default();
    let secrets = secrets_of_ingress(object);
    match convert(origin, &object.metadata, &secrets, staying, &mut comments, migration) {
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
    let metadata = metadata_of(object);
    let secrets = secrets_of_listeners(object, metadata.namespace.as_deref());
    let mut comments = Comments::default();
    match convert(origin, &metadata, &secrets, staying, &mut comments, migration) {
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

/// Says beforehand who writes the Secrets of a Gateway or a ListenerSet.
pub(crate) fn share_gateway(Input { origin, object }: &Input<Value>, staying: &mut Staying) {
    let metadata = metadata_of(object);
    let secrets = secrets_of_listeners(object, metadata.namespace.as_deref());
    share(origin, &metadata, secrets, staying);
}

/// The same of an Ingress of a class other than Istio's.
pub(crate) fn share_ingress(Input { origin, object }: &Input<Ingress>, staying: &mut Staying) {
    share(origin, &object.metadata, secrets_of_ingress(object), staying);
}

fn share(origin: &Origin, metadata: &ObjectMeta, secrets: Secrets, staying: &mut Staying) {
    staying.made(origin);
    let Some(asked) = Asked::of(origin, metadata.annotations.as_ref()) else { return };
    let is_taken = asked.wanted(&mut Comments::default(), &mut Vec::new()).is_ok();
    for (secret, hosts) in secrets {
        if is_taken && are_proved(&hosts) {
            staying.made(origin).insert(secret.1.clone());
            staying.write(origin, secret);
        } else {
            staying.leave(origin, secret, &hosts);
        }
    }
}

fn metadata_of(object: &Value) -> ObjectMeta {
    serde_json::from_value(object["metadata"].clone()).unwrap_or_default()
}

/// The Secrets of an Ingress with their hosts.
pub(crate) fn secrets_of_ingress(object: &Ingress) -> Secrets {
    let mut secrets = Secrets::new();
    for tls in object.spec.iter().flat_map(|spec| spec.tls.iter().flatten()) {
        let Some(name) = &tls.secret_name else { continue };
        for host in tls.hosts.iter().flatten() {
            let secret = (object.metadata.namespace.clone(), name.clone());
            secrets.entry(secret).or_default().insert(host.clone());
        }
    }
    secrets
}

/// The same of a Gateway, of listeners that end TLS for a host.
fn secrets_of_listeners(object: &Value, own: Option<&str>) -> Secrets {
    let mut secrets = Secrets::new();
    for listener in listeners(object).filter(|listener| ends_tls(listener)) {
        let Some(host) = host_of(listener) else { continue };
        for reference in references(listener) {
            let is = |field: &str, wanted: &str| reference[field].as_str().is_none_or(|text| text == wanted);
            if let (true, true, Some(name)) =
                (is("group", ""), is("kind", "Secret"), reference["name"].as_str())
            {
                let namespace = reference["namespace"].as_str().or(own).map(str::to_owned);
                secrets.entry((namespace, name.to_owned())).or_default().insert(host.to_owned());
            }
        }
    }
    secrets
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
    secrets: &Secrets,
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
    wildcards(origin, secrets, &mut migration.notes);
    let written: Vec<_> =
        secrets.iter().filter(|(_, hosts)| are_proved(hosts)).map(|(name, _)| name).collect();
    // Applying it would take the annotations away by which cert-manager goes on.
    if written.is_empty() && !secrets.is_empty() {
        let text = "stays as it is, since gatecert writes none of its Secrets";
        migration.notes.push(origin.not_migrated(text));
        return Converted::Refused;
    }
    for (key, kind) in [(ISSUER, IssuerKind::Issuer), (CLUSTER_ISSUER, IssuerKind::ClusterIssuer)] {
        if let Some(name) = wanted.get(key)
            && !migration.has_issuer(kind, metadata.namespace.as_deref(), name)
        {
            comments.add(ANNOTATIONS, missing_issuer(kind, name));
        }
    }
    let mut annotations = metadata::kept(metadata).annotations.unwrap_or_default();
    annotations.extend(wanted);
    for (namespace, secret) in written.into_iter().filter(|(_, secret)| is_name(secret)) {
        migration.notes.push(staying.hand_over(origin, namespace.as_deref(), secret));
    }
    metadata::say_dropped([metadata], metadata::BY_CONTROLLERS, comments);
    migration.notes.push(asked.removal());
    Converted::As(Box::new(metadata::with(metadata, annotations)))
}
