//! What is wrong with an input, or with an output.

use crate::document::{Document, Place};
use serde::Serialize;
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

    pub(crate) fn unreadable(source: &str, error: &serde_saphyr::Error) -> Self {
        let place = error.location().map(Place::from).unwrap_or_default();
        let text = error.to_string();
        // The place stands before the message already, and a picture of the text behind the first line.
        let message = text.lines().next().unwrap_or_default();
        let message = message.split_once(" at line ").map_or(message, |(message, _)| message);
        Self {
            source: source.to_owned(),
            line: place.line,
            column: place.column,
            message: format!("can not be read as YAML: {message}"),
            hint: None,
        }
    }
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
