//! What is wrong with a configuration: the line, what, and the word that was probably meant.

use crate::error::Failure;
use std::ops::Range;
use std::path::Path;

/// How alike two words have to be to be taken for one, from 0 to 1: `srver` and `server` are at 0.96, `mail` and `email` at 0.93.
const ALIKE: f64 = 0.8;

/// A mistake in this text, which is that of the file.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Place<'_> {
    /// What toml found.
    pub(super) fn of_toml(&self, error: &toml::de::Error) -> Failure {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let failure = self.at(error.span(), &message);
        match meant(&message) {
            Some(word) => failure.hint(format!("did you mean `{word}`?")),
            None => failure,
        }
    }

    /// What is wrong with the part of the text that is at `span`.
    pub(super) fn at(&self, span: Option<Range<usize>>, message: &str) -> Failure {
        let path = self.path.display();
        Failure::usage(match span {
            Some(span) => format!("`{path}`, line {}: {message}", self.line(span.start)),
            None => format!("`{path}`: {message}"),
        })
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

/// serde says `unknown field X, expected one of A, B`, each in backticks.
fn meant(message: &str) -> Option<&str> {
    let words = message.strip_prefix("unknown field `")?;
    let mut words = words.split('`').step_by(2);
    let unknown = words.next()?;
    closest(unknown, words)
}

/// The word that is most like this one, if any is like it.
pub(super) fn closest<'a>(word: &str, others: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = others.into_iter().map(|other| (strsim::jaro_winkler(word, other), other));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let message = "unknown field `srver`, expected one of `server`, `email`, `ca-file`";
        assert_eq!(meant(message), Some("server"));
        assert_eq!(meant("unknown field `certs`, expected `certificates`"), Some("certificates"));
        assert_eq!(meant("unknown field `colour`, expected `server` or `email`"), None);
        assert_eq!(meant("missing field `store`"), None);
    }

    #[test]
    fn lines_are_counted() {
        let place = Place { path: Path::new("x"), text: "a\nb\nc" };
        let line = |offset| place.at(Some(offset..offset), "wrong").message;
        assert_eq!([line(0), line(2), line(4)], [1, 2, 3].map(|line| format!("`x`, line {line}: wrong")));
        assert_eq!(line(100), "`x`, line 3: wrong");
    }
}
