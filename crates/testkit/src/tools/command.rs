//! Runs the steps that fetch and build.

use super::{Tool, ToolError};
use std::io;
use std::process::{Command, Stdio};

/// How much of a failed step's output is shown, in lines.
const OUTPUT_LINES: usize = 25;

/// What a step says when something of the machine is missing that is no program, and its name.
const SAID_WHEN_MISSING: [(&str, &str); 3] = [
    ("No module named pip", "pip"),
    ("Unable to locate package", "a list of Debian's packages"),
    ("are you root?", "root"),
];

/// Runs a step to its end, and says which; its output is shown where it fails.
#[allow(clippy::print_stderr, reason = "tells a developer what takes long")]
pub(super) fn run(tool: Tool, command: &mut Command) -> Result<String, ToolError> {
    let text = format!("{command:?}");
    eprintln!("  {text}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(tool, &command.get_program().to_string_lossy()),
        _ => ToolError::Step { tool, command: text.clone(), what: error.to_string(), output: String::new() },
    })?;
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Ok(stdout);
    }
    let all: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
    let output_end = all[all.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    if let Some((_, name)) = SAID_WHEN_MISSING.iter().find(|(said, _)| stderr.contains(said)) {
        return Err(missing(tool, name));
    }
    Err(ToolError::Step {
        tool,
        command: text,
        what: format!("ended with {}", output.status),
        output: output_end,
    })
}

fn missing(tool: Tool, name: &str) -> ToolError {
    ToolError::Missing { program: name.to_owned(), tool, hint: hint(name) }
}

fn hint(name: &str) -> &'static str {
    match name {
        "python3" => "install Python 3 (Debian: apt-get install python3 python3-pip)",
        "pip" => "install it (Debian: apt-get install python3-pip; elsewhere: python3 -m ensurepip)",
        "a list of Debian's packages" => "fetch it (apt-get update)",
        "root" => "install the package as root (sudo apt-get install), or put the program on PATH",
        "apt-get" | "dpkg-deb" => "it is Debian's; on other systems put the program on PATH yourself",
        _ => "install it and try again",
    }
}
