//! What is told beside the objects.

use serde::Serialize;
use std::fmt;

/// Something that the operator should know or do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// The object, `Certificate shop/www`.
    pub object: String,
    /// Where it was read, `file:line`.
    pub source: String,
    /// The field of the new object, or of the old one where it has none; none where it is about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What and why.
    pub message: String,
    /// What does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NoteKind {
    /// A field means something else, or is gone, and nothing is lost by it.
    Changed,
    /// An object, or a part of one, has no counterpart.
    NotMigrated,
    /// To be done before the objects are applied.
    Before,
    /// To be done when the certificates are ready.
    After,
    /// Nothing of cert-manager's is in it.
    PassedOver,
}

/// An object that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) kind: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) source: String,
}

impl Origin {
    /// `Certificate shop/www`.
    pub(crate) fn object(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }

    pub(crate) fn note(&self, kind: NoteKind, message: impl Into<String>) -> Note {
        Note {
            kind,
            object: self.object(),
            source: self.source.clone(),
            field: None,
            message: message.into(),
            command: None,
        }
    }

    /// The note that it, or a part of it, has no counterpart.
    pub(crate) fn not_migrated(&self, message: impl Into<String>) -> Note {
        self.note(NoteKind::NotMigrated, message)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.object(), self.source)
    }
}

impl Note {
    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// `kubectl`, with the namespace where one is known.
pub(crate) fn kubectl(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "kubectl".to_owned(), |namespace| format!("kubectl -n {namespace}"))
}

/// Copies a Secret of a certificate into another namespace. Its key goes through a pipe: it is on no command line.
pub(crate) fn copy_command(from: &str, to: &str, secret: &str) -> String {
    let value = |key: &str| {
        let from = kubectl(Some(from));
        format!("<({from} get secret {secret} -o jsonpath='{{.data.tls\\.{key}}}' | base64 -d)")
    };
    format!("{} create secret tls {secret} --cert={} --key={}", kubectl(Some(to)), value("crt"), value("key"))
}

/// What lets gatecert take over a Secret.
pub(crate) fn adopt_command(namespace: Option<&str>, secret: &str) -> String {
    let annotation = gatecert_api::annotation::ADOPT;
    format!("{} annotate secret {secret} {annotation}=true", kubectl(namespace))
}
