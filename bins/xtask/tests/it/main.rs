//! What the tasks print, and where; the chart that one of them writes; and the script that a guide prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod argo_cd;
mod chart;

use std::process::Command;

/// Standard output is what another program reads.
#[test]
fn command_lines_go_to_standard_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["codegen", "--check"]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (results, messages) = (text(output.stdout), text(output.stderr));
    assert!(messages.contains("$ cargo build"), "{messages}");
    // Whether the files are up to date is for `cargo xtask lint` to judge.
    assert!(results.lines().all(|line| line.ends_with(" is up to date")), "{results}");
}
