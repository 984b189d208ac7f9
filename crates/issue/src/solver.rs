//! What proves the names: the seam towards whatever answers on their port 80.

use async_trait::async_trait;
use gatecert_acme::Identifier;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

/// One HTTP-01 answer (RFC 8555 §8.3): `http://<identifier>/.well-known/acme-challenge/<token>` has to give the key
/// authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The name or address; never a wildcard.
    pub identifier: Identifier,
    /// 1 to 128 characters of base64url, so that it is safe in a path.
    pub token: String,
    /// The answer: the token, a dot, the thumbprint of the account's key.
    pub key_authorization: String,
}

/// Puts answers in place before the CA asks for them, and takes them away afterwards.
///
/// [`obtain`](crate::obtain::obtain()) gives all presentations of an order at once. It calls `clean_up` with the same
/// ones after `present`, on every way out, errors of `present` included. When its future is dropped (a signal, a
/// timeout) it can not: whoever drops it takes away what the solver has put in place, or the next attempt does, which
/// asks for it when it goes on with an order. So a solver bears being asked to take away what is not there.
#[async_trait]
pub trait Solver: Send + Sync {
    /// Puts the answers in place.
    async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError>;

    /// Returns when the answers can be reached as the CA reaches them. An error here costs nothing; a challenge that
    /// fails counts against the limits of the CA.
    async fn ready(&self, presentations: &[Presentation]) -> Result<(), SolverError>;

    /// Takes the answers away.
    async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError>;
}

/// Why answers can not be put in place, are not reachable, or can not be taken away.
#[derive(Debug, Default)]
pub struct SolverError {
    failures: Vec<(Option<Identifier>, String)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl SolverError {
    /// A failure of one name.
    pub fn of(identifier: Identifier, message: impl Into<String>) -> Self {
        Self { failures: vec![(Some(identifier), message.into())], source: None }
    }

    /// A failure that concerns all names.
    pub fn general(message: impl Into<String>) -> Self {
        Self { failures: vec![(None, message.into())], source: None }
    }

    /// Failures of several names, each with its own message.
    pub fn all(failures: impl IntoIterator<Item = (Identifier, String)>) -> Self {
        let failures =
            failures.into_iter().map(|(identifier, message)| (Some(identifier), message)).collect();
        Self { failures, source: None }
    }

    /// With the error that it comes from.
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The names that failed; empty where all are concerned.
    pub fn identifiers(&self) -> BTreeSet<Identifier> {
        self.failures.iter().filter_map(|(identifier, _)| identifier.clone()).collect()
    }
}

impl fmt::Display for SolverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (identifier, message)) in self.failures.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match identifier {
                Some(identifier) => write!(f, "{separator}{identifier}: {message}")?,
                None => write!(f, "{separator}{message}")?,
            }
        }
        Ok(())
    }
}

impl Error for SolverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_names() {
        let [a, b] = ["a.test", "192.0.2.1"].map(|name| name.parse::<Identifier>().unwrap());
        let error =
            SolverError::all([(a.clone(), "answers 404".into()), (b.clone(), "no connection".into())]);
        assert_eq!(error.to_string(), "a.test: answers 404; 192.0.2.1: no connection");
        assert_eq!(error.identifiers(), [a, b].into());
        let general = SolverError::general("port 80 is taken").with_source("in use");
        assert_eq!(general.to_string(), "port 80 is taken");
        assert_eq!(general.source().unwrap().to_string(), "in use");
        assert!(general.identifiers().is_empty());
    }
}
