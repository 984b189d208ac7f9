//! The kinds of objects that are read, and the schema of each.

use crate::annotations;
use crate::cert_manager::{self, CertificateSpec, IssuerSpec, Object};
use crate::document::Document;
use crate::error::{InputError, word};
use crate::gateway::{GatewaySpec, ListenerSetSpec};
use crate::ingress::old::OldIngressSpec;
use crate::spelling::{did_you_mean, nearest};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An Issuer of a version of cert-manager's, by its place in [`cert_manager::VERSIONS`].
    Issuer(usize),
    /// The same for all namespaces.
    ClusterIssuer(usize),
    /// A Certificate.
    Certificate(usize),
    /// `networking.k8s.io/v1`.
    Ingress,
    /// `extensions/v1beta1` and `networking.k8s.io/v1beta1`, which name backends otherwise.
    OldIngress,
    /// `v1`.
    Service,
    /// Of the Gateway API.
    Gateway,
    /// Of the Gateway API.
    ListenerSet,
}

/// What an object is.
pub(crate) enum Found {
    /// One that is read.
    Known(Kind),
    /// One that is passed over, with a reason where there is a special one.
    Other(Option<&'static str>),
    /// No object.
    Nothing,
}

/// cert-manager's own records of what it does.
const RECORDS: [&str; 3] = ["CertificateRequest", "Order", "Challenge"];

/// The kinds of cert-manager's that are read.
const KINDS: [&str; 3] = ["Issuer", "ClusterIssuer", "Certificate"];

/// The group of Istio's Gateways, which cert-manager does not look at.
const ISTIO: &str = "networking.istio.io";

/// What to say of one that has its annotation nevertheless.
const NEVER_READ: &str = "cert-manager never read its annotation on Istio's Gateways; for gatecert to make the certificates, \
                          annotate it with `gatecert.dev/cluster-issuer` or `gatecert.dev/issuer`";

/// The fields that every object has.
const HEAD: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// Fields of metadata that Kubernetes had once.
const OLD_METADATA: [&str; 2] = ["clusterName", "initializers"];

impl Kind {
    /// What an object is.
    ///
    /// # Errors
    /// One that is nearly one of cert-manager's, or nearly an object.
    pub(crate) fn of(document: &Document) -> Result<Found, InputError> {
        let root = &document.root;
        let (Some(version), Some(kind)) = (root.text("apiVersion"), root.text("kind")) else {
            return Self::nearly(document);
        };
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let cert_manager = [cert_manager::GROUP, cert_manager::OLD_GROUP];
        if cert_manager.contains(&group) {
            return Self::of_cert_manager(document, version, kind);
        }
        let is_theirs = KINDS.contains(&kind) && group != gatecert_api::GROUP;
        if let Some(meant) = nearest(group, cert_manager).filter(|_| is_theirs) {
            return Err(wrong(
                document,
                "apiVersion",
                format!("unknown API group {}", word(group)),
                Some(meant),
            ));
        }
        Ok(match (version, kind) {
            ("networking.k8s.io/v1", "Ingress") => Found::Known(Self::Ingress),
            ("networking.k8s.io/v1beta1" | "extensions/v1beta1", "Ingress") => Found::Known(Self::OldIngress),
            ("v1", "Service") => Found::Known(Self::Service),
            ("gateway.networking.k8s.io/v1" | "gateway.networking.k8s.io/v1beta1", "Gateway") => {
                Found::Known(Self::Gateway)
            }
            ("gateway.networking.k8s.io/v1", "ListenerSet") => Found::Known(Self::ListenerSet),
            (_, "Gateway") if group == ISTIO && annotations::is_asking(root) => {
                Found::Other(Some(NEVER_READ))
            }
            ("acme.cert-manager.io/v1", _) => Found::Other(Some("a record of cert-manager's")),
            _ => Found::Other(None),
        })
    }

    fn of_cert_manager(document: &Document, version: &str, kind: &str) -> Result<Found, InputError> {
        let versions = cert_manager::VERSIONS;
        let Some(index) = versions.iter().position(|known| *known == version) else {
            let meant = nearest(version, versions);
            return Err(wrong(document, "apiVersion", format!("unknown version {}", word(version)), meant));
        };
        match kind {
            "Issuer" => Ok(Found::Known(Self::Issuer(index))),
            "ClusterIssuer" => Ok(Found::Known(Self::ClusterIssuer(index))),
            "Certificate" => Ok(Found::Known(Self::Certificate(index))),
            kind if RECORDS.contains(&kind) => Ok(Found::Other(Some("a record of cert-manager's"))),
            _ => Err(wrong(document, "kind", format!("unknown kind {}", word(kind)), nearest(kind, KINDS))),
        }
    }

    /// No object; an error where one of its fields was probably meant to make it one.
    fn nearly(document: &Document) -> Result<Found, InputError> {
        let crate::document::Data::Map(fields) = &document.root.data else {
            return Ok(Found::Nothing);
        };
        for (key, _) in fields.iter().filter(|(key, _)| !HEAD.contains(&key.name.as_str())) {
            let absent = HEAD[..2].iter().copied().filter(|name| document.root.field(name).is_none());
            if let Some(meant) = nearest(&key.name, absent) {
                let message = format!("unknown field {}", word(&key.name));
                return Err(InputError::new(document, key.place, message).hint(did_you_mean(Some(meant))));
            }
        }
        match HEAD[..2].iter().filter(|name| document.root.field(name).is_some()).count() {
            0 => Ok(Found::Nothing),
            _ => {
                let message = "`apiVersion` and `kind` have to be there, both as text";
                Err(InputError::new(document, document.root.place, message))
            }
        }
    }

    /// The schema of the kind.
    pub(crate) fn schema(self) -> Value {
        let mut schema = match self {
            Self::Issuer(_) | Self::ClusterIssuer(_) => schema_of::<Object<IssuerSpec>>(),
            Self::Certificate(_) => schema_of::<Object<CertificateSpec>>(),
            Self::Ingress => schema_of::<Ingress>(),
            Self::OldIngress => schema_of::<Object<OldIngressSpec>>(),
            Self::Service => schema_of::<Service>(),
            Self::Gateway => schema_of::<Object<GatewaySpec>>(),
            Self::ListenerSet => schema_of::<Object<ListenerSetSpec>>(),
        };
        let spec = "/properties/spec/properties";
        match self {
            Self::Issuer(version) | Self::ClusterIssuer(version) if version > 0 => {
                for name in cert_manager::OLD_ISSUER {
                    without(&mut schema, spec, &["acme", name]);
                }
            }
            Self::Certificate(version) => {
                for (path, first, last) in cert_manager::SOME_VERSIONS {
                    if !(first..=last).contains(&version) {
                        without(&mut schema, spec, path);
                    }
                }
            }
            _ => {}
        }
        // Times of 2018 and states of today are passed over, whatever they are.
        schema["properties"]["status"] = Value::Bool(true);
        if let Some(metadata) = schema.pointer_mut("/properties/metadata/properties") {
            for name in OLD_METADATA {
                metadata[name] = json!(true);
            }
        }
        schema
    }
}

fn wrong(document: &Document, field: &str, message: String, meant: Option<&str>) -> InputError {
    let place = document.root.field(field).map(|node| node.place).unwrap_or_default();
    InputError::new(document, place, message).hint(did_you_mean(meant))
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Takes a field out of a schema, and out of the branches that stand for a field which may be absent.
fn without(schema: &mut Value, properties: &str, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut part = schema.pointer_mut(properties);
    for parent in parents {
        part =
            part.and_then(|part| part.get_mut(parent)).and_then(|field| match field.get("anyOf").is_some() {
                true => {
                    field["anyOf"].as_array_mut()?.iter_mut().find_map(|branch| branch.get_mut("properties"))
                }
                false => field.get_mut("properties"),
            });
    }
    if let Some(properties) = part.and_then(Value::as_object_mut) {
        properties.remove(*last);
    }
}
