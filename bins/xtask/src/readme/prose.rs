//! Commands in the middle of a sentence, which readers copy too.

use super::excused::is_excused;
use super::page::{Command, Inline, Page};
use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use clap::error::ErrorKind;

/// Programs whose commands have names too, and words for options: with two words behind its name it is a command.
const PROGRAMS: [&str; 6] = ["dig", "docker", "helm", "kubectl", "sudo", "systemctl"];

/// Programs whose commands have names, such as `gatecert issue`: with an option it is a command.
const WITH_NAMES: [&str; 2] = ["cargo", "gatecert"];

/// What the reader has to put something else for.
const PLACEHOLDERS: [&str; 6] = ["DIR", "FILE", "HOST", "N", "NAME", "NAMESPACE"];

/// The commands that this program reads.
const TASK: &str = "cargo xtask ";

/// Each is printed in a block too, and so tried or excused there; or it is a task that there is, or an example that is run; or
/// it is excused by itself.
pub(crate) fn all_is_tried(pages: &[Page]) -> Result<()> {
    let printed = printed(pages)?;
    for page in pages {
        of_programmers(page)?;
        for Inline { line, text } in &page.inlines {
            let is_known = || is_excused(text) || printed.contains(text);
            if let Some(task) = text.strip_prefix(TASK) {
                task_is_read(task).with_context(|| page.place(*line))?;
            } else if is_command(text) && !is_known() && !crate::examples::are_run_by(text) {
                bail!(
                    "{}: nothing tries `{text}`: write it into a block, or excuse it in readme/excused.rs",
                    page.place(*line)
                );
            }
        }
    }
    Ok(())
}

/// Blocks that no scene runs have no commands but those that are run elsewhere.
fn of_programmers(page: &Page) -> Result<()> {
    for block in page.blocks.iter().filter(|block| block.is_console() && block.scene.is_none()) {
        for Command { line, text, .. } in block.all_commands()? {
            if !is_excused(&text) && !crate::examples::are_run_by(&text) {
                bail!("{}: nothing runs `{text}`: excuse it in readme/excused.rs", page.place(line));
            }
        }
    }
    Ok(())
}

/// The commands of all blocks, without the words that stand behind them.
fn printed(pages: &[Page]) -> Result<Vec<String>> {
    let mut printed = Vec::new();
    for block in pages.iter().flat_map(|page| &page.blocks).filter(|block| block.is_console()) {
        for command in block.all_commands()? {
            let text = command.text.split(" #").next().unwrap_or_default();
            printed.push(text.trim_end().to_owned());
        }
    }
    Ok(printed)
}

fn is_command(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [program, rest @ ..] = words.as_slice() else { return false };
    if rest.iter().any(|word| PLACEHOLDERS.contains(word)) {
        return false;
    }
    let has_option = rest.iter().any(|word| word.starts_with('-'));
    let is_named = WITH_NAMES.contains(program) && has_option;
    is_named || PROGRAMS.contains(program) && rest.len() > 1
}

/// Whether this program takes it, any word for a placeholder. The name of a group of tasks stands for all of them.
fn task_is_read(text: &str) -> Result<()> {
    let words = text.split_whitespace().map(|word| if PLACEHOLDERS.contains(&word) { "1" } else { word });
    let of_group = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    match crate::Arguments::try_parse_from(["cargo xtask"].into_iter().chain(words)) {
        Err(error) if !of_group.contains(&error.kind()) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> [Page; 1] {
        [Page::parse("page.md", text).unwrap()]
    }

    #[test]
    fn the_documents_try_what_they_print() {
        let pages = crate::readme::page::all().unwrap();
        assert!(pages.iter().any(|page| page.inlines.iter().any(|inline| is_command(&inline.text))));
        all_is_tried(&pages).unwrap();
    }

    #[test]
    fn a_command_is_told_from_a_name() {
        for text in ["kubectl get pods", "gatecert status -A", "cargo test --benches", "sudo rm x"] {
            assert!(is_command(text), "{text}");
        }
        for text in [
            "gatecert account show",
            "kubectl patch",
            "--out DIR",
            "kubectl get -n NAMESPACE",
            "cargo deny",
            "",
        ] {
            assert!(!is_command(text), "{text}");
        }
    }

    #[test]
    fn what_no_block_prints_is_told() {
        let error = all_is_tried(&page("words\nand `gatecert status -A`\n")).unwrap_err();
        assert!(error.to_string().starts_with("page.md:2: nothing tries `gatecert status -A`"), "{error}");
        let block = "```console\n$ gatecert status -A    # all of them\n```\n";
        all_is_tried(&page(&format!("`gatecert status -A`\n\n{block}"))).unwrap();
    }

    #[test]
    fn what_no_scene_runs_is_told() {
        let of = |command: &str| {
            let text = format!("```console\n$ {command}\n```\n");
            all_is_tried(&[Page::parse_compiled("page.md", &text).unwrap()])
        };
        of("cargo run -p gatecert-acme --example issue -- URL").unwrap();
        let error = of("cargo add gatecert-acme").unwrap_err();
        assert!(
            error.to_string().starts_with("page.md:2: nothing runs `cargo add gatecert-acme`"),
            "{error}"
        );
    }

    #[test]
    fn a_task_is_one_that_there_is() {
        for text in
            ["bench", "bench peers", "bench micro [NAME]", "soak --minutes N", "demo --plain-envoy --once"]
        {
            task_is_read(text).unwrap();
        }
        for text in ["bench perrs", "soak --minuets N", "demo --picture"] {
            task_is_read(text).unwrap_err();
        }
        all_is_tried(&page("`cargo xtask bench perrs`\n")).unwrap_err();
    }
}
