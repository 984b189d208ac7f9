//! `cargo xtask readme`: what README.md and docs/ print is what works. Commands run as they are printed, manifests are applied,
//! and Envoy loads what is for Envoy. In all documents, links lead somewhere, and a command in a sentence is tried as well.

mod cluster;
mod excused;
mod machine;
mod page;
mod place;
mod prose;
mod shell;

use crate::cargo::{gatecert, target};
use anyhow::{Context as _, Result, bail};
use excused::EXCUSED;
use gatecert_testkit::cluster::Network;
use page::{Page, Scene};
use shell::Shell;
use std::process::Command;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask readme
  cargo xtask readme --scene cluster    only what runs in a cluster

A block of a document says behind its language where it belongs: `console cluster`, `yaml machine`. Without
a word it runs on this machine as it is; `fresh` is the cluster once gatecert was uninstalled. A command in a sentence stands in a block as well. What can not be
run stands in bins/xtask/src/readme/excused.rs, with the reason.")]
pub(crate) struct Arguments {
    /// Only this scene.
    #[arg(long)]
    scene: Option<Scene>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pages = page::all()?;
    all_excuses_are_needed(&pages)?;
    prose::all_is_tried(&pages)?;
    match arguments.scene {
        None => all(&pages),
        Some(Scene::Host) => on_this_machine(&pages),
        Some(Scene::Cluster | Scene::Fresh) => {
            let programs = [gatecert(false)?, crate::cargo::controller(false)?];
            let network = Network::enter()?;
            block_on(cluster::run(network, programs, &pages))
        }
        Some(Scene::Machine) => {
            let program = gatecert(false)?;
            let network = Network::enter()?;
            block_on(machine::run(network, &program, &pages))
        }
    }
}

fn all(pages: &[Page]) -> Result<()> {
    crate::tools::for_tests()?;
    on_this_machine(pages)?;
    // Each goes into a network of its own, and stays there.
    for scene in ["cluster", "machine"] {
        let own = std::env::current_exe().context("the path of this program")?;
        let status = Command::new(own).args(["readme", "--scene", scene]).status()?;
        if !status.success() {
            bail!("the scene `{scene}` of the documents failed");
        }
    }
    println!("every example of README.md and docs/ works");
    Ok(())
}

fn block_on(scene: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(scene)
}

/// What is printed for this machine itself: how the program is installed.
fn on_this_machine(pages: &[Page]) -> Result<()> {
    let folder = tempfile::TempDir::with_prefix_in("readme-", target()?)?;
    let mut shell = Shell::new(crate::cargo::workspace())?;
    // Where it replaces nothing that somebody has installed, and leaves no gigabyte behind; without the minutes that
    // optimising takes.
    shell.set("CARGO_INSTALL_ROOT", folder.path());
    shell.set("CARGO_TARGET_DIR", folder.path().join("target"));
    for (name, value) in [("OPT_LEVEL", "0"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
        shell.set(&format!("CARGO_PROFILE_RELEASE_{name}"), value);
    }
    shell.put_first(&folder.path().join("bin"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for page in pages {
        for block in page.blocks_of(Scene::Host) {
            for command in block.commands()? {
                runtime.block_on(shell.run(&command)).with_context(|| page.place(command.line))?;
            }
        }
    }
    Ok(())
}

/// An excuse for what is not printed any more would hide the next one of its name.
fn all_excuses_are_needed(pages: &[Page]) -> Result<()> {
    let inlines = pages.iter().flat_map(|page| &page.inlines);
    let mut printed: Vec<String> = inlines.map(|inline| inline.text.clone()).collect();
    for block in pages.iter().flat_map(|page| &page.blocks) {
        match block.is_console() {
            true => printed.extend(block.all_commands()?.into_iter().map(|command| command.text)),
            false => printed.extend(block.text.lines().next().map(str::to_owned)),
        }
    }
    for (text, _) in EXCUSED {
        if !printed.iter().any(|printed| printed == text) {
            bail!("readme/excused.rs excuses `{text}`, which no document prints");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_excuse_is_left_over() {
        all_excuses_are_needed(&page::all().unwrap()).unwrap();
    }
}
