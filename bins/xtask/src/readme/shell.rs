//! Commands, as somebody would type them.

use super::page::Command;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How long a command may take: what a document shows ends before this, or it hangs.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The option of commands that go on until Ctrl-C, and the exit code of those.
const GOES_ON: &str = " --watch";
const STOPPED: i32 = 130;

/// Where commands are typed, and what they find there.
#[derive(Debug)]
pub(crate) struct Shell {
    folder: PathBuf,
    variables: BTreeMap<String, OsString>,
    /// Whether there is nothing else of this process's environment.
    is_bare: bool,
}

impl Shell {
    /// In this folder, with all that this process's environment has.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let path = std::env::var_os("PATH").context("PATH is not set")?;
        let variables = [("PATH".to_owned(), path)].into();
        Ok(Self { folder: folder.to_owned(), variables, is_bare: false })
    }

    /// With the programs of this process's environment alone.
    pub(crate) fn bare(folder: &Path) -> Result<Self> {
        Ok(Self { is_bare: true, ..Self::new(folder)? })
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Programs of this folder are found before others.
    pub(crate) fn put_first(&mut self, folder: &Path) {
        let mut path = folder.as_os_str().to_owned();
        if let Some(rest) = self.variables.get("PATH") {
            path.push(":");
            path.push(rest);
        }
        self.set("PATH", path);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command exactly as it is printed. It has to succeed, and to print the lines that stand below it.
    pub(crate) async fn run(&self, command: &Command) -> Result<()> {
        eprintln!("$ {}", command.text);
        let goes_on = command.text.contains(GOES_ON);
        let ended = tokio::time::timeout(PATIENCE, async {
            match goes_on {
                true => self.until_interrupted(&command.text).await,
                false => Ok(self.bash(&command.text).output().await?),
            }
        });
        let output = ended.await.with_context(|| format!("`{}` does not end", command.text))??;
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        eprint!("{out}{err}");
        let is_stopped = goes_on && output.status.code() == Some(STOPPED);
        ensure!(output.status.success() || is_stopped, "`{}` ended with {}", command.text, output.status);
        for line in &command.output {
            if !out.lines().chain(err.lines()).any(|printed| printed == line) {
                bail!("`{}` did not print `{line}`", command.text);
            }
        }
        Ok(())
    }

    /// Ctrl-C, as soon as it has shown something.
    async fn until_interrupted(&self, text: &str) -> Result<Output> {
        let mut child = self.bash(text).process_group(0).spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("no output")?);
        let mut shown = String::new();
        out.read_line(&mut shown).await?;
        ensure!(!shown.is_empty(), "`{text}` ended and showed nothing");
        let group = child.id().context("it has ended")?;
        let kill = ["-INT".to_owned(), "--".to_owned(), format!("-{group}")];
        ensure!(tokio::process::Command::new("kill").args(kill).status().await?.success(), "no Ctrl-C");
        let mut output = child.wait_with_output().await?;
        output.stdout = shown.into_bytes();
        Ok(output)
    }

    fn bash(&self, text: &str) -> tokio::process::Command {
        let mut bash = tokio::process::Command::new("env");
        if self.is_bare {
            bash.env_clear();
        }
        // What runs in the background ignores Ctrl-C, and all that it starts. A command before a pipe may fail as little as the
        // last one.
        bash.args(["--default-signal=INT", "bash", "-euo", "pipefail", "-c", text])
            .current_dir(&self.folder)
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        bash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str, output: &[&str]) -> Command {
        Command {
            line: 1,
            text: text.to_owned(),
            output: output.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn what_fails_or_prints_something_else_is_told() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut shell = Shell::bare(folder.path()).unwrap();
        shell.set("NAME", "value");
        shell.run(&command("cat <<EOF\n$NAME\nEOF", &["value"])).await.unwrap();
        shell.run(&command("pwd", &[&folder.path().display().to_string()])).await.unwrap();
        for (text, output) in
            [("false | cat", &[][..]), ("echo $CARGO_MANIFEST_DIR", &[]), ("echo valued", &["value"])]
        {
            shell.run(&command(text, output)).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn what_goes_on_is_interrupted() {
        let folder = tempfile::TempDir::new().unwrap();
        let shell = Shell::new(folder.path()).unwrap();
        let text = "trap 'exit 130' INT; echo shown; while true; do sleep 0.01; done # --watch";
        shell.run(&command(text, &["shown"])).await.unwrap();
    }
}
