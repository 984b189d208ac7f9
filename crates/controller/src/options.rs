//! How the controller is started.

use gatecert_http01::ListenAddress;
use std::io::IsTerminal as _;
use std::time::Duration;
use tracing::Level;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How many issuances are under way at once, unless told otherwise. At five seconds each these are 50 a second, more than
/// Let's Encrypt takes from one address: 250 requests a second, of which one certificate needs six or seven.
const ISSUANCES: usize = 256;

/// Let's Encrypt certificates for Istio and Envoy gateways: the controller.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "gatecert-controller",
    version,
    about,
    after_help = "Examples:
  gatecert-controller                                       in a Pod: finds the API server and its own namespace by itself
  gatecert-controller --namespace gatecert-system           outside of the cluster, by KUBECONFIG
  gatecert-controller --only-namespace shop                 serves one namespace and sees nothing else"
)]
pub struct Options {
    /// The controller's own namespace: of its Lease, its responder's Service, and the Secrets of ClusterIssuers.
    #[arg(long, env = "POD_NAMESPACE", default_value = "gatecert-system")]
    pub namespace: String,

    /// This replica's name in the Lease.
    #[arg(long, env = "POD_NAME", default_value_t = format!("gatecert-{}", std::process::id()))]
    pub identity: String,

    /// Serves one namespace alone; ClusterIssuers are passed over.
    #[arg(long, value_name = "NAMESPACE")]
    pub only_namespace: Option<String>,

    /// Where the responder listens.
    #[arg(long, value_name = "ADDRESS", default_value = ":8089")]
    pub responder_listen: ListenAddress,

    /// Where /healthz, /readyz, /metrics and the status page (/) listen.
    #[arg(long, value_name = "ADDRESS", default_value = ":8081")]
    pub health_listen: ListenAddress,

    /// The Service that leads to the responders, in the controller's namespace.
    #[arg(long, value_name = "NAME", default_value = "gatecert-responder")]
    pub responder_service: String,

    /// The port of that Service.
    #[arg(long, value_name = "PORT", default_value_t = 8089)]
    pub responder_port: u16,

    /// How many issuances are under way at once, at most.
    #[arg(long, value_name = "COUNT", default_value_t = ISSUANCES)]
    pub max_issuances: usize,

    /// How long a challenge route may take until every gateway answers, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub route_timeout: u64,

    /// What is logged: a level, or several by target, as in `info,kube=warn`.
    #[arg(long, env = "RUST_LOG", value_name = "LEVEL", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// Logs for machines.
    #[arg(long)]
    pub log_json: bool,
}

/// What the controller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    Cluster,
    /// One namespace.
    Namespace(String),
}

/// A filter as it is written, which can be read; without empty parts, which would be a level.
fn log_filter(text: &str) -> Result<String, ParseError> {
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let text = parts.join(",");
    text.parse::<Targets>().map(|_| text)
}

/// Whether somebody sees the colours of the log, and wants them (<https://no-color.org>).
fn is_coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
}

impl Options {
    /// Begins the log, on standard error. A second call changes nothing.
    pub fn start_log(&self) {
        let filter = self.log.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO));
        let log = fmt::layer().with_ansi(is_coloured()).with_writer(std::io::stderr);
        let filtered = tracing_subscriber::registry().with(filter);
        let _ = match self.log_json {
            true => filtered.with(log.json()).try_init(),
            false => filtered.with(log).try_init(),
        };
    }

    pub(crate) fn scope(&self) -> Scope {
        self.only_namespace.clone().map_or(Scope::Cluster, Scope::Namespace)
    }

    pub(crate) fn route_timeout(&self) -> Duration {
        Duration::from_secs(self.route_timeout.max(1))
    }
}
