//! What was read, kind by kind.

use crate::annotations;
use crate::cert_manager::{CertificateSpec, IssuerSpec, Object};
use crate::document::{Data, Document, Node};
use crate::error::{InputError, word};
use crate::ingress::old::OldIngressSpec;
use crate::kind::{Found, Kind};
use crate::note::{Note, NoteKind, Origin};
use crate::spelling;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// An object of a known kind.
pub(crate) struct Input<T> {
    pub(crate) origin: Origin,
    pub(crate) object: T,
}

/// Everything that was read.
#[derive(Default)]
pub(crate) struct Inputs {
    pub(crate) issuers: Vec<Input<Object<IssuerSpec>>>,
    pub(crate) certificates: Vec<Input<Object<CertificateSpec>>>,
    pub(crate) ingresses: Vec<Input<Ingress>>,
    pub(crate) services: Vec<Input<Service>>,
    /// Gateways and ListenerSets, which go on as they are but for their annotations.
    pub(crate) gateways: Vec<Input<Value>>,
    pub(crate) notes: Vec<Note>,
    pub(crate) errors: Vec<InputError>,
    /// Where each issuer and each Certificate was read, by kind, namespace and name.
    read: HashMap<(String, Option<String>, String), String>,
}

impl Inputs {
    pub(crate) fn read(documents: &[Document]) -> Self {
        let mut inputs = Self::default();
        let mut schemas = HashMap::new();
        for document in documents {
            match Kind::of(document) {
                Ok(Found::Known(kind)) => {
                    let schema = schemas.entry(kind).or_insert_with(|| kind.schema());
                    inputs.known(document, kind, schema);
                }
                Ok(Found::Other(why)) => inputs.passed_over(document, why),
                Ok(Found::Nothing) => inputs.passed_over(document, Some("no Kubernetes object")),
                Err(error) => inputs.errors.push(error),
            }
        }
        inputs.errors.extend(nothing(documents));
        inputs
    }

    fn passed_over(&mut self, document: &Document, why: Option<&str>) {
        let why = why.unwrap_or("nothing of cert-manager's");
        self.notes.push(origin(document).note(NoteKind::PassedOver, why));
    }

    /// Whether there was one of this kind and name before, which is told: two can not become one.
    fn was_read(&mut self, document: &Document, origin: &Origin) -> bool {
        let object = (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
        let Some(before) = self.read.get(&object) else {
            self.read.insert(object, origin.source.clone());
            return false;
        };
        if document.is_text() {
            let message = format!("{} is here a second time: the first is {before}", origin.object());
            let error = InputError::new(document, document.root.place, message);
            self.errors.push(error.hint(Some("give the one alone that is meant".to_owned())));
        } else {
            // There may be one of each group of cert-manager's.
            let note = origin.not_migrated("it is there in another API group too, and that one was migrated");
            self.notes.push(note);
        }
        true
    }

    fn known(&mut self, document: &Document, kind: Kind, schema: &Value) {
        let mut errors = spelling::check(document, schema);
        errors.extend(names(document));
        if matches!(kind, Kind::Ingress | Kind::OldIngress | Kind::Gateway | Kind::ListenerSet) {
            errors.extend(annotations::check(document));
        }
        let origin = origin(document);
        if !document.is_text() {
            // Nobody can correct what the API server has taken in: it is of a newer version than those that are known.
            let unknown = errors.drain(..).map(|error| {
                origin
                    .not_migrated(format!("{}, which this version of gatecert does not know", error.message))
            });
            self.notes.extend(unknown);
        }
        if !errors.is_empty() {
            self.errors.extend(errors);
            return;
        }
        let is_theirs = matches!(kind, Kind::Issuer(_) | Kind::ClusterIssuer(_) | Kind::Certificate(_));
        if is_theirs && self.was_read(document, &origin) {
            return;
        }
        let value = document.root.value();
        let taken = match kind {
            Kind::Issuer(_) | Kind::ClusterIssuer(_) => push(&mut self.issuers, &origin, value),
            Kind::Certificate(_) => push(&mut self.certificates, &origin, value),
            Kind::Ingress => push(&mut self.ingresses, &origin, value),
            Kind::OldIngress => old_ingress(value).map(|object| {
                self.ingresses.push(Input { origin: origin.clone(), object });
            }),
            Kind::Service => push(&mut self.services, &origin, value),
            Kind::Gateway | Kind::ListenerSet => push(&mut self.gateways, &origin, value),
        };
        if let Err(error) = taken {
            self.errors.push(InputError::new(document, document.root.place, error.to_string()));
        }
    }
}

/// The errors where no text holds any object: another file was meant. Beside others, files that hold none are passed
/// over, since a directory may have them.
fn nothing(documents: &[Document]) -> Vec<InputError> {
    let is_object = |document: &Document| !document.is_text() || is_something(document);
    if documents.iter().any(is_object) {
        return Vec::new();
    }
    let mut sources = HashSet::new();
    let firsts = documents.iter().filter(|document| sources.insert(document.source.as_str()));
    let error = |document| {
        let error = InputError::new(document, document.root.place, "there is no Kubernetes object in it");
        error.hint(Some("give manifests: what has `apiVersion` and `kind`".to_owned()))
    };
    firsts.map(error).collect()
}

/// Whether it is an object, or was meant to be one, which is told of elsewhere.
fn is_something(document: &Document) -> bool {
    !matches!(Kind::of(document), Ok(Found::Nothing))
}

fn push<T: DeserializeOwned>(
    list: &mut Vec<Input<T>>,
    origin: &Origin,
    value: Value,
) -> serde_json::Result<()> {
    list.push(Input { origin: origin.clone(), object: serde_json::from_value(value)? });
    Ok(())
}

fn old_ingress(value: Value) -> serde_json::Result<Ingress> {
    let old: Object<OldIngressSpec> = serde_json::from_value(value)?;
    Ok(Ingress { metadata: old.metadata, spec: Some(old.spec.into()), status: None })
}

fn origin(document: &Document) -> Origin {
    let root = &document.root;
    let metadata = |field: &str| root.field("metadata").and_then(|metadata| metadata.text(field));
    // What is passed over is not looked at, so that its names may be anything.
    let shown = |text: &str| word(text).trim_matches('`').to_owned();
    Origin {
        kind: root.text("kind").map_or_else(|| "document".to_owned(), shown),
        namespace: metadata("namespace").map(shown),
        name: metadata("name").map(shown).unwrap_or_default(),
        source: document.title(),
    }
}

/// Where names of objects stand, which get into commands that somebody copies.
const NAMES: [&[&str]; 7] = [
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["spec", "secretName"],
    &["spec", "issuerRef", "name"],
    &["spec", "acme", "privateKeySecretRef", "name"],
    &["spec", "acme", "externalAccountBinding", "keySecretRef", "name"],
    &["spec", "acme", "privateKeySecretRef", "key"],
];

/// Names that Kubernetes does not allow.
fn names(document: &Document) -> Vec<InputError> {
    let mut errors = Vec::new();
    let mut look = |path: &str, node: &Node, name: &str| {
        if !is_name(name) {
            let message = format!("`{path}` is {}, which can not be the name of an object", word(name));
            errors.push(InputError::new(document, node.place, message));
        }
    };
    for path in NAMES {
        let node = path.iter().try_fold(&document.root, |node, name| node.field(name));
        if let Some((node, Data::Text(name))) = node.map(|node| (node, &node.data)) {
            look(&path.join("."), node, name);
        }
    }
    // A name of another type was told of already.
    let is_nameless =
        |metadata: &Node| metadata.field("name").is_none_or(|name| matches!(name.data, Data::Null));
    if document.root.field("metadata").is_some_and(is_nameless) {
        let place = document.root.field("metadata").map(|metadata| metadata.place).unwrap_or_default();
        let error = InputError::new(document, place, "`metadata.name` is missing");
        errors.push(error.hint(Some("what has a generateName is not for files that are kept".to_owned())));
    }
    errors
}

/// Whether it can be the name of an object, or of a value in a Secret.
pub(crate) fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(is_allowed) && !text.starts_with(['-', '.'])
}
