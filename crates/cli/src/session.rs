//! What the issuances of one run share: a client for each CA, and what answers its questions on each address.

use crate::args::Authority;
use crate::authority;
use crate::error::Failure;
use crate::output::Output;
use crate::solver::{self, OpenSolver};
use gatecert_acme::{Client, Clock};
use gatecert_publish::{FileStore, Http01};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// One run of the program over one store.
pub(crate) struct Session {
    pub(crate) store: FileStore,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
    /// The directory of a CA is fetched once, its nonces and connections are kept.
    clients: HashMap<(Url, Option<PathBuf>), Client>,
    /// The last one stays open for whoever wants the same: a port is free again only some time after it was closed.
    solver: Option<(Http01, Arc<OpenSolver>)>,
}

impl Session {
    pub(crate) fn new(store: FileStore, output: &Output, clock: Arc<dyn Clock>) -> Self {
        Self { store, output: *output, clock, clients: HashMap::new(), solver: None }
    }

    /// The client of a CA.
    pub(crate) async fn client(&mut self, authority: &Authority) -> Result<Client, Failure> {
        let key = (authority.server.clone(), authority.ca_file.clone());
        if let Some(client) = self.clients.get(&key) {
            return Ok(client.clone());
        }
        let client =
            authority::client(authority, authority::transport(authority)?, self.clock.clone()).await?;
        self.clients.insert(key, client.clone());
        Ok(client)
    }

    /// What answers the CA's questions in this way.
    pub(crate) async fn solver(&mut self, http01: &Http01) -> Result<Arc<OpenSolver>, Failure> {
        if let Some((_, solver)) = self.solver.as_ref().filter(|(known, _)| known == http01) {
            return Ok(solver.clone());
        }
        // `:80` and `0.0.0.0:80` are not the same text, but the same port.
        if let Some(last) = self.solver.take().and_then(|(_, last)| Arc::into_inner(last)) {
            last.close().await;
        }
        let solver = Arc::new(solver::open(http01)?);
        self.solver = Some((http01.clone(), solver.clone()));
        Ok(solver)
    }
}
