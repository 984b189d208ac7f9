//! Pebble, a directory, and the program run in this process.

use crate::moved_clock::MovedClock;
use gatecert_cli::Exit;
use gatecert_testkit::Pebble;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub struct Setting {
    /// Taken away to have a CA that can not be reached.
    pub pebble: Option<Pebble>,
    pub clock: Arc<MovedClock>,
    directory: TempDir,
    listen: String,
    server: String,
}

impl Setting {
    pub async fn new() -> Self {
        let pebble = Pebble::builder().start().await.unwrap();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("ca.pem"), pebble.ca_pem()).unwrap();
        let listen = format!("127.0.0.1:{}", pebble.http_port());
        let server = pebble.directory_url().to_string();
        Self { pebble: Some(pebble), clock: Arc::default(), directory, listen, server }
    }

    /// With a certificate of `a.test`, whose renewal has just become due.
    pub async fn with_one_due() -> Self {
        let setting = Self::new().await;
        setting.issue("a.test").await;
        let selected = setting.record()["ari"]["selected"].as_str().unwrap().parse().unwrap();
        setting.clock.advance_to(selected);
        setting.clock.advance(jiff::SignedDuration::from_secs(1));
        setting
    }

    pub async fn issue(&self, name: &str) {
        let ca_file = self.directory.path().join("ca.pem").display().to_string();
        let authority = ["--server", &self.server, "--ca-file", &ca_file];
        let issue = ["issue", "-d", name, "--http01-listen", &self.listen];
        assert_eq!(self.run(&[issue.as_slice(), &authority].concat()).await, Exit::Done);
        self.until_listening_has_ended().await;
    }

    /// In a process of its own the program's sockets end with it.
    async fn until_listening_has_ended(&self) {
        while let Err(error) = TcpListener::bind(&self.listen) {
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            tokio::task::yield_now().await;
        }
    }

    pub async fn renew(&self) -> Exit {
        self.run(&["renew"]).await
    }

    /// The service, which keeps a certificate of this name and serves it on `sds.sock`.
    pub fn serve(&self, name: &str) -> impl Future<Output = Exit> + Send + use<> {
        let (listen, server) = (&self.listen, &self.server);
        let config = self.path("gatecert.toml");
        let text = format!(
            "store = \"out\"\nhttp01 = {{listen = \"{listen}\"}}\nsds.unix = {{path = \"sds.sock\"}}\n\
             issuers.pebble = {{server = \"{server}\", ca-file = \"ca.pem\"}}\n\
             [[certificates]]\nnames = [\"{name}\"]\n"
        );
        std::fs::write(&config, text).unwrap();
        let arguments = ["gatecert".into(), "serve".into(), "--config".into(), config.into_os_string()];
        gatecert_cli::run(arguments, self.clock.clone())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn run(&self, arguments: &[&str]) -> Exit {
        let out = self.out().display().to_string();
        let all = [&["gatecert"], arguments, &["--quiet", "--out", &out]].concat();
        gatecert_cli::run(all.into_iter().map(Into::into), self.clock.clone()).await
    }

    pub fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// Where the CA asks.
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// `cert.json` of `a.test`.
    pub fn record(&self) -> Value {
        self.record_of("a.test")
    }

    pub fn record_of(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.record_path(name)).unwrap()).unwrap()
    }

    pub fn change_record(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut record = self.record_of(name);
        change(&mut record);
        std::fs::write(self.record_path(name), record.to_string()).unwrap();
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.out().join(name).join("cert.json")
    }

    /// The serial number of the certificate of `a.test` that is published, as it says itself.
    pub fn published_serial(&self) -> String {
        let chain = std::fs::read_to_string(self.out().join("a.test/tls.crt")).unwrap();
        gatecert_issue::facts(&chain).unwrap().serial
    }
}
