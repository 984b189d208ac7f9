//! A machine on the Internet: every name leads to its port 80, and an Envoy serves what gatecert has got.

use super::page::{self, Block, Page, Scene};
use super::place::Place;
use super::shell::Shell;
use anyhow::{Context as _, Result, bail, ensure};
use gatecert_testkit::cluster::Network;
use gatecert_testkit::tools::{Tool, ensure_async};
use gatecert_testkit::{Envoy, Pebble, served_chain};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The name of the certificate that the documents get.
const NAME: &str = "www.example.com";

/// How long Envoy may take to have it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, where the documents have it installed.
const INSTALLED: &str = "/usr/local/bin/gatecert";

/// The configuration of `gatecert serve` in the documents, and the folder of Envoy's own certificates.
const CONFIG: &str = "/etc/gatecert/gatecert.toml";
const ENVOY: &str = "/etc/envoy";

pub(crate) async fn run(network: Network, program: &Path, pages: &[Page]) -> Result<()> {
    let pebble = Pebble::builder().http_port(80).tls_port(443).dns_port(53).start().await?;
    let place = Place::start(&network, &pebble).await?;
    let machine = Machine { program: program.to_owned(), shell: place.shell(program).await?, place, pebble };
    machine.give_what_is_presumed()?;
    for page in pages {
        for block in page.blocks_of(Scene::Machine) {
            machine.block(block).await.with_context(|| page.place(block.line))?;
        }
    }
    Ok(())
}

struct Machine {
    program: PathBuf,
    shell: Shell,
    place: Place,
    pebble: Pebble,
}

impl Machine {
    /// Certificates by which machines know each other; the documents do not say how those are made.
    fn give_what_is_presumed(&self) -> Result<()> {
        for (folder, name, host) in [("/etc/gatecert", "sds", "sds.example.com"), (ENVOY, "envoy", "envoy")] {
            let (chain, key) = self.place.signed(host)?;
            fs::create_dir_all(folder)?;
            fs::write(format!("{folder}/{name}.crt"), chain)?;
            fs::write(format!("{folder}/{name}.key"), key)?;
        }
        fs::write("/etc/gatecert/envoys-ca.pem", self.place.ca_pem())?;
        Ok(fs::write(format!("{ENVOY}/sds-ca.pem"), self.place.ca_pem())?)
    }

    async fn block(&self, block: &Block) -> Result<()> {
        match block.language.as_str() {
            "console" => {
                for command in block.commands()? {
                    self.shell.run(&command).await.with_context(|| format!("line {}", command.line))?;
                }
                Ok(())
            }
            "crontab" => self.cron_runs(block).await,
            "toml" => self.is_configuration(&block.text),
            "yaml" if block.text.contains(".DownstreamTlsContext") => self.is_served(&block.text).await,
            "yaml" if block.text.contains(".UpstreamTlsContext") => loads(&of_cluster(&block.text)).await,
            other => bail!("nothing here takes `{other}` of this kind"),
        }
    }

    /// Lines of a crontab: five fields of time, and a command. It names the program where a user has put it; nothing is put
    /// there here.
    async fn cron_runs(&self, block: &Block) -> Result<()> {
        let is_time = |field: &&str| field.chars().all(|it| it.is_ascii_digit() || "*,-/".contains(it));
        for (offset, text) in block.text.lines().enumerate() {
            let fields: Vec<&str> = text.splitn(6, ' ').collect();
            let [times @ .., command] = fields.as_slice() else { bail!("an empty line") };
            ensure!(times.len() == 5 && times.iter().all(is_time), "`{text}` is no line of a crontab");
            let command = page::Command {
                line: block.line + offset,
                text: command.replace(INSTALLED, "gatecert"),
                output: Vec::new(),
            };
            self.shell.run(&command).await?;
        }
        Ok(())
    }

    /// A part of the configuration of `gatecert serve`.
    fn is_configuration(&self, text: &str) -> Result<()> {
        let config = fs::read_to_string(CONFIG)?;
        let whole = Path::new(CONFIG).with_file_name("whole.toml");
        let mut file = OpenOptions::new().create_new(true).write(true).open(&whole)?;
        write!(file, "{config}\n{text}")?;
        let checked =
            Command::new(&self.program).args(["serve", "--check", "--config"]).arg(&whole).output()?;
        fs::remove_file(&whole)?;
        ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        Ok(())
    }

    /// The TLS of a listener: an Envoy serves by it what the commands before have got.
    async fn is_served(&self, transport_socket: &str) -> Result<()> {
        let _envoy = Envoy::start(&of_listener(transport_socket)).await?;
        let roots = self.pebble.root_pem(0).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        let served = tokio::time::timeout(PATIENCE, async {
            while served_chain(address, NAME, &roots).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        served.await.with_context(|| format!("Envoy does not serve {NAME}"))
    }
}

fn of_listener(transport_socket: &str) -> String {
    format!(
        r#"
node: {{id: reader, cluster: reader}}
static_resources:
  listeners:
  - name: https
    address: {{socket_address: {{address: 127.0.0.1, port_value: 443}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: https
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, direct_response: {{status: 200}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
{}"#,
        indented(transport_socket, 6)
    )
}

fn of_cluster(transport_socket: &str) -> String {
    format!(
        "static_resources:
  clusters:
  - name: gatecert-sds
    connect_timeout: 1s
    load_assignment:
      cluster_name: gatecert-sds
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 192.0.2.1, port_value: 18000}}}}}}}}]}}]
{}",
        indented(transport_socket, 4)
    )
}

/// The text with so much space at the left, whatever it had.
fn indented(text: &str, width: usize) -> String {
    let had = text.lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    text.lines().map(|line| format!("{:width$}{}\n", "", &line[had..])).collect()
}

/// Asks Envoy whether it takes a configuration.
async fn loads(config: &str) -> Result<()> {
    let program = ensure_async(Tool::Envoy).await?;
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    fs::write(file.path(), config)?;
    let output = Command::new(program).args(["--mode", "validate", "-c"]).arg(file.path()).output()?;
    ensure!(output.status.success(), "{config}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
