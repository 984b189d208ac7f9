//! What comes out.

use crate::error::{InputError, OutputError};
use crate::note::{Note, NoteKind, Origin};
use crate::yaml;
use gatecert_api::IssuerKind;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The objects that take the place of others, and what is to be known about that.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Migration {
    /// The objects, in the order in which they are to be applied.
    pub objects: Vec<Migrated>,
    /// What is told beside them.
    pub notes: Vec<Note>,
    /// What is wrong with the inputs. Where there is anything, the rest is not whole.
    pub errors: Vec<InputError>,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Migrated {
    /// It.
    pub object: Value,
    /// What it was made from.
    pub from: Vec<String>,
    /// What changed.
    pub comments: Vec<Comment>,
}

/// Something about a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// The field of the new object, or of the old one where the new one has none, name by name.
    pub path: &'static [&'static str],
    /// What.
    pub text: String,
}

/// Comments of an object that is being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comments(pub(crate) Vec<Comment>);

impl Comments {
    pub(crate) fn add(&mut self, path: &'static [&'static str], text: impl Into<String>) {
        self.0.push(Comment { path, text: text.into() });
    }
}

impl Migration {
    /// Whether everything of cert-manager's has its counterpart.
    pub fn is_complete(&self) -> bool {
        self.notes.iter().all(|note| note.kind != NoteKind::NotMigrated)
    }

    /// Adds an object. One that can not be written as JSON does not exist: all are structs with text for keys.
    pub(crate) fn add(&mut self, object: &impl Serialize, from: &[&Origin], comments: Comments) {
        let object = serde_json::to_value(object).unwrap_or_default();
        let from = from.iter().map(ToString::to_string).collect();
        self.objects.push(Migrated { object, from, comments: comments.0 });
    }

    /// Whether an issuer is among the objects. Issuers come first, so that the thousands behind them are not looked at.
    pub(crate) fn has_issuer(&self, kind: IssuerKind, namespace: Option<&str>, name: &str) -> bool {
        let kinds = [IssuerKind::Issuer, IssuerKind::ClusterIssuer].map(IssuerKind::as_str);
        let mut issuers = self
            .objects
            .iter()
            .take_while(|migrated| kinds.iter().any(|kind| migrated.object["kind"] == *kind));
        issuers.any(|migrated| {
            let text = |path: &str| migrated.object.pointer(path).and_then(Value::as_str);
            text("/kind") == Some(kind.as_str())
                && text("/metadata/name") == Some(name)
                && (kind == IssuerKind::ClusterIssuer || text("/metadata/namespace") == namespace)
        })
    }

    /// A `List` of the objects, with `notes` beside them.
    pub fn to_json(&self) -> Value {
        let changes = self.objects.iter().flat_map(|migrated| {
            migrated.comments.iter().map(|comment| {
                let (object, source) = migrated.origin();
                let field = Some(comment.path.join("."));
                let (kind, message) = (NoteKind::Changed, comment.text.clone());
                Note { kind, object, source, field, message, command: None }
            })
        });
        let notes: Vec<_> = changes.chain(self.notes.iter().cloned()).collect();
        let items: Vec<_> = self.objects.iter().map(|migrated| &migrated.object).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items, "notes": notes})
    }

    /// The objects as documents of YAML, under a comment that says what to do.
    ///
    /// # Errors
    /// An object can not be written, which none is known of.
    pub fn to_yaml(&self) -> Result<String, OutputError> {
        let mut text = self.header();
        for object in &self.objects {
            text.push_str(&yaml::document(object)?);
        }
        Ok(text)
    }

    fn header(&self) -> String {
        let mut text = String::new();
        let mut steps = Vec::new();
        if !self.objects.is_empty() {
            steps.extend(self.commands(NoteKind::Before));
            steps.push(("Apply this.".to_owned(), vec!["kubectl apply -f FILE".to_owned()]));
        }
        steps.extend(self.commands(NoteKind::After));
        for (number, (what, commands)) in steps.iter().enumerate() {
            yaml::comment(&mut text, "", &format!("{}. {what}", number + 1));
            for command in commands {
                // One line, to be copied.
                let _ = writeln!(text, "#    {}", command.replace(char::is_control, " "));
            }
        }
        self.list(&mut text, NoteKind::NotMigrated, "Not migrated:");
        self.list(&mut text, NoteKind::PassedOver, "Passed over:");
        text
    }

    /// The commands of a kind, under what they are for.
    fn commands(&self, kind: NoteKind) -> Vec<(String, Vec<String>)> {
        let mut steps: Vec<(String, Vec<String>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for note in self.notes.iter().filter(|note| note.kind == kind) {
            let Some(command) = note.command.clone().filter(|command| seen.insert(command.clone())) else {
                continue;
            };
            match steps.iter_mut().find(|(what, _)| *what == note.message) {
                Some((_, commands)) => commands.push(command),
                None => steps.push((note.message.clone(), vec![command])),
            }
        }
        steps
    }

    fn list(&self, text: &mut String, kind: NoteKind, title: &str) {
        let notes: Vec<_> = self.notes.iter().filter(|note| note.kind == kind).collect();
        if notes.is_empty() {
            return;
        }
        if !text.is_empty() {
            text.push_str("#\n");
        }
        yaml::comment(text, "", title);
        for note in notes {
            let field = note.field.as_ref().map(|field| format!(", {field}")).unwrap_or_default();
            yaml::item(text, &format!("{} ({}){field}: {}", note.object, note.source, note.message));
            if let Some(command) = &note.command {
                let _ = writeln!(text, "#    {}", command.replace(char::is_control, " "));
            }
        }
    }
}

impl Migrated {
    /// The new object's title, and where the old one was read.
    pub(crate) fn origin(&self) -> (String, String) {
        let text = |path: &str| self.object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = match text("/metadata/namespace") {
            "" => text("/metadata/name").to_owned(),
            namespace => format!("{namespace}/{}", text("/metadata/name")),
        };
        (format!("{} {name}", text("/kind")), self.from.join(", "))
    }
}
