//! What is wrong with an input, or with an output.

use crate::document::{Document, MAX_DEPTH, MAX_DOCUMENTS, MAX_VALUES, Place};
use serde::Serialize;
use serde_saphyr::budget::BudgetBreach;
use std::error::Error;
use std::fmt;

/// How much of a foreign word is shown, in characters: enough for the path of a field, six levels of 20 characters.
const SHOWN_WORD: usize = 120;

/// Something in an input that nobody can have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InputError {
    /// The file, or where else it comes from.
    pub source: String,
    /// The line, from 1; 0 where there are none.
    pub line: u64,
    /// The column in characters, from 1; 0 where there are none.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

impl InputError {
    pub(crate) fn new(document: &Document, place: Place, message: impl Into<String>) -> Self {
        Self {
            source: document.source.clone(),
            line: place.line,
            column: place.column,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn unreadable(source: &str, text: &str, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let place = error.location().map(Place::from).unwrap_or_default();
        let (message, hint) = in_plain_words(error);
        Self {
            source: source.to_owned(),
            line: place.line,
            column: place.column,
            message,
            hint: is_template(text, place).then_some(TEMPLATE).or(hint).map(str::to_owned),
        }
    }
}

/// What to do with a template.
const TEMPLATE: &str = "a template has to be rendered first: give what `helm template` prints";

/// How many lines above and below an error are looked at.
const LINES_AROUND: usize = 2;

/// Whether there is something of a template about the place.
fn is_template(text: &str, place: Place) -> bool {
    let line = usize::try_from(place.line).unwrap_or_default();
    let first = line.saturating_sub(1 + LINES_AROUND);
    text.lines().skip(first).take(1 + 2 * LINES_AROUND).any(|line| line.contains("{{"))
}

/// What the reader says of levels that it does not even count.
const TOO_DEEP: &str = "recursion limit exceeded";

/// The reader's error without its own words for its own settings, and what to do.
fn in_plain_words(error: &serde_saphyr::Error) -> (String, Option<&'static str>) {
    use serde_saphyr::Error as Cause;
    match error {
        Cause::AliasError { error, .. } => in_plain_words(error),
        Cause::Budget { breach, .. } => beyond(breach),
        Cause::AliasReplayLimitExceeded { .. } | Cause::AliasReplayStackDepthExceeded { .. } => repeating(),
        Cause::Unexpected { expected: "string scalar", .. } => {
            ("can not be read as YAML: a map or a list stands where a field has its name".to_owned(), None)
        }
        Cause::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the key {} stands twice", word(key)), Some("keep the one that is meant"))
        }
        _ => {
            let text = error.to_string();
            // The place stands before the message already, and a picture of the text behind the first line.
            let message = text.lines().next().unwrap_or_default();
            let message = message.split_once(" at line ").map_or(message, |(message, _)| message);
            if message == TOO_DEEP {
                return too_deep();
            }
            (format!("can not be read as YAML: {}", message.replace(char::is_control, " ")), None)
        }
    }
}

/// A limit of [`Document::read`] that was gone beyond.
fn beyond(breach: &BudgetBreach) -> (String, Option<&'static str>) {
    match breach {
        BudgetBreach::Depth { .. } => too_deep(),
        BudgetBreach::Events { .. }
        | BudgetBreach::Nodes { .. }
        | BudgetBreach::Documents { .. }
        | BudgetBreach::ScalarBytes { .. }
        | BudgetBreach::CommentBytes { .. } => {
            let message = format!(
                "is too large to be read at once: at most {MAX_VALUES} values, {MAX_DOCUMENTS} documents and 64 MiB of text"
            );
            (message, Some("split it into several files, and give them all together"))
        }
        _ => repeating(),
    }
}

fn too_deep() -> (String, Option<&'static str>) {
    (format!("has more than {MAX_DEPTH} levels of maps and lists, which no manifest has"), None)
}

fn repeating() -> (String, Option<&'static str>) {
    let message = "its anchors and aliases (`&a`, `*a`) repeat too much";
    (message.to_owned(), Some("write out what they stand for"))
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.source, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.source, self.column, self.message),
        }
    }
}

impl Error for InputError {}

/// A word of somebody else's, for a message.
pub(crate) fn word(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_WORD).filter(|c| !c.is_control()).collect();
    if cut.len() < text.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}

/// An object that can not be written as YAML.
#[derive(Debug)]
pub struct OutputError(pub(crate) serde_saphyr::SerializeError);

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object can not be written as YAML")
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
