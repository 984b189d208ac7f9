//! Why a server did not start, or did not answer.

use std::path::PathBuf;

/// Why a server did not start, or did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program can not be had.
    #[error(transparent)]
    Tool(#[from] crate::tools::ToolError),
    /// A file of its configuration can not be written, or the program not be run.
    #[error("{name} can not be set up")]
    SetUp {
        /// The server.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It ended, or did not become ready.
    #[error("{name} {what}; its log is {}:\n{log_tail}", log.display())]
    NotReady {
        /// The server.
        name: &'static str,
        /// What happened.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        log_tail: String,
    },
    /// A request to it failed.
    #[error("{name} did not answer as expected")]
    Request {
        /// The server.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StartError {
    pub(crate) fn set_up(
        name: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::SetUp { name, source: source.into() }
    }

    pub(crate) fn request(
        name: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Request { name, source: source.into() }
    }
}
