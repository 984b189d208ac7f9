//! What stands around the commands, so that they need no change: a network of its own, in which Let's Encrypt's names lead to a
//! test CA, and folders of its own in the place of the machine's.

use super::shell::Shell;
use crate::cargo::workspace;
use anyhow::{Context as _, Result, ensure};
use gatecert_testkit::cluster::Network;
use gatecert_testkit::tools::{Tool, ensure_async};
use gatecert_testkit::{Envoy, Pebble};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The hosts of Let's Encrypt's directories.
const LETS_ENCRYPT: [&str; 2] = ["acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"];

/// Where they are.
const CA: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 6);

/// The DNS server that documents name.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(9, 9, 9, 9);

/// The folders that commands and programs write to, and read what they have written.
const FOLDERS: [&str; 3] = ["/etc", "/run", "/var/lib"];

pub(crate) struct Place {
    files: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
    _front: Envoy,
}

impl Place {
    /// Lets Let's Encrypt's names lead to this Pebble, whose DNS server has port 53 of every address.
    pub(crate) async fn start(network: &Network, pebble: &Pebble) -> Result<Self> {
        network.add_address(CA)?;
        network.add_address(RESOLVER)?;
        let files = TempDir::with_prefix("gatecert-readme-")?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        fs::write(files.path().join("ca.pem"), ca.pem())?;
        let (chain, key) = signed(&ca, &LETS_ENCRYPT)?;
        let front = Envoy::start(&front(pebble, &chain, &key)).await?;
        put_folders(network, files.path())?;
        Ok(Self { files, ca, _front: front })
    }

    /// The root that Let's Encrypt's names are trusted by here, in PEM.
    pub(crate) fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// A certificate with its key for this name, by the same root.
    pub(crate) fn signed(&self, name: &str) -> Result<(String, String)> {
        signed(&self.ca, &[name])
    }

    /// A shell in a copy of the checkout, which finds `gatecert`, kubectl and Helm. gatecert trusts [`Self::ca_pem`].
    pub(crate) async fn shell(&self, gatecert: &Path) -> Result<Shell> {
        let [checkout, programs] = ["checkout", "programs"].map(|name| self.files.path().join(name));
        let home = self.files.path().join("home");
        for folder in [&checkout, &programs, &home.join(".local/bin")] {
            fs::create_dir_all(folder)?;
        }
        for entry in fs::read_dir(fs::canonicalize(workspace())?)? {
            let entry = entry?;
            symlink(entry.path(), checkout.join(entry.file_name()))?;
        }
        symlink(gatecert, programs.join("gatecert"))?;
        for tool in [Tool::Kubectl, Tool::Helm] {
            symlink(ensure_async(tool).await?, programs.join(tool.name()))?;
        }
        let mut shell = Shell::bare(&checkout)?;
        shell.put_first(&home.join(".local/bin"));
        shell.put_first(&programs);
        shell.set("HOME", &home);
        shell.set("LANG", "C.UTF-8");
        shell.set("GATECERT_CA_FILE", self.files.path().join("ca.pem"));
        Ok(shell)
    }
}

fn signed(ca: &CertifiedIssuer<'static, KeyPair>, names: &[&str]) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let leaf = CertificateParams::new(names)?.signed_by(&key, ca)?;
    Ok((leaf.pem(), key.serialize_pem()))
}

/// `/etc` with hosts and DNS of this place, and whatever else there is on this machine; the others are empty. Copies, since the
/// folder that holds them is deleted in the end.
fn put_folders(network: &Network, files: &Path) -> Result<()> {
    let own = |folder: &str| files.join(folder.trim_start_matches('/').replace('/', "-"));
    let etc = own("/etc");
    // Some of it only root may read, and nothing here needs.
    Command::new("cp").args(["-a", "/etc"]).arg(&etc).stderr(Stdio::null()).status().context("cp")?;
    ensure!(etc.join("passwd").exists(), "/etc can not be copied");
    let hosts = LETS_ENCRYPT.map(|name| format!("{CA} {name}\n")).concat();
    replace(etc.join("hosts"), &format!("127.0.0.1 localhost\n::1 localhost\n{hosts}"))?;
    replace(etc.join("resolv.conf"), &format!("nameserver {RESOLVER}\n"))?;
    for folder in FOLDERS {
        fs::create_dir_all(own(folder))?;
        network.put(&own(folder), folder)?;
    }
    Ok(())
}

/// Writes a file that may have been a link to elsewhere.
fn replace(path: PathBuf, text: &str) -> Result<()> {
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::write(path, text)?)
}

/// TLS with Let's Encrypt's names, and their path of the directory; Pebble makes its URLs by the host that it is asked as.
fn front(pebble: &Pebble, chain: &str, key: &str) -> String {
    let port = pebble.directory_url().port().unwrap_or(443);
    let inline = |pem: &str| format!("{{inline_string: \"{}\"}}", pem.replace('\n', "\\n"));
    let (chain, key, root) = (inline(chain), inline(key), inline(pebble.ca_pem()));
    format!(
        r#"
node: {{id: front, cluster: front}}
static_resources:
  listeners:
  - name: https
    address: {{socket_address: {{address: {CA}, port_value: 443}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{{certificate_chain: {chain}, private_key: {key}}}]
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{path: /directory}}, route: {{cluster: pebble, prefix_rewrite: /dir}}}}
              - {{match: {{prefix: /}}, route: {{cluster: pebble}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: pebble
    connect_timeout: 1s
    load_assignment:
      cluster_name: pebble
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {{validation_context: {{trusted_ca: {root}}}}}
"#
    )
}
