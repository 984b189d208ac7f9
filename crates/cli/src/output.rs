//! What is printed: results to standard output, everything else to standard error.

use crate::args::Format;
use crate::error::Failure;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Where results and messages go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    /// Whether this runs as a service: what happens goes to the log then.
    is_logged: bool,
}

/// What a failed command gives to programs.
#[derive(Serialize)]
struct Errors<'a> {
    error: &'a Failure,
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet, is_logged: false }
    }

    /// The same for a service: results are printed, what happens is logged.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// Whether progress is drawn (not only written in lines).
    pub(crate) fn is_drawn(&self) -> bool {
        !self.quiet && !self.is_logged && std::io::stderr().is_terminal()
    }

    /// Whether what is as it was goes without a word.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results are for people.
    pub(crate) fn is_text(&self) -> bool {
        self.format != Format::Json
    }

    /// Whether all columns are wanted.
    pub(crate) fn is_wide(&self) -> bool {
        self.format == Format::Wide
    }

    /// A result whose text has colours, each part of which was cleaned; for programs in one line.
    pub(crate) fn painted(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Text | Format::Wide => text(),
            Format::Json => serde_json::to_string(value).unwrap_or_else(|error| error.to_string()) + "\n",
        };
        self.raw(text.as_bytes())
    }

    /// The result of the command: `value` for programs, `text` for people.
    pub(crate) fn result(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Text | Format::Wide => clean(&text()).into_owned(),
            Format::Json => {
                serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string()) + "\n"
            }
        };
        self.raw(text.as_bytes())
    }

    /// Bytes for standard output. A reader that went away has read enough.
    ///
    /// # Errors
    /// What is printed is lost, in whole or in part, as on a disk that is full. Nothing is said where nobody wants it: in front of
    /// a reader that went away, or with standard output closed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = anstream::stdout();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let message = format!("could not write to standard output: {error}");
                Err(Failure { message, ..Failure::local("output", &error) }
                    .hint("what was printed is not whole; what the command did besides stays done"))
            }
            _ => Ok(()),
        }
    }

    /// A line about what happens.
    pub(crate) fn note(&self, line: &str) {
        if self.is_logged {
            tracing::info!("{}", clean(line));
        } else if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}", clean(line));
        }
    }

    /// A line about something that somebody should know, even where progress is not wanted.
    pub(crate) fn warning(&self, line: &str) {
        if self.is_logged {
            return tracing::warn!("{}", clean(line));
        }
        let _ = writeln!(anstream::stderr(), "warning: {}", clean(line));
    }

    /// One certificate of several that failed.
    pub(crate) fn failure_of(&self, name: &str, failure: &Failure) {
        self.explain(&format!("error: {name}: "), failure);
    }

    /// What failed and what to do next, to standard error.
    pub(crate) fn explain(&self, prefix: &str, failure: &Failure) {
        if self.is_logged {
            let hint = failure.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
            let prefix = prefix.trim_start_matches("error: ");
            let line = format!("{prefix}{}{hint}", failure.message).replace('\n', "; ");
            return tracing::error!("{}", clean(&line));
        }
        let mut err = anstream::stderr();
        let _ = writeln!(err, "{prefix}{}", clean(&failure.message));
        for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
            let _ = writeln!(err, "hint: {}", clean(line));
        }
    }

    /// The end of a command that failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.explain("error: ", failure);
        self.failure_for_programs(failure);
    }

    /// The part of it that goes to standard output.
    pub(crate) fn failure_for_programs(&self, failure: &Failure) {
        if self.format == Format::Json {
            // Where nothing can be printed, the exit code says it.
            let _ = self.result(&Errors { error: failure }, String::new);
        }
    }
}

/// Without control characters: a CA, or a file that somebody wrote, must not steer the terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let is_steering = |c: char| c.is_control() && c != '\n';
    match text.contains(is_steering) {
        true => text.replace(is_steering, " ").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\rc\u{9b}d\ne"), "a [2Jb c d\ne");
        assert!(matches!(clean("naïve\n"), Cow::Borrowed(_)));
    }
}
