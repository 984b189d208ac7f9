//! `cargo xtask tools`

use anyhow::{Result, bail};
use gatecert_testkit::cluster;
use gatecert_testkit::tools::{self, Tool};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask tools                   what `cargo xtask test` needs
  cargo xtask tools --list            what there is, and where
  cargo xtask tools kube-apiserver etcd
  cargo xtask tools --all             takes about 25 minutes on two cores")]
pub(crate) struct Arguments {
    /// The tools to get; without any, those that `cargo xtask test` needs.
    names: Vec<String>,
    /// Gets all of them.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Gets none, and says which are there.
    #[arg(long)]
    list: bool,
}

/// What the tests and the demo need.
fn tested_with() -> impl Iterator<Item = Tool> {
    cluster::TOOLS.into_iter().chain([Tool::Kubectl, Tool::Helm, Tool::Promtool, Tool::Chromium])
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        return list();
    }
    let wanted = if arguments.all { Tool::ALL.to_vec() } else { named(&arguments.names)? };
    for tool in wanted {
        println!("{tool} {}: {}", tool.version(), tools::ensure(tool)?.display());
    }
    Ok(())
}

/// Gets what the tests need.
pub(crate) fn for_tests() -> Result<()> {
    for tool in tested_with() {
        tools::ensure(tool)?;
    }
    Ok(())
}

fn named(names: &[String]) -> Result<Vec<Tool>> {
    if names.is_empty() {
        return Ok(tested_with().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<Tool> {
    let Some(tool) = Tool::ALL.into_iter().find(|tool| tool.name() == name) else {
        bail!("there is no tool `{name}`; there are {}", Tool::ALL.map(Tool::name).join(", "));
    };
    Ok(tool)
}

fn list() -> Result<()> {
    for tool in Tool::ALL {
        let place = tools::path(tool)?;
        let place = place
            .map_or_else(|| format!("not there, takes {}", tool.takes()), |path| path.display().to_string());
        println!("{:20} {:36} {place}", tool.name(), tool.version());
    }
    Ok(())
}
