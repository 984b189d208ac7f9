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

/// How far away a time is, in its largest unit.
pub(super) fn distance(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().unsigned_abs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time as seen from now.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = distance(now, time);
    if time < now { format!("{distance} ago") } else { format!("in {distance}") }
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
    fn times_are_told_in_their_largest_unit() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        for (seconds, said) in [
            (59, "in 59 s"),
            (-90, "1 min ago"),
            (7199, "in 119 min"),
            (7200, "in 2 h"),
            (-172_799, "47 h ago"),
            (172_800, "in 2 d"),
        ] {
            assert_eq!(relative(at(seconds), now), said);
        }
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("ab..".to_owned(), "abcd".to_owned()));
    }
}
