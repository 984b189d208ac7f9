//! The guides: their blocks of Rust, one behind the other, are an example that is built and run.

use crate::cargo::workspace;
use anyhow::{Context as _, Result};
use std::fs;

/// All guides, by their paths in the workspace.
pub(crate) const ALL: [&str; 3] =
    ["docs/guides/acme.md", "docs/guides/http01-axum.md", "docs/guides/render-gitops.md"];

/// What names the example of a guide; no reader sees it.
const EXAMPLE: &str = "<!-- example: ";

/// The text of a guide with its blocks as the example is now.
pub(crate) fn renewed(name: &str) -> Result<String> {
    let guide = read(name)?;
    let path = guide.split(EXAMPLE).nth(1).and_then(|rest| rest.split(" -->").next());
    let example = read(path.context("a guide without example")?)?;
    with_blocks_of(&guide, &example).with_context(|| name.to_owned())
}

/// The blocks of a guide in this language.
pub(crate) fn blocks(name: &str, language: &str) -> Result<Vec<String>> {
    let guide = read(name)?;
    let begin = format!("\n```{language}\n");
    let blocks = guide.split(&begin).skip(1).filter_map(|part| part.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

/// What a guide tells the reader to run: packages, and the examples of them.
pub(crate) fn programs(name: &str) -> Result<Vec<(String, String)>> {
    let blocks = blocks(name, "console")?;
    let programs = blocks.iter().flat_map(|block| block.lines()).map(|line| {
        let program = line.strip_prefix("$ ").and_then(program);
        program.with_context(|| format!("`{line}` is not `$ cargo run -p PACKAGE --example NAME -- …`"))
    });
    programs.collect::<Result<Vec<_>>>().with_context(|| name.to_owned())
}

/// What a command runs that runs an example, and of which package.
pub(crate) fn program(command: &str) -> Option<(String, String)> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["cargo", "run", "-p", package, "--example", example, "--", ..] => {
            Some(((*package).to_owned(), (*example).to_owned()))
        }
        _ => None,
    }
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(workspace().join(name)).with_context(|| format!("{name} can not be read"))
}

/// A block begins where the example has its first line and ends where the next one begins, so that all of the example is
/// in the guide.
fn with_blocks_of(guide: &str, example: &str) -> Result<String> {
    let (head, rest) = guide.split_once("\n```rust\n").context("there is no block of Rust")?;
    let parts: Vec<(&str, &str)> = rest
        .split("\n```rust\n")
        .map(|part| part.split_once("```").context("a block has no end"))
        .collect::<Result<_>>()?;
    let mut begins = vec![0];
    for (block, _) in &parts[1..] {
        let first = block.lines().next().unwrap_or_default();
        let so_far = begins.last().copied().unwrap_or_default();
        let found = example[so_far..].find(&format!("\n\n{first}\n"));
        let found = found.with_context(|| {
            format!(
                "a block begins with `{first}`, and behind the block before it no part of the example does"
            )
        })?;
        begins.push(so_far + found + 2);
    }
    let mut text = head.to_owned();
    for (index, (_, after)) in parts.iter().enumerate() {
        let end = begins.get(index + 1).copied().unwrap_or(example.len());
        let code = example[begins[index]..end].trim_end();
        text += &format!("\n```rust\n{code}\n```{after}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "# G\n\n```rust\nold\n```\nwords\n\n```rust\nfn b() {\n    old\n```\nend\n";

    #[test]
    fn blocks_are_the_whole_example() {
        let example = "//! E\n\nfn a() {}\n\nfn b() {\n    new\n}\n";
        let renewed = with_blocks_of(GUIDE, example).unwrap();
        assert_eq!(
            renewed,
            "# G\n\n```rust\n//! E\n\nfn a() {}\n```\nwords\n\n```rust\nfn b() {\n    new\n}\n```\nend\n"
        );
        assert_eq!(with_blocks_of(&renewed, example).unwrap(), renewed);
    }

    #[test]
    fn a_command_runs_an_example() {
        let found = program("cargo run -p gatecert-acme --example issue -- URL").unwrap();
        assert_eq!(found, ("gatecert-acme".to_owned(), "issue".to_owned()));
        for line in
            ["", "cargo run --example issue", "gatecert issue -- x", "$ cargo run -p a --example b --"]
        {
            assert_eq!(program(line), None, "{line}");
        }
    }

    #[test]
    fn a_block_that_the_example_does_not_have_is_an_error() {
        let error = with_blocks_of(GUIDE, "//! E\n\nfn c() {\n}\n").unwrap_err();
        assert!(error.to_string().contains("`fn b() {`"), "{error}");
    }
}
