//! Pebble, a directory, and the program run against them.

use gatecert_testkit::{Pebble, PebbleBuilder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct Setting {
    pub pebble: Pebble,
    directory: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl Setting {
    pub async fn new(pebble: PebbleBuilder) -> Self {
        let setting = Self { pebble: pebble.start().await.unwrap(), directory: TempDir::new().unwrap() };
        std::fs::write(setting.ca_file(), setting.pebble.ca_pem()).unwrap();
        setting
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Where Pebble asks.
    pub fn listen(&self) -> String {
        format!("127.0.0.1:{}", self.pebble.http_port())
    }

    /// The program with `--out`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gatecert(arguments);
        command.env("GATECERT_OUT", self.out());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(&mut self.command(arguments))
    }

    /// Options that name the CA.
    pub fn authority(&self) -> [String; 4] {
        [
            "--server".into(),
            self.pebble.directory_url().into(),
            "--ca-file".into(),
            self.ca_file().display().to_string(),
        ]
    }

    /// A command that takes the CA's options.
    pub fn at_ca(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.args(self.authority());
        command
    }

    /// `gatecert issue` with the responder where Pebble asks.
    pub fn issue(&self, arguments: &[&str]) -> Run {
        finish(
            self.at_ca(&[&["issue", "--http01-listen", &self.listen()], arguments].concat())
                .stdin(Stdio::null()),
        )
    }

    /// The only `account.json`, and where it is.
    pub fn stored_account(&self) -> (PathBuf, Value) {
        let folder = std::fs::read_dir(self.out().join("accounts")).unwrap().next().unwrap().unwrap().path();
        let path = folder.join("account.json");
        let value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path, value)
    }

    /// `cert.json` of a certificate.
    pub fn record(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.out().join(name).join("cert.json")).unwrap()).unwrap()
    }

    /// Changes `cert.json` of a certificate.
    pub fn change_record(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.out().join(name).join("cert.json");
        let mut record = self.record(name);
        change(&mut record);
        std::fs::write(path, record.to_string()).unwrap();
    }
}

/// The program, with nothing of the environment that it would take options from.
pub fn gatecert(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatecert"));
    command
        .args(arguments)
        .env_remove("GATECERT_SERVER")
        .env_remove("GATECERT_CA_FILE")
        .env_remove("GATECERT_OUT")
        .env_remove("GATECERT_LOG");
    command
}

pub fn finish(command: &mut Command) -> Run {
    finish_with(command.stdout(Stdio::piped()))
}

/// The same with the standard output that it was given.
pub fn finish_with(command: &mut Command) -> Run {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The mode bits of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
