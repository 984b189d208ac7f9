//! As a plugin of kubectl, which finds a program named `kubectl-gatecert` on PATH and runs it for `kubectl gatecert`.

use crate::args::Arguments;
use clap::{CommandFactory as _, FromArgMatches as _};
use std::ffi::OsString;
use std::path::Path;

/// The file that kubectl looks for.
const FILE: &str = "kubectl-gatecert";

/// What a person writes for it.
const COMMAND: &str = "kubectl gatecert";

/// The arguments; what is said of their use names the program as it was called.
pub(crate) fn parse(words: &[OsString]) -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    if words.first().is_some_and(|program| is_plugin(Path::new(program))) {
        command = command.bin_name(COMMAND);
    }
    let mut matches = command.try_get_matches_from_mut(words)?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn is_plugin(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_names_the_program_as_it_was_called() {
        let usage = |program: &str| {
            let words = [program, "status", "--wrong"].map(OsString::from);
            parse(&words).unwrap_err().render().to_string()
        };
        for program in ["kubectl-gatecert", "/usr/local/bin/kubectl-gatecert"] {
            assert!(usage(program).contains("Usage: kubectl gatecert status"), "{}", usage(program));
        }
        assert!(usage("gatecert").contains("Usage: gatecert status"), "{}", usage("gatecert"));
    }
}
