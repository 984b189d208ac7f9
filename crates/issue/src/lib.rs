//! One ACME issuance from order to verified bundle, resumable; and when to issue.
//!
//! Two functions are the core:
//!
//! - [`plan`](plan::plan()) says from what is served, what is wanted, the CA's renewal information and earlier
//!   failures whether a certificate has to be issued now. It is pure: no clock, no I/O.
//! - [`obtain`](obtain::obtain()) issues one, straight through. What proves the names ([`Solver`]) and what keeps an
//!   order that was cut off ([`Journal`]) are its seams.
//!
//! ```no_run
//! use gatecert_acme::{Account, Identifier};
//! use gatecert_issue::{MemoryJournal, Presentation, Request, Solver, SolverError, obtain};
//! use gatecert_issue::journal::Journal as _;
//!
//! /// Writes the answers below a web server's document root.
//! struct Webroot(std::path::PathBuf);
//!
//! #[async_trait::async_trait]
//! impl Solver for Webroot {
//!     async fn present(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
//!         for Presentation { identifier, token, key_authorization } in presentations {
//!             let path = self.0.join(".well-known/acme-challenge").join(token);
//!             std::fs::write(path, key_authorization)
//!                 .map_err(|error| SolverError::of(identifier.clone(), "no file written").with_source(error))?;
//!         }
//!         Ok(())
//!     }
//!
//!     async fn ready(&self, _: &[Presentation]) -> Result<(), SolverError> {
//!         Ok(())
//!     }
//!
//!     async fn clean_up(&self, presentations: &[Presentation]) -> Result<(), SolverError> {
//!         for Presentation { token, .. } in presentations {
//!             let _ = std::fs::remove_file(self.0.join(".well-known/acme-challenge").join(token));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # async fn issue(account: Account) -> Result<(), Box<dyn std::error::Error>> {
//! let request = Request::new([Identifier::dns("www.example.com")?]);
//! let journal = MemoryJournal::default();
//! let bundle = obtain(&account, &request, &Webroot("/var/www".into()), &journal, &()).await?;
//! std::fs::write("tls.crt", &bundle.chain_pem)?;
//! std::fs::write("tls.key", &*bundle.key_pem)?;
//! journal.clear().await?; // only now: until here, a second call gives the same certificate
//! # Ok(())
//! # }
//! ```

pub mod budget;
pub mod bundle;
pub mod facts;
mod hint;
pub mod journal;
pub mod key;
pub mod obtain;
pub mod plan;
pub mod progress;
pub mod renewal;
mod request;
pub mod retry;
pub mod solver;
pub mod verify;

#[doc(no_inline)]
pub use {
    budget::{Budget, Limits},
    bundle::Bundle,
    facts::{CertificateFacts, facts},
    journal::{Entry, Journal, JournalError, MemoryJournal},
    key::{CertificateKey, KeyError, KeyType},
    obtain::{Failure, KeySource, ObtainError, Request, obtain},
    plan::{Observed, Origin, Plan, Reason, Stored, Wanted, plan, renews_at},
    progress::{Event, Progress},
    renewal::StoredWindow,
    retry::{Failures, Why},
    solver::{Presentation, Solver, SolverError},
    verify::{VerifyError, verify},
};

/// The example of the README, which compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
