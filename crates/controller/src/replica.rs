//! One replica: its responder and its health always run, the rest while it leads.

use crate::api_client::api_client;
use crate::controller::lead;
use crate::lease::{self, LeaseOptions};
use crate::metrics::Metrics;
use crate::options::{Options, Scope};
use crate::overview::Overview;
use crate::probe::Prober;
use crate::report::chain;
use crate::responder::feed;
use crate::status_page::StatusPage;
use bytes::Bytes;
use gatecert_acme::Clock;
use gatecert_api::Certificate;
use gatecert_http01::{BindError, Health, Responder, ServeError, Server, TokenStore};
use http::{Request, Response};
use http_body_util::Full;
use kube::{Api, Client, Config};
use std::convert::Infallible;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why a replica does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no way to a cluster.
    #[error("there is no way to a cluster: set KUBECONFIG, or run it in a Pod with a ServiceAccount")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cluster can not be asked, by what is known of it.
    #[error("no client for the cluster can be set up")]
    Cluster(#[source] Box<kube::Error>),
    /// A port can not be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A server did not start or end as it should.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The prober can not be set up.
    #[error("the HTTP client can not be set up")]
    Prober(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The whole program: begins the log, and runs one replica in the cluster that the kubeconfig or the Pod's ServiceAccount leads
/// to, until SIGTERM or SIGINT. What else ends it is logged as an error.
///
/// A process-wide provider of rustls has to be installed, as for [`run`].
pub async fn run_until_signal(options: Options, clock: Arc<dyn Clock>) -> ExitCode {
    options.start_log();
    let ended = match Config::infer().await {
        Ok(config) => run(options, config, clock, signals()).await,
        Err(error) => Err(RunError::Config(error.into())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(&error));
            if !tracing::enabled!(tracing::Level::ERROR) {
                // The filter of the log leaves it out, and nobody ends for no reason.
                let _ = writeln!(std::io::stderr(), "error: {}", chain(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// Completes at SIGTERM or SIGINT.
pub async fn signals() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Runs one replica until `stop` completes; then it gives the Lease back and lets open connections end.
///
/// A process-wide provider of rustls has to be installed, since kube and the prober use it.
///
/// # Errors
/// [`RunError`], before anything is written.
pub async fn run(
    options: Options,
    config: Config,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let client = api_client(config).map_err(|error| RunError::Cluster(Box::new(error)))?;
    let overview = Arc::new(Overview::default());
    let (metrics, tokens, health) = (Metrics::new(Arc::clone(&overview)), TokenStore::new(), Health::new());
    let prober = Prober::new().map_err(|error| RunError::Prober(error.into()))?;
    let probes = Server::bind(options.health_listen)?;
    let responder =
        Server::bind(options.responder_listen)?.spawn_responder(Responder::new(tokens.clone()))?;
    let page =
        StatusPage::new(Arc::clone(&overview), Arc::clone(&metrics), Arc::clone(&clock), &options.identity);
    let probes = probes.spawn(Status { health: health.clone(), metrics: Arc::clone(&metrics), page })?;

    let certificates: Api<Certificate> = match options.scope() {
        Scope::Cluster => Api::all(client.clone()),
        Scope::Namespace(namespace) => Api::namespaced(client.clone(), &namespace),
    };
    let (synced, mut fed) = watch::channel(false);
    let stopped = CancellationToken::new();
    let replica = async {
        let ready = async {
            // The task that feeds the tokens runs as long as this does.
            let _ = fed.wait_for(|fed| *fed).await;
            health.set_ready(true);
            std::future::pending::<()>().await;
        };
        let turn = Turn { options, client, clock, metrics, prober };
        tokio::select! {
            () = feed(certificates, tokens, overview, synced) => {}
            () = ready => {}
            () = turn.lead(&stopped) => {}
        }
    };
    tokio::join!(replica, async {
        stop.await;
        stopped.cancel();
    });
    health.set_ready(false);
    let drained = responder.shutdown().await?;
    if drained.cut > 0 {
        tracing::warn!(connections = drained.cut, "connections to the responder were cut");
    }
    let _ = probes.shutdown().await?;
    Ok(())
}

/// What a replica leads with.
struct Turn {
    options: Options,
    client: Client,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    prober: Prober,
}

impl Turn {
    /// Leads whenever it is this replica's turn, until it is stopped; then it gives the Lease back. What leads is dropped
    /// the moment the Lease is lost.
    async fn lead(self, stopped: &CancellationToken) {
        let Self { options, client, clock, metrics, prober } = self;
        let lease = LeaseOptions::new(options.namespace.clone(), options.identity.clone());
        loop {
            let leadership = tokio::select! {
                leadership = lease::acquire(client.clone(), &lease, Arc::clone(&clock)) => leadership,
                () = stopped.cancelled() => return,
            };
            metrics.lead(true);
            let (options, clock, metrics) = (options.clone(), Arc::clone(&clock), Arc::clone(&metrics));
            let fenced = leadership.fence().client(client.clone());
            let is_stopped = tokio::select! {
                () = lead(fenced, leadership.fence().clone(), options, clock, Arc::clone(&metrics), prober.clone()) => false,
                () = leadership.lost() => false,
                () = stopped.cancelled() => true,
            };
            metrics.lead(false);
            if is_stopped {
                leadership.release().await;
                return;
            }
            tracing::warn!("the Lease is lost: another replica leads");
        }
    }
}

/// `/healthz`, `/readyz`, `/metrics` and the status page.
#[derive(Clone)]
struct Status {
    health: Health,
    metrics: Arc<Metrics>,
    page: StatusPage,
}

impl tower::Service<Request<hyper::body::Incoming>> for Status {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<hyper::body::Incoming>) -> Self::Future {
        if let Some(page) = self.page.answer(&request) {
            return std::future::ready(Ok(page));
        }
        if request.uri().path() != "/metrics" {
            return self.health.call(request);
        }
        let mut response = Response::new(Full::new(Bytes::from(self.metrics.text())));
        let kind =
            http::HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        std::future::ready(Ok(response))
    }
}
