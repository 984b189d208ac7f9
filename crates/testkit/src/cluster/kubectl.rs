//! kubectl, as the administrator has it.

use super::ApiServer;
use crate::StartError;
use crate::tools::{Tool, ensure_async};
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// What errors name.
const NAME: &str = "kubectl";

impl ApiServer {
    /// Runs kubectl with these arguments; gives what it printed.
    ///
    /// # Errors
    /// It can not be had or run, or ends with another exit code than 0: with what it printed.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, StartError> {
        let program = ensure_async(Tool::Kubectl).await?;
        self.run(Command::new(program).args(arguments), &arguments.join(" ")).await
    }

    /// Runs command lines in bash that a document or a program prints, and that may name kubectl; gives what they printed.
    ///
    /// # Errors
    /// kubectl or bash can not be had, or one of the commands ends with another exit code than 0: with what they printed.
    pub async fn as_printed(&self, printed: &str) -> Result<String, StartError> {
        let program = ensure_async(Tool::Kubectl).await?;
        let folder = program.parent().unwrap_or_else(|| Path::new("")).display();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        self.run(bash.args(["-o", "pipefail", "-ec", printed]).env("PATH", path), printed).await
    }

    /// With a home where nobody else's configuration is.
    async fn run(&self, command: &mut Command, what: &str) -> Result<String, StartError> {
        let home =
            TempDir::with_prefix("gatecert-kubectl-").map_err(|source| StartError::set_up(NAME, source))?;
        command.env("HOME", home.path()).env("KUBECONFIG", self.kubeconfig_file()?);
        let output = command.output().await.map_err(|source| StartError::set_up(NAME, source))?;
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        match output.status.success() {
            true => Ok(out),
            false => Err(StartError::request(NAME, format!("{what}: {out}{err}"))),
        }
    }
}
