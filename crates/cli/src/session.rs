//! What the issuances of one run share: a client for each CA, and what answers its questions on each address.

use crate::args::Authority;
use crate::authority;
use crate::error::Failure;
use crate::output::Output;
use crate::solver;
use gatecert_acme::{Client, Clock};
use gatecert_issue::Solver;
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
    /// A port is bound once: it is free again only some time after it was closed.
    solvers: Vec<(Http01, Arc<dyn Solver>)>,
}

impl Session {
    pub(crate) fn new(store: FileStore, output: &Output, clock: Arc<dyn Clock>) -> Self {
        Self { store, output: *output, clock, clients: HashMap::new(), solvers: Vec::new() }
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
    pub(crate) fn solver(&mut self, http01: &Http01) -> Result<Arc<dyn Solver>, Failure> {
        if let Some((_, solver)) = self.solvers.iter().find(|(known, _)| known == http01) {
            return Ok(solver.clone());
        }
        let solver = solver::open(http01)?;
        self.solvers.push((http01.clone(), solver.clone()));
        Ok(solver)
    }
}
