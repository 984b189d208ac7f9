//! A server's process, which never outlives the one that started it.

use crate::StartError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(20);

/// How much of the log an error shows, in lines.
const LOG_LINES: usize = 20;

/// Runs the program beside a reader of a pipe: when that closes, for whatever reason (`kill -9` of the test among
/// them), the program is killed. `PR_SET_PDEATHSIG` would do it at the end of the starting *thread*. The reader ends
/// with the program, so that it never kills another one that got its number.
const WATCHED: &str = r#"
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -KILL $server; } 2>/dev/null & reader=$!
wait $server; status=$?
kill -KILL $reader 2>/dev/null
exit $status"#;

/// A running server. Dropping it kills the server; the directory with its files goes too, unless the thread panics.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    pipe: Option<ChildStdin>,
    directory: Option<TempDir>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with these arguments and variables, in `directory`, which it then owns.
    pub fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
        directory: TempDir,
    ) -> Result<Self, StartError> {
        let log = directory.path().join(format!("{name}.log"));
        let output = File::create(&log).map_err(|source| StartError::set_up(name, source))?;
        let errors = output.try_clone().map_err(|source| StartError::set_up(name, source))?;
        let mut child = Command::new("sh")
            .args(["-c", WATCHED, name])
            .arg(program)
            .args(arguments)
            .envs(variables.iter().map(|(key, value)| (key, value)))
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| StartError::set_up(name, source))?;
        let pipe = child.stdin.take();
        Ok(Self { name, child, pipe, directory: Some(directory), log })
    }

    /// Waits until `is_ready` says so.
    ///
    /// # Errors
    /// A process that ends, or is not ready within a minute.
    pub async fn wait_ready(&mut self, is_ready: impl AsyncFn() -> bool) -> Result<(), StartError> {
        for _ in 0..PATIENCE.as_millis() / INTERVAL.as_millis() {
            if is_ready().await {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Err(self.not_ready(format!("is not ready after {PATIENCE:?}")))
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The directory that it runs in.
    pub fn directory(&self) -> &Path {
        self.log.parent().unwrap_or_else(|| Path::new("."))
    }

    fn not_ready(&mut self, what: String) -> StartError {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let log_tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        StartError::NotReady { name: self.name, what, log: self.keep(), log_tail }
    }

    /// Keeps the directory beyond the drop, and gives the log in it.
    fn keep(&mut self) -> PathBuf {
        if let Some(directory) = self.directory.take() {
            let _kept: PathBuf = directory.keep();
        }
        self.log.clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let ended: io::Result<_> = self.child.wait();
        if std::thread::panicking() {
            let log = self.keep();
            tracing::error!(name = self.name, ?ended, log = %log.display(), "a test failed; the server's log is kept");
        }
    }
}
