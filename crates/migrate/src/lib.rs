//! From the manifests of cert-manager to those of gatecert: data in, data out. No client, no clock, no I/O.
//!
//! ```
//! use gatecert_migrate::{Document, Options, migrate};
//!
//! let text = "
//! apiVersion: certmanager.k8s.io/v1alpha1
//! kind: ClusterIssuer
//! metadata: {name: letsencrypt-prod}
//! spec:
//!   acme:
//!     server: https://acme-v01.api.letsencrypt.org/directory
//!     email: ops@example.com
//!     privateKeySecretRef: {name: letsencrypt-prod}
//!     http01: {}
//! ";
//! let documents = Document::read("issuer.yaml", text)?;
//! let migration = migrate(&documents, &Options::default());
//! assert!(migration.errors.is_empty() && migration.is_complete());
//! assert_eq!(migration.objects[0].object["spec"]["acme"]["server"], "letsencrypt");
//! # Ok::<(), gatecert_migrate::InputError>(())
//! ```
//!
//! Read are Issuers, ClusterIssuers and Certificates of `certmanager.k8s.io/v1alpha1` (2018) and of `cert-manager.io`;
//! Ingresses, Gateways and ListenerSets with their annotations; and the pairs of Ingresses that Istio needed in 2018,
//! with the Services and Ingresses that people made for challenges by hand. Every other kind is passed over.
//!
//! A field that a kind does not have is an error with its place and the probable word. What has no counterpart is a
//! [`Note`] of its object.

mod annotations;
mod cert_manager;
mod certificate;
mod challenge;
mod document;
mod error;
mod gateway;
mod ingress;
mod inputs;
mod issuer;
mod kind;
mod metadata;
mod migration;
mod note;
mod options;
mod source;
mod spelling;
mod staying;
mod yaml;

pub use document::Document;
pub use error::{InputError, OutputError};
pub use migration::{Comment, Migrated, Migration};
pub use note::{Note, NoteKind};
pub use options::{Options, Target};

use certificate::Outcome;
use inputs::{Input, Inputs};
use note::kubectl;
use serde_json::Value;
use staying::Staying;
use std::collections::BTreeSet;

/// What comes before Secrets are taken over.
const STOP: &str = "Stop cert-manager, so that two do not write the same Secrets:";

/// What comes in the end, where cert-manager has something to do still.
const START: &str =
    "Where some stays with cert-manager, delete its Certificates that gatecert has now, then start it again:";

/// Migrates all objects together: a Certificate is looked at beside its issuer, an Ingress beside its twin.
///
/// The same documents give the same result. Where there are errors, what they are about is missing from it.
pub fn migrate(documents: &[Document], options: &Options) -> Migration {
    let mut inputs = Inputs::read(documents);
    let mut migration = Migration { errors: std::mem::take(&mut inputs.errors), ..Migration::default() };
    let mut refused = BTreeSet::new();
    for issuer in &inputs.issuers {
        if !issuer::convert(issuer, options, &mut migration) {
            refused.insert(issuer.origin.clone());
        }
    }
    let (mut moving, mut made, mut staying) = (Vec::new(), Vec::new(), Staying::default());
    for certificate in &inputs.certificates {
        match certificate::convert(certificate, &refused, &mut migration) {
            Outcome::Moves => moving.push(certificate),
            Outcome::Stays => staying.add(certificate),
            Outcome::IsMade => made.push(certificate),
        }
    }
    for Input { origin, object } in &moving {
        staying.write(origin, (origin.namespace.clone(), object.spec.secret_name.clone()));
    }
    inputs.gateways.iter().for_each(|gateway| source::share_gateway(gateway, &mut staying));
    ingress::share(&inputs, options, &mut staying);
    made.into_iter().for_each(|certificate| certificate::made(certificate, &mut staying, &mut migration));
    for Input { origin, object } in moving {
        let note = staying.hand_over(origin, origin.namespace.as_deref(), &object.spec.secret_name);
        migration.notes.push(note);
    }
    for gateway in &inputs.gateways {
        source::gateway(gateway, &staying, &mut migration);
    }
    ingress::convert(&inputs, options, &staying, &mut migration);
    challenge::services(&inputs, &staying, &mut migration);
    finish(inputs, options, &mut migration);
    migration
}

/// What there is to do around it all.
fn finish(inputs: Inputs, options: &Options, migration: &mut Migration) {
    migration.notes.extend(inputs.notes);
    // What is handed over may have to be copied first.
    migration.notes.sort_by_key(|note| note.kind == NoteKind::Before && note.message == certificate::ADOPT);
    let is_adopting = |note: &&Note| note.kind == NoteKind::Before && note.message == certificate::ADOPT;
    if let Some(first) = migration.notes.iter().find(is_adopting).cloned() {
        let scale = |replicas: u8| {
            let kubectl = kubectl(Some(&options.cert_manager_namespace));
            Some(format!("{kubectl} scale deployment cert-manager --replicas={replicas}"))
        };
        if !migration.is_complete() {
            let (kind, message) = (NoteKind::After, START.to_owned());
            migration.notes.push(Note { kind, message, command: scale(1), field: None, ..first.clone() });
        }
        let message = STOP.to_owned();
        migration.notes.insert(0, Note { message, command: scale(0), field: None, ..first });
    }
    if let Some(install) = install(options, migration) {
        migration.notes.insert(0, install);
    }
}

/// The step before all others, where gatecert has something to do.
fn install(options: &Options, migration: &Migration) -> Option<Note> {
    let is_before = |note: &&Note| note.kind == NoteKind::Before;
    let is_ours = |migrated: &&Migrated| {
        let is = |text: &str| text.starts_with("gatecert.dev/");
        let annotations = migrated.object.pointer("/metadata/annotations").and_then(Value::as_object);
        migrated.object["apiVersion"].as_str().is_some_and(is)
            || annotations.is_some_and(|annotations| annotations.keys().any(|key| is(key)))
    };
    let before =
        migration.notes.iter().find(is_before).map(|note| (note.object.clone(), note.source.clone()));
    let (object, source) = before.or_else(|| migration.objects.iter().find(is_ours).map(Migrated::origin))?;
    let namespace = match options.controller_namespace == Options::default().controller_namespace {
        true => String::new(),
        false => format!(" --namespace {}", options.controller_namespace),
    };
    let command = Some(format!("gatecert render install{namespace} | kubectl apply --server-side -f -"));
    let message = "Install gatecert, unless it is there:".to_owned();
    Some(Note { kind: NoteKind::Before, object, source, field: None, message, command })
}

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
