//! What the terminal can show.

use console::Term;
use jiff::{SignedDuration, Timestamp};
use std::io::IsTerminal as _;

/// The width of what is no terminal.
const WIDTH: usize = 100;

/// Narrower than this nothing is made: a line is broken then by the terminal.
const NARROWEST: usize = 40;

/// How results are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// In columns.
    pub(super) width: usize,
    /// Whether more than ASCII is shown.
    pub(super) has_unicode: bool,
    /// Whether there are colours. Where they are not wanted (NO_COLOR) the stream takes them away.
    pub(super) has_color: bool,
    /// Whether all columns are wanted.
    pub(super) is_wide: bool,
}

impl View {
    /// That of standard output.
    pub(super) fn of_terminal(is_wide: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let size = Term::stdout().size_checked().filter(|_| is_terminal);
        Self {
            width: size.map_or(WIDTH, |(_, columns)| usize::from(columns).max(NARROWEST)),
            has_unicode: is_terminal && supports_unicode::supports_unicode(),
            has_color: is_terminal,
            is_wide,
        }
    }
}

/// A time of day, or a day where that is enough.
pub(super) fn tick(time: Timestamp, span: SignedDuration) -> String {
    let format = if span < SignedDuration::from_hours(72) { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    time.strftime(format).to_string()
}

/// The first characters, and a sign where there are more.
pub(super) fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(2)).collect::<String>() + "..",
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("ab..".to_owned(), "abcd".to_owned()));
    }
}
