//! `gatecert serve`: keeps the certificates of a configuration file, and serves them to Envoys.

mod config;
mod document;
mod keeper;
mod mistake;
mod services;

use crate::Exit;
use crate::args::Serve;
use crate::error::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::solver;
use config::{Config, ConfigFile};
use gatecert_acme::Clock;
use gatecert_publish::sds::Secrets;
use gatecert_publish::{FileStore, Http01};
use keeper::Keepers;
use sd_notify::NotifyState;
use serde_json::json;
use services::Services;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) async fn run(arguments: &Serve, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let mut file = ConfigFile::new(&arguments.config);
    let config = file.read()?;
    if arguments.check {
        config.is_possible()?;
        // A port may be that of the service that runs already.
        if let Http01::Webroot(_) = config.endpoints.http01 {
            solver::open(&config.endpoints.http01)?;
        }
        checked(output, &config)?;
        return Ok(Exit::Done);
    }
    let mut signals = Signals::listen()?;
    let session = Session::new(FileStore::open(&config.store)?, &output.logged(), clock.clone());
    let mut service = Service::start(session, config).await?;
    tell_systemd(NotifyState::Ready);
    let exit = loop {
        let told = tokio::select! {
            told = signals.next() => told,
            () = file.changed(&*clock) => Told::Changed,
        };
        match told {
            Told::Stop(exit) => break exit,
            told => service.reload(file.read(), told == Told::Reload).await?,
        }
    };
    tell_systemd(NotifyState::Stopping);
    tokio::select! {
        () = service.end() => {}
        // Whoever is in a hurry says it twice.
        () = signals.stop() => {}
    }
    Ok(exit)
}

fn checked(output: &Output, config: &Config) -> Result<(), Failure> {
    let (certificates, path) = (config.orders.len(), &config.store);
    let value = json!({"valid": true, "certificates": certificates, "store": path});
    output.result(&value, || {
        let plural = if certificates == 1 { "" } else { "s" };
        format!(
            "the configuration is right: {certificates} certificate{plural}, kept in {}\n",
            path.display()
        )
    })
}

fn counted(certificates: usize) -> String {
    format!("{certificates} certificate{}", if certificates == 1 { "" } else { "s" })
}

/// All that runs.
struct Service {
    session: Arc<Session>,
    secrets: Secrets,
    services: Services,
    keepers: Keepers,
    config: Config,
}

impl Service {
    /// All that can be refused on this machine is found before any CA is asked.
    async fn start(session: Session, config: Config) -> Result<Self, Failure> {
        let (session, secrets) = (Arc::new(session), Secrets::new());
        let services = Services::open(&config.endpoints, &session, &secrets).await?;
        let mut keepers = Keepers::new(session.clone(), secrets.clone());
        keepers.keep(&config.orders).await;
        session.output.note(&format!("keeping {}", counted(config.orders.len())));
        Ok(Self { session, secrets, services, keepers, config })
    }

    /// Goes over to a new configuration, or stays with the present one where the new one is wrong or can not be served.
    ///
    /// # Errors
    /// Neither of the two can be served any more.
    async fn reload(&mut self, read: Result<Config, Failure>, told: bool) -> Result<(), Failure> {
        tell_systemd(NotifyState::Status("reading the configuration"));
        let config = match read.and_then(|config| self.acceptable(config)) {
            Ok(config) => config,
            Err(failure) => {
                self.refuse(&failure);
                return Ok(());
            }
        };
        if config.endpoints != self.config.endpoints
            && let Err(failure) = self.change_endpoints(&config).await?
        {
            self.keepers.keep(&self.config.orders).await;
            self.refuse(&failure);
            return Ok(());
        }
        for order in &config.orders {
            self.session.forget(&order.authority).await;
        }
        self.keepers.keep(&config.orders).await;
        if told {
            self.keepers.try_again();
        }
        self.session
            .output
            .note(&format!("read the configuration: keeping {}", counted(config.orders.len())));
        self.config = config;
        tell_systemd(NotifyState::Status("keeping the certificates"));
        Ok(())
    }

    /// The store is locked and open, and Envoys know its paths.
    fn acceptable(&self, config: Config) -> Result<Config, Failure> {
        if config.store != self.config.store {
            return Err(Failure::usage("another `store` needs a restart"));
        }
        Ok(config)
    }

    fn refuse(&self, failure: &Failure) {
        self.session.output.failure_of("the configuration of before stays", failure);
        tell_systemd(NotifyState::Status(
            "keeping the certificates; the last change of the configuration is wrong",
        ));
    }

    /// The ports may be the same ones, so the old are closed first. Inside is why the new ones could not be opened.
    async fn change_endpoints(&mut self, config: &Config) -> Result<Result<(), Failure>, Failure> {
        self.keepers.end().await;
        std::mem::take(&mut self.services).close(&self.session).await;
        let (session, secrets) = (&self.session, &self.secrets);
        match Services::open(&config.endpoints, session, secrets).await {
            Ok(services) => {
                self.services = services;
                Ok(Ok(()))
            }
            Err(failure) => {
                self.services = Services::open(&self.config.endpoints, session, secrets).await?;
                Ok(Err(failure))
            }
        }
    }

    async fn end(mut self) {
        self.session.output.note("ending: what is under way is ended first");
        self.keepers.end().await;
        self.services.close(&self.session).await;
    }
}

/// The signals, which are listened for before anything is begun.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::local("signals", &error));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            // SIGTERM is how a service ends; Ctrl-C is somebody who stops a program.
            _ = self.terminate.recv() => Told::Stop(Exit::Done),
            _ = self.interrupt.recv() => Told::Stop(Exit::Stopped),
        }
    }

    async fn stop(&mut self) {
        while !matches!(self.next().await, Told::Stop(_)) {}
    }
}

/// What the service is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Somebody wants the configuration read.
    Reload,
    /// The configuration's file has changed.
    Changed,
    Stop(Exit),
}

/// Does nothing without systemd.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}
