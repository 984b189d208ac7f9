//! Runs the steps that fetch and build.

use super::{Tool, ToolError};
use std::io;
use std::process::{Command, Stdio};

/// How much of a failed step's output is shown, in lines.
const OUTPUT_LINES: usize = 25;

/// Runs a step to its end; its output is shown where it fails.
pub(super) fn run(tool: Tool, command: &mut Command) -> Result<String, ToolError> {
    let text = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(tool, command),
        _ => ToolError::Step { tool, command: text.clone(), what: error.to_string(), output: String::new() },
    })?;
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Ok(stdout);
    }
    let all: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
    let output_end = all[all.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    if stderr.contains("No module named pip") {
        return Err(ToolError::Missing { program: "pip".into(), tool, hint: hint("pip") });
    }
    Err(ToolError::Step {
        tool,
        command: text,
        what: format!("ended with {}", output.status),
        output: output_end,
    })
}

fn missing(tool: Tool, command: &Command) -> ToolError {
    let program = command.get_program().to_string_lossy().into_owned();
    let hint = hint(&program);
    ToolError::Missing { program, tool, hint }
}

fn hint(program: &str) -> &'static str {
    match program {
        "python3" => "install Python 3 (Debian: apt-get install python3 python3-pip)",
        "pip" => "install it (Debian: apt-get install python3-pip; elsewhere: python3 -m ensurepip)",
        "apt-get" | "dpkg-deb" => "it is Debian's; on other systems put the program on PATH yourself",
        _ => "install it and try again",
    }
}
