//! Answers on a port of this program's own.

use crate::error::Failure;
use async_trait::async_trait;
use gatecert_http01::{ListenAddress, Responder, Server, ServerHandle, TokenStore};
use gatecert_issue::{Presentation, Solver, SolverError};

/// A running responder. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ResponderSolver {
    tokens: TokenStore,
    server: ServerHandle,
}

impl ResponderSolver {
    pub(crate) fn bind(address: ListenAddress) -> Result<Self, Failure> {
        let tokens = TokenStore::new();
        let server = Server::bind(address).map_err(|error| {
            let options =
                "--http01-listen takes another address, --webroot a directory that is served on port 80";
            let hint = error.hint().map_or_else(|| options.into(), |hint| format!("{hint}\n{options}"));
            Failure::local("bind", &error).hint(hint)
        })?;
        let server =
            server.spawn(Responder::new(tokens.clone())).map_err(|error| Failure::local("bind", &error))?;
        Ok(Self { tokens, server })
    }

    /// Ends the responder, and returns when the port is free.
    pub(crate) async fn close(self) {
        // One that has ended before has no port any more.
        let _ = self.server.shutdown().await;
    }
}

#[async_trait]
impl Solver for ResponderSolver {
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        for Presentation { identifier, token, key_authorization } in presentations {
            let put = self.tokens.insert(&identifier.value(), token, key_authorization);
            put.map_err(|error| {
                SolverError::of(identifier.clone(), "its answer can not be served").with_source(error)
            })?;
        }
        Ok(())
    }

    async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
        Ok(())
    }

    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
        for Presentation { identifier, token, .. } in presentations {
            self.tokens.remove(&identifier.value(), token);
        }
        Ok(())
    }
}
