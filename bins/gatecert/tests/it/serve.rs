//! `gatecert serve` as a process of its own, with Pebble and Envoy.

use crate::setting::Setting;
use gatecert_testkit::{
    Envoy, Handshakes, Pebble, Process, StandaloneEnvoy, free_port, https_client, served_chain,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How often something is looked at before it counts as not coming, 20 ms apart.
const LOOKS: usize = 3000;

/// A service, its configuration, and where it listens.
struct Service {
    setting: Setting,
    responder: u16,
    health: u16,
    /// More of the configuration.
    more: String,
    process: Option<Process>,
}

impl Service {
    /// Not started yet. Its responder is where Pebble asks, or behind an Envoy.
    fn new(setting: Setting, responder: u16) -> Self {
        Self { setting, responder, health: free_port(), more: String::new(), process: None }
    }

    fn config(&self) -> PathBuf {
        self.setting.path("gatecert.toml")
    }

    fn socket(&self) -> PathBuf {
        self.setting.path("sds.sock")
    }

    /// Replaces the configuration as editors do. `certificates` is the part of it that changes.
    fn write(&self, certificates: &str) {
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

    fn write_whole(&self, text: &str) {
        let new = self.setting.path("gatecert.toml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    fn start(&mut self) {
        let config = self.config().display().to_string();
        let variables = [("GATECERT_LOG", "trace".to_owned())];
        let program = Path::new(env!("CARGO_BIN_EXE_gatecert"));
        let arguments = ["serve", "--config", &config];
        let folder = TempDir::new().unwrap();
        self.process = Some(Process::start("gatecert", program, &arguments, &variables, folder).unwrap());
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    fn log(&self) -> String {
        self.process.as_ref().unwrap().log()
    }

    /// How many lines of the log have this part.
    fn logged(&self, part: &str) -> usize {
        self.log().lines().filter(|line| line.contains(part)).count()
    }

    async fn until_logged(&self, part: &str, times: usize) {
        for _ in 0..LOOKS {
            if self.logged(part) >= times {
                return;
            }
            pause().await;
        }
        panic!("`{part}` is not logged {times} times:\n{}", self.told());
    }

    /// The log without what is traced.
    fn told(&self) -> String {
        let is_told = |line: &&str| [" INFO ", " WARN ", " ERROR "].iter().any(|level| line.contains(level));
        self.log().lines().filter(is_told).collect::<Vec<_>>().join("\n")
    }

    fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    async fn until_published(&self, name: &str) {
        for _ in 0..LOOKS {
            if self.setting.out().join(name).join("current").exists() {
                return;
            }
            pause().await;
        }
        panic!("{name} is not published:\n{}", self.told());
    }

    /// No line of a private key, and none of the account's, is in the log.
    fn assert_log_has_no_key(&self) {
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

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn certificate(names: &str, key_type: &str) -> String {
    format!("[[certificates]]\nnames = [\"{names}\"]\nkey-type = \"{key_type}\"\n")
}

/// An Envoy as `deploy/envoy-sds.yaml` has it, and what it serves.
struct Served {
    envoy: Envoy,
    address: SocketAddr,
    roots: String,
}

const NAME: &str = "www.example.com";

impl Served {
    async fn start(service: &Service) -> Self {
        Self::start_with(service, |config| config).await
    }

    /// With a changed configuration.
    async fn start_with(service: &Service, change: impl FnOnce(String) -> String) -> Self {
        let https = free_port();
        let asked = service.setting.pebble.http_port();
        let config = StandaloneEnvoy {
            // Unless the CA asks the responder itself.
            http: if asked == service.responder { free_port() } else { asked },
            https,
            responder: service.responder,
            socket: &service.socket(),
            certificate: NAME,
        };
        let roots = service.setting.pebble.root_pem(0).await.unwrap();
        let envoy = Envoy::start(&change(config.config())).await.unwrap();
        Self { envoy, address: ([127, 0, 0, 1], https).into(), roots }
    }

    async fn leaf(&self) -> Option<Vec<u8>> {
        served_chain(self.address, NAME, &self.roots).await.ok().map(|chain| chain[0].to_vec())
    }

    /// The leaf that is served as soon as it is another one.
    async fn until_changed(&self, old: Option<&[u8]>, service: &Service) -> Vec<u8> {
        for _ in 0..LOOKS {
            match self.leaf().await {
                Some(leaf) if old != Some(leaf.as_slice()) => return leaf,
                _ => pause().await,
            }
        }
        panic!("nothing else is served:\n{}\n{}", service.told(), self.envoy.log());
    }

    /// How many connections for SDS it has made.
    async fn connections(&self) -> usize {
        let name = "cluster.gatecert-sds.upstream_cx_total: ";
        let url = format!("{}/stats?filter=gatecert-sds.upstream_cx_total", self.envoy.admin());
        let stats = https_client("", &[]).unwrap().get(url).send().await.unwrap().text().await.unwrap();
        stats.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
    }

    fn handshakes(&self) -> Handshakes {
        Handshakes::start(self.address, NAME, &self.roots)
    }
}

async fn assert_none_failed(handshakes: Handshakes) {
    let (count, failures) = handshakes.stop().await.unwrap();
    assert!(count > 0 && failures.is_empty(), "{} of {count} failed: {failures:?}", failures.len());
    println!("{count} handshakes, none failed");
}

#[tokio::test]
async fn the_life_of_a_standalone_envoy() {
    let mut service = Service::new(Setting::new(Pebble::builder()).await, free_port());
    service.write(&certificate(NAME, "ecdsa-p256"));
    let served = Served::start(&service).await;
    assert_eq!(served.leaf().await, None, "there is no certificate yet");

    // The CA asks Envoy, which sends it on to the responder.
    service.start();
    let first = served.until_changed(None, &service).await;
    assert!(service.is_ready());
    let handshakes = served.handshakes();

    // A changed file is enough.
    service.write(&certificate(NAME, "ecdsa-p384"));
    let second = served.until_changed(Some(&first), &service).await;

    // What is wrong changes nothing, and is said once.
    service.write(&certificate(NAME, "ecdsa-p512"));
    service.until_logged("the configuration of before stays", 1).await;
    assert!(service.told().contains("gatecert.toml`, line 9: "), "{}", service.told());
    service.process().signal("HUP").unwrap();
    service.until_logged("the configuration of before stays", 2).await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));

    // One more.
    service.write(&(certificate(NAME, "ecdsa-p384") + &certificate("b.test", "ecdsa-p256")));
    service.process().signal("HUP").unwrap();
    service.until_published("b.test").await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));

    // Killed and started again, it goes on where it was, and Envoy with it.
    service.process().signal("KILL").unwrap();
    service.process().ended().await.unwrap();
    service.assert_log_has_no_key();
    service.start();
    service.until_logged("keeping 2 certificates", 1).await;
    assert_eq!(served.leaf().await.as_ref(), Some(&second));
    service.write(&certificate(NAME, "ecdsa-p256"));
    let third = served.until_changed(Some(&second), &service).await;
    service.until_logged("b.test: not kept any more", 1).await;
    assert_eq!(service.logged("issued, valid until"), 1, "{}", service.told());

    service.process().signal("TERM").unwrap();
    assert_eq!(service.process().ended().await.unwrap(), 0, "{}", service.told());
    assert!(!service.socket().exists());
    assert!(service.setting.out().join("b.test/tls.crt").exists(), "files stay");
    assert_eq!(served.leaf().await, Some(third), "Envoy keeps what it has");
    assert_none_failed(handshakes).await;
    service.assert_log_has_no_key();
}

#[tokio::test]
async fn one_that_fails_stops_no_other() {
    let pebble = Pebble::builder().domain_blocklist(&["refused.test"]);
    let setting = Setting::new(pebble).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&(certificate("refused.test", "ecdsa-p256") + &certificate("b.test", "ecdsa-p256")));
    service.start();
    service.until_published("b.test").await;
    service.until_logged("refused.test: ", 1).await;
    service.until_logged("to be tried again after", 1).await;
    let failures = service.logged(" ERROR ");
    // Whoever says so has it tried again before its time.
    service.process().signal("HUP").unwrap();
    service.until_logged("to be tried again after", 2).await;
    assert_eq!(service.logged(" ERROR "), 2 * failures, "{}", service.told());
    assert_eq!(service.logged("b.test: issued"), 1);
}

#[tokio::test]
async fn what_can_not_be_listened_on_leaves_all_as_it_was() {
    let setting = Setting::new(Pebble::builder()).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&certificate("b.test", "ecdsa-p256"));
    service.start();
    service.until_published("b.test").await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    service.responder = taken.local_addr().unwrap().port();
    service.write(&certificate("c.test", "ecdsa-p256"));
    service.until_logged("the configuration of before stays", 1).await;
    assert!(!service.setting.out().join("c.test").exists());

    service.responder = responder;
    service.write(&(certificate("b.test", "ecdsa-p256") + &certificate("d.test", "ecdsa-p256")));
    service.until_published("d.test").await;
    service.write_whole("store = \"elsewhere\"\nissuers = {}\ncertificates = []\n");
    service.until_logged("another `store` needs a restart", 1).await;

    // A second one over the same store does not start.
    service.write(&certificate("b.test", "ecdsa-p256"));
    let second = crate::setting::gatecert(&["serve", "--config"]).arg(service.config()).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(1) && said.contains("is in use by process"), "{said}");
}

#[tokio::test]
async fn the_end_waits_for_what_is_under_way() {
    let setting = Setting::new(Pebble::builder().va_sleep(true)).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&certificate("b.test", "ecdsa-p256"));
    service.start();
    service.until_logged("b.test: validating", 1).await;
    service.process().signal("TERM").unwrap();
    assert_eq!(service.process().ended().await.unwrap(), 0);
    assert_eq!(service.logged("b.test: issued"), 1, "{}", service.told());
    assert!(service.setting.out().join("b.test/tls.crt").exists());
    assert!(!service.setting.out().join("b.test/journal.json").exists());
}

#[tokio::test]
async fn killed_in_the_midst_of_an_issuance_it_goes_on() {
    let setting = Setting::new(Pebble::builder().va_sleep(true)).await;
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.write(&certificate("b.test", "ecdsa-p256"));
    service.start();
    service.until_logged("b.test: validating", 1).await;
    service.process().signal("KILL").unwrap();
    service.process().ended().await.unwrap();
    assert!(service.setting.out().join("b.test/journal.json").exists());
    assert!(service.socket().exists(), "nobody has cleaned up");
    service.start();
    service.until_published("b.test").await;
    service.until_logged("b.test: issued", 1).await;
    assert_eq!(service.logged(" ERROR "), 0, "{}", service.told());
}

/// A root with two certificates for the SDS server and its clients.
struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    fn new() -> Self {
        let mut parameters = CertificateParams::default();
        // Another name than that of the leaves, which Envoy would else take for self-signed.
        parameters.distinguished_name.push(DnType::OrganizationName, "SDS of the tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes `NAME.crt` and `NAME.key`.
    fn write_leaf(&self, setting: &Setting, name: &str) {
        let mut parameters = CertificateParams::new(["sds.test".to_owned()]).unwrap();
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        fs::write(setting.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(setting.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// The configuration of an Envoy that asks on a TCP port, with the certificate of this name.
fn by_tls(config: &str, service: &Service, port: u16, name: &str) -> String {
    let file = |file: &str| service.setting.path(file).display().to_string();
    let (certificate, key, ca) =
        (file(&format!("{name}.crt")), file(&format!("{name}.key")), file("envoys.pem"));
    let pipe = format!("pipe: {{path: {}}}", service.socket().display());
    let assignment = "    load_assignment:\n      cluster_name: gatecert-sds\n";
    assert!(config.contains(&pipe) && config.contains(assignment));
    let socket = format!(
        r#"    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: sds.test
        common_tls_context:
          tls_certificates: [{{certificate_chain: {{filename: "{certificate}"}}, private_key: {{filename: "{key}"}}}}]
          validation_context: {{trusted_ca: {{filename: "{ca}"}}}}
"#
    );
    config
        .replace(&pipe, &format!("socket_address: {{address: 127.0.0.1, port_value: {port}}}"))
        .replace(assignment, &format!("{socket}{assignment}"))
}

#[tokio::test]
async fn an_envoy_elsewhere_needs_a_certificate() {
    let setting = Setting::new(Pebble::builder()).await;
    let (root, port) = (Root::new(), free_port());
    fs::write(setting.path("envoys.pem"), root.0.pem()).unwrap();
    root.write_leaf(&setting, "server");
    root.write_leaf(&setting, "envoy");
    Root::new().write_leaf(&setting, "stranger");
    let responder = setting.pebble.http_port();
    let mut service = Service::new(setting, responder);
    service.more = format!(
        "sds.tls = {{listen = \"127.0.0.1:{port}\", certificate = \"server.crt\", key = \"server.key\", \
         client-ca = \"envoys.pem\"}}"
    );
    service.write(&certificate(NAME, "ecdsa-p256"));
    service.start();
    service.until_published(NAME).await;

    let stranger = Served::start_with(&service, |config| by_tls(&config, &service, port, "stranger")).await;
    let known = Served::start_with(&service, |config| by_tls(&config, &service, port, "envoy")).await;
    known.until_changed(None, &service).await;
    // It has tried, and tried again.
    while stranger.connections().await < 2 {
        pause().await;
    }
    assert_eq!(stranger.leaf().await, None);
}

#[test]
fn the_unit_checks_the_example() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let unit = fs::read_to_string(deploy.join("gatecert.service")).unwrap();
    let command = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.strip_prefix("/usr/local/bin/gatecert ").unwrap().to_owned()
    };
    let check = command("ExecStartPre=");
    assert_eq!(check, format!("{} --check", command("ExecStart=")));
    let example = deploy.join("gatecert.toml").display().to_string();
    let check = check.replace("/etc/gatecert/gatecert.toml", &example);
    let run = crate::setting::finish(&mut crate::setting::gatecert(&check.split(' ').collect::<Vec<_>>()));
    let run = run.expect(0);
    assert_eq!(run.out, "the configuration is right: 1 certificate, kept in /var/lib/gatecert\n");
}
