//! The program as a service, with its configuration and its log.

use crate::setting::Setting;
use gatecert_testkit::{Process, free_port};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How often something is looked at before it counts as not coming, 20 ms apart.
pub(super) const LOOKS: usize = 3000;

/// A service, its configuration, and where it listens.
pub(super) struct Service {
    pub(super) setting: Setting,
    pub(super) responder: u16,
    health: u16,
    /// More of the configuration.
    pub(super) more: String,
    process: Option<Process>,
}

impl Service {
    /// Not started yet. Its responder is where Pebble asks, or behind an Envoy.
    pub(super) fn new(setting: Setting, responder: u16) -> Self {
        Self { setting, responder, health: free_port(), more: String::new(), process: None }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.setting.path("gatecert.toml")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.setting.path("sds.sock")
    }

    /// Where systemd is told, if it listens.
    pub(super) fn notified(&self) -> PathBuf {
        self.setting.path("notify.sock")
    }

    /// Replaces the configuration as editors do. `certificates` is the part of it that changes.
    pub(super) fn write(&self, certificates: &str) {
        let [_, server, _, ca_file] = self.setting.authority();
        let text = format!(
            "store = \"out\"\n\
             http01 = {{listen = \"127.0.0.1:{}\"}}\n\
             sds.unix = {{path = \"sds.sock\", mode = \"0600\"}}\n\
             health = {{listen = \"127.0.0.1:{}\"}}\n\
             issuers.pebble = {{server = \"{server}\", ca-file = \"{ca_file}\"}}\n\
             {}\n\
             {certificates}\n",
            self.responder, self.health, self.more
        );
        self.write_whole(&text);
    }

    pub(super) fn write_whole(&self, text: &str) {
        let new = self.setting.path("gatecert.toml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    pub(super) fn start(&mut self) {
        let config = self.config().display().to_string();
        let notified = self.notified().display().to_string();
        let variables = [("GATECERT_LOG", "trace".to_owned()), ("NOTIFY_SOCKET", notified)];
        let program = Path::new(env!("CARGO_BIN_EXE_gatecert"));
        let arguments = ["serve", "--config", &config];
        let folder = TempDir::new().unwrap();
        self.process = Some(Process::start("gatecert", program, &arguments, &variables, folder).unwrap());
    }

    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    pub(super) fn log(&self) -> String {
        self.process.as_ref().unwrap().log()
    }

    /// How many lines of the log have this part.
    pub(super) fn logged(&self, part: &str) -> usize {
        self.log().lines().filter(|line| line.contains(part)).count()
    }

    pub(super) async fn until_logged(&self, part: &str, times: usize) {
        for _ in 0..LOOKS {
            if self.logged(part) >= times {
                return;
            }
            pause().await;
        }
        panic!("`{part}` is not logged {times} times:\n{}", self.told());
    }

    /// The log without what is traced.
    pub(super) fn told(&self) -> String {
        let is_told = |line: &&str| [" INFO ", " WARN ", " ERROR "].iter().any(|level| line.contains(level));
        self.log().lines().filter(is_told).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    pub(super) async fn until_published(&self, name: &str) {
        for _ in 0..LOOKS {
            if self.setting.out().join(name).join("current").exists() {
                return;
            }
            pause().await;
        }
        panic!("{name} is not published:\n{}", self.told());
    }

    /// No line of a private key, and none of the account's, is in the log.
    pub(super) fn assert_log_has_no_key(&self) {
        let log = self.log();
        let keys = ["www.example.com/tls.key", "b.test/tls.key"].map(|key| self.setting.out().join(key));
        let (account, _) = self.setting.stored_account();
        let mut pieces = 0;
        for file in keys.iter().chain([&account]).filter(|file| file.exists()) {
            let text = fs::read_to_string(file).unwrap().replace("\\n", "\n");
            for line in text.lines().filter(|line| line.len() > 40 && !line.contains("http")) {
                assert!(!log.contains(line), "a piece of {} is in the log", file.display());
                pieces += 1;
            }
        }
        assert!(pieces >= 3, "{pieces} pieces were looked for");
    }
}

pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

pub(super) fn certificate(names: &str, key_type: &str) -> String {
    format!("[[certificates]]\nnames = [\"{names}\"]\nkey-type = \"{key_type}\"\n")
}
