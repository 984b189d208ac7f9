//! What listens: the responder, SDS, and health.

use super::config::Endpoints;
use crate::error::{Failure, chain};
use crate::session::Session;
use gatecert_http01::{Health, Server, ServerHandle};
use gatecert_publish::sds::{SdsError, SdsServer, Secrets};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What helps where a socket has no directory to be in.
const NO_FOLDER: &str = "make its directory, or choose another; below /run it is gone after a restart (RuntimeDirectory= of a \
                         systemd unit makes it)";

/// All that listens, until it is closed. It ends when this is dropped.
#[derive(Default)]
pub(super) struct Services {
    sds: JoinSet<()>,
    health: Option<(Health, ServerHandle)>,
    closing: CancellationToken,
}

impl Services {
    /// Opens all, or, where one can not be opened, none.
    pub(super) async fn open(
        endpoints: &Endpoints,
        session: &Session,
        secrets: &Secrets,
    ) -> Result<Self, Failure> {
        let mut services = Self::default();
        match services.open_all(endpoints, session, secrets).await {
            Ok(()) => Ok(services),
            Err(failure) => {
                services.close(session).await;
                Err(failure)
            }
        }
    }

    async fn open_all(
        &mut self,
        endpoints: &Endpoints,
        session: &Session,
        secrets: &Secrets,
    ) -> Result<(), Failure> {
        session.solver(&endpoints.http01).await.map_err(in_words_of_the_file)?;
        if let Some((path, mode)) = &endpoints.unix {
            self.spawn(SdsServer::bind_unix(path, *mode)?, secrets);
            session.output.note(&format!("serving SDS on {}", path.display()));
        }
        if let Some((address, tls)) = &endpoints.tls {
            self.spawn(SdsServer::bind_tls(*address, tls)?, secrets);
            session.output.note(&format!("serving SDS on {address}, by mutual TLS"));
        }
        if let Some(address) = endpoints.health {
            let health = Health::new();
            let server = Server::bind(address).map_err(|error| Failure::local("bind", &error))?;
            let server = server.health(health.clone()).spawn(health.clone());
            self.health = Some((health, server.map_err(|error| Failure::local("bind", &error))?));
        }
        Ok(())
    }

    fn spawn(&mut self, server: SdsServer, secrets: &Secrets) {
        let (secrets, closing) = (secrets.clone(), self.closing.clone());
        self.sds.spawn(async move {
            if let Err(error) = server.serve(secrets, closing.cancelled_owned()).await {
                tracing::error!("{}", chain(&error));
            }
        });
    }

    /// Returns when all that was bound is free.
    pub(super) async fn close(mut self, session: &Session) {
        self.closing.cancel();
        while self.sds.join_next().await.is_some() {}
        if let Some((health, server)) = self.health.take() {
            health.set_ready(false);
            // One that has ended before has no port any more.
            let _ = server.shutdown().await;
        }
        session.close_solver().await;
    }
}

/// The hints are those of options, whose names are those of the file's fields.
pub(super) fn in_words_of_the_file(failure: Failure) -> Failure {
    let hint = failure.hint.map(|hint| hint.replace("--http01-listen", "`listen`").replace("--", ""));
    Failure { hint, ..failure }
}

impl From<SdsError> for Failure {
    fn from(error: SdsError) -> Self {
        let is_missing = |source: &std::io::Error| source.kind() == std::io::ErrorKind::NotFound;
        let hint = match &error {
            SdsError::Unix { source, .. } if is_missing(source) => Some(NO_FOLDER.to_owned()),
            _ => None,
        };
        Self { hint, ..Self::local("sds", &error) }
    }
}
