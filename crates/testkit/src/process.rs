//! A server's process, which never outlives the one that started it.

use crate::StartError;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
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

/// How often a start is tried again when a port was taken in the meantime.
const STARTS: usize = 5;

/// Runs the program beside a reader of a pipe: when that closes, for whatever reason (`kill -9` of the test among
/// them), the program is killed. `PR_SET_PDEATHSIG` would do it at the end of the starting *thread*. The reader ends
/// with the program, so that it never kills another one that got its number.
const WATCHED: &str = r#"
exec 3<&0
"$@" 3<&- & server=$!
echo $server > pid
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
    ///
    /// # Errors
    /// The directory can not be written, or there is no `sh`. A program that is not there ends at once.
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
            // Ctrl-C at the terminal reaches the test or demo alone, which then ends its servers in order.
            .process_group(0)
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
    pub async fn wait_ready<F>(&mut self, is_ready: impl Fn() -> F) -> Result<(), StartError>
    where
        F: Future<Output = bool>,
    {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_ready().await {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Some(status);
                }
                tokio::time::sleep(INTERVAL).await;
            }
            None
        });
        match waited.await {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.not_ready(format!("ended with {status}"))),
            Err(_) => Err(self.not_ready(format!("is not ready after {PATIENCE:?}"))),
        }
    }

    /// The number of the server's process.
    ///
    /// # Errors
    /// It has not begun.
    pub fn id(&self) -> Result<i32, StartError> {
        let failed = |source: std::io::Error| StartError::set_up(self.name, source);
        let id = fs::read_to_string(self.directory().join("pid")).map_err(failed)?;
        id.trim().parse().map_err(|source| StartError::set_up(self.name, format!("{id}: {source}")))
    }

    /// Sends the server a signal, by its name without `SIG`: `KILL`, `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// The server is not there any more.
    pub fn signal(&self, signal: &str) -> Result<(), StartError> {
        let failed = |source: std::io::Error| StartError::set_up(self.name, source);
        let id = self.id()?.to_string();
        let sent = Command::new("kill").args([format!("-{signal}"), id]).status().map_err(failed)?;
        if !sent.success() {
            return Err(failed(std::io::Error::other(format!("signal {signal} was not taken: {sent}"))));
        }
        Ok(())
    }

    /// Waits until the server has ended by itself or by a signal, and gives its exit code: 128 and more is a signal.
    ///
    /// # Errors
    /// It has not ended within a minute.
    pub async fn ended(&mut self) -> Result<i32, StartError> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return status.code().unwrap_or(-1);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        let ended = waited.await;
        ended.map_err(|_| self.not_ready(format!("has not ended after {PATIENCE:?}")))
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
        StartError::NotReady { name: self.name, what, log: self.keep(), log_tail: self.log_tail() }
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
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
    #[allow(
        clippy::print_stderr,
        reason = "a test that fails shows what its servers said, with no subscriber"
    )]
    fn drop(&mut self) {
        let is_kept = self.directory.is_some() && std::thread::panicking();
        // Before the server is killed, which the shell adds to the log.
        let log_tail = if is_kept { self.log_tail() } else { String::new() };
        drop(self.pipe.take());
        // What a wait can fail with, another wait would too.
        let _ended = self.child.wait();
        if is_kept {
            let log = self.keep();
            eprintln!("the log of {} is {}, and ends with:\n{log_tail}", self.name, log.display());
        }
    }
}

/// Starts a server on other ports when one that was free is taken by the time the server binds it.
pub(crate) async fn on_free_ports<T, F>(start: impl Fn() -> F) -> Result<T, StartError>
where
    F: Future<Output = Result<T, StartError>>,
{
    for _ in 1..STARTS {
        match start().await {
            Err(StartError::NotReady { log_tail, log, .. }) if log_tail.contains("already in use") => {
                // The next start has a log of its own, and this one says nothing else.
                let _removed = log.parent().map(fs::remove_dir_all);
            }
            other => return other,
        }
    }
    start().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::future::ready;

    /// A start that fails like a server whose port was taken.
    fn taken(log_tail: &str) -> (PathBuf, Result<(), StartError>) {
        let directory = TempDir::new().unwrap().keep();
        let log = directory.join("log");
        let what = "ended".to_owned();
        (directory, Err(StartError::NotReady { name: "server", what, log, log_tail: log_tail.to_owned() }))
    }

    #[tokio::test]
    async fn a_taken_port_is_no_failure() {
        let starts = RefCell::new(Vec::new());
        let start = || {
            let (directory, failure) = taken("bind: Address already in use");
            starts.borrow_mut().push(directory);
            ready(if starts.borrow().len() < 3 { failure } else { Ok(()) })
        };
        on_free_ports(start).await.unwrap();
        let starts = starts.into_inner();
        assert_eq!(
            starts.iter().map(|directory| directory.exists()).collect::<Vec<_>>(),
            [false, false, true]
        );
        fs::remove_dir_all(&starts[2]).unwrap();
    }

    #[tokio::test]
    async fn another_failure_is_told_at_once_with_its_log() {
        let starts = RefCell::new(Vec::new());
        let start = || {
            let (directory, failure) = taken("no such file");
            starts.borrow_mut().push(directory);
            ready(failure)
        };
        on_free_ports(start).await.unwrap_err();
        let starts = starts.into_inner();
        assert!(starts.len() == 1 && starts[0].exists());
        fs::remove_dir_all(&starts[0]).unwrap();
    }
}
