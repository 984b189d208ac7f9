//! What the issuances of one run share: a client for each CA, and what answers its questions on each address.

use crate::args::Authority;
use crate::authority;
use crate::error::Failure;
use crate::output::Output;
use crate::solver::{self, OpenSolver};
use gatecert_acme::{Client, Clock};
use gatecert_publish::{FileStore, Http01};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};
use url::Url;

/// How long the directory of a CA is kept. A service lives for longer than the URLs in it are sure to.
const DIRECTORY_AGE: SignedDuration = SignedDuration::from_hours(24);

/// One run of the program over one store. Several issuances may share it at once.
pub(crate) struct Session {
    pub(crate) store: FileStore,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
    /// The directory of a CA is fetched once, its nonces and connections are kept.
    clients: Mutex<HashMap<Authority, (Timestamp, Client)>>,
    /// The last one stays open for whoever wants the same: a port is free again only some time after it was closed.
    solver: Mutex<Option<(Http01, Arc<OpenSolver>)>>,
    /// One lock for each CA.
    enrolling: Mutex<HashMap<Url, Arc<Mutex<()>>>>,
}

impl Session {
    pub(crate) fn new(store: FileStore, output: &Output, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            output: *output,
            clock,
            clients: Mutex::default(),
            solver: Mutex::default(),
            enrolling: Mutex::default(),
        }
    }

    /// The client of a CA.
    pub(crate) async fn client(&self, authority: &Authority) -> Result<Client, Failure> {
        let now = self.clock.now();
        let is_fresh = |fetched: &Timestamp| now.duration_since(*fetched).abs() < DIRECTORY_AGE;
        if let Some((fetched, client)) = self.clients.lock().await.get(authority)
            && is_fresh(fetched)
        {
            return Ok(client.clone());
        }
        // Not held while a CA is asked: one that hangs must not keep others waiting.
        let client =
            authority::client(authority, authority::transport(authority)?, self.clock.clone()).await?;
        self.clients.lock().await.insert(authority.clone(), (now, client.clone()));
        Ok(client)
    }

    /// To be held while the account at a CA is opened or made, so that two issuances do not make two. A CA that hangs keeps those
    /// waiting alone that need it.
    pub(crate) async fn enrolling(&self, authority: &Authority) -> OwnedMutexGuard<()> {
        let lock = self.enrolling.lock().await.entry(authority.server.clone()).or_default().clone();
        lock.lock_owned().await
    }

    /// Forgets a CA's directory, and the roots that it was trusted by.
    pub(crate) async fn forget(&self, authority: &Authority) {
        self.clients.lock().await.remove(authority);
    }

    /// What answers the CA's questions in this way.
    pub(crate) async fn solver(&self, http01: &Http01) -> Result<Arc<OpenSolver>, Failure> {
        let mut open = self.solver.lock().await;
        if let Some((_, solver)) = open.as_ref().filter(|(known, _)| known == http01) {
            return Ok(solver.clone());
        }
        // `:80` and `0.0.0.0:80` are not the same text, but the same port.
        close(open.take()).await;
        let solver = Arc::new(solver::open(http01)?);
        *open = Some((http01.clone(), solver.clone()));
        Ok(solver)
    }

    /// Closes what answers the CA's questions.
    pub(crate) async fn close_solver(&self) {
        close(self.solver.lock().await.take()).await;
    }
}

async fn close(open: Option<(Http01, Arc<OpenSolver>)>) {
    if let Some(last) = open.and_then(|(_, last)| Arc::into_inner(last)) {
        last.close().await;
    }
}
