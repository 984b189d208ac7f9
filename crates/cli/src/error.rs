//! What is told when something fails: what, why, and what to do next.

use crate::Exit;
use gatecert_acme::{AccountError, DirectoryError, ProblemKind, RequestError, Retry, TransportErrorKind};
use gatecert_issue::ObtainError;
use gatecert_publish::{PublishError, StoreError};
use serde::Serialize;
use std::error::Error;
use std::io;

/// A command that failed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// A stable word for programs.
    pub(crate) kind: &'static str,
    /// What and why.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The names that it is about; empty where it is about all, or none.
    pub(crate) names: Vec<String>,
    /// Whether the same may work later, where that is known.
    #[serde(skip)]
    pub(crate) retry: Option<Retry>,
}

impl Failure {
    /// Wrong use.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            kind: "usage",
            message: message.into(),
            hint: None,
            names: Vec::new(),
            retry: None,
        }
    }

    /// Something that this machine refuses.
    pub(crate) fn local(kind: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self { exit: Exit::Failed, kind, message: chain(error), hint: None, names: Vec::new(), retry: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// An error and what it comes from, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

impl From<&clap::Error> for Failure {
    fn from(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        // Below the first paragraph are the usage and the advice to look at it.
        let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        Self::usage(what.split_whitespace().collect::<Vec<_>>().join(" ")).hint("--help tells what there is")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::NoDirectory { .. } => {
                Some("`gatecert issue` makes it with the first certificate; --out names another")
            }
            StoreError::Io { source, .. } => of_directory(source.kind()),
            _ => None,
        };
        Self { hint: hint.map(ToOwned::to_owned), ..Self::local("store", &error) }
    }
}

/// What helps where the directory of certificates can not be used. An option or a configuration names it, so that
/// these are the words of neither.
fn of_directory(error: io::ErrorKind) -> Option<&'static str> {
    match error {
        io::ErrorKind::PermissionDenied => {
            Some("run it as a user who may read and write there, or choose another directory")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("nothing can be written to this file system: choose another directory")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, or choose another directory")
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            Some("a file is where the directory should be: move it away, or choose another directory")
        }
        _ => None,
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let hint = match error.is_in_place() {
            true => "the new certificate is in place: mend the cause, the next run does the rest",
            false => "the certificate is kept in the journal: mend the cause, the next run publishes it",
        };
        Self::local("publish", &error).hint(hint)
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        let hint = match &error {
            DirectoryError::Fetch { source } => of_request(source).or_else(|| {
                matches!(source, RequestError::Body { .. } | RequestError::Status { .. }).then(|| {
                    "is this the URL of an ACME directory? Let's Encrypt's is `letsencrypt`".to_owned()
                })
            }),
            _ => None,
        };
        Self { hint, retry: Some(error.retry()), ..Self::local("directory", &error) }
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let hint = match &error {
            AccountError::ExternalAccountRequired => {
                Some("give both with --eab-kid and --eab-hmac-key-file".to_owned())
            }
            AccountError::DoesNotExist => {
                Some("the CA knows no account of this key: is it the right --server?".to_owned())
            }
            // What it can not be created by is another thing.
            AccountError::Create(source) => of_request(source),
            _ => error.request().and_then(|request| match request {
                RequestError::Problem { problem, .. } if problem.kind == ProblemKind::Unauthorized => {
                    Some(NO_ACCOUNT.to_owned())
                }
                request => of_request(request),
            }),
        };
        Self { hint, retry: Some(error.retry()), ..Self::local("account", &error) }
    }
}

impl From<ObtainError> for Failure {
    fn from(error: ObtainError) -> Self {
        let usage = matches!(
            error,
            ObtainError::Count { .. } | ObtainError::Wildcard { .. } | ObtainError::ProfileNotOffered { .. }
        );
        let later = match error.retry() {
            Retry::After(wait) if !usage => {
                Some(format!("it may work in {}: run the same command again", text_of(wait)))
            }
            _ => None,
        };
        // What is refused at an order is refused to the account, and not to a name.
        let is_refused = matches!(&error, ObtainError::Order { .. })
            && error.problem().is_some_and(|problem| problem.kind == ProblemKind::Unauthorized);
        let of_account = is_refused.then(|| NO_ACCOUNT.to_owned());
        Self {
            exit: if usage { Exit::Usage } else { Exit::Failed },
            kind: if usage { "usage" } else { "issue" },
            hint: error.hint().or(of_account).or(later),
            retry: Some(error.retry()),
            names: error.identifiers().iter().map(ToString::to_string).collect(),
            message: chain(&error),
        }
    }
}

/// What helps against an account that a CA does not take any more: so it refuses all that comes from one that was deactivated
/// (RFC 8555 section 7.3.6).
const NO_ACCOUNT: &str = "if the account was deactivated, move its folder below `accounts` away: the next `gatecert issue` makes \
                          another";

/// What helps against a failed request, whatever it was for.
pub(crate) fn of_request(error: &RequestError) -> Option<String> {
    match error {
        RequestError::Transport { source, .. } => match source.kind() {
            TransportErrorKind::Untrusted => {
                Some("a CA with a root of its own is trusted by --ca-file FILE".to_owned())
            }
            TransportErrorKind::Connect => {
                Some("check the URL, DNS and the way out of this machine".to_owned())
            }
            _ => None,
        },
        RequestError::Problem { problem, .. } => match &problem.kind {
            ProblemKind::RateLimited => {
                problem.unpause_url().map(|url| format!("somebody has to visit {url}"))
            }
            ProblemKind::UserActionRequired => {
                problem.instance.as_ref().map(|url| format!("somebody has to visit {url}"))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A time for people: the two largest units.
fn text_of(wait: std::time::Duration) -> String {
    match wait.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatecert_publish::Action;

    #[test]
    fn a_directory_that_can_not_be_used_says_what_to_do() {
        for (kind, hint) in [
            (io::ErrorKind::PermissionDenied, "run it as a user who may read and write there"),
            (io::ErrorKind::ReadOnlyFilesystem, "nothing can be written to this file system"),
            (io::ErrorKind::StorageFull, "make room"),
            (io::ErrorKind::NotADirectory, "a file is where the directory should be"),
        ] {
            let (action, path) = (Action::CreateDirectory, "/etc/gatecert".into());
            let failure = Failure::from(StoreError::Io { action, path, source: kind.into() });
            assert!(
                failure.message.starts_with("could not create the directory `/etc/gatecert`: "),
                "{failure:?}"
            );
            let told = failure.hint.unwrap();
            assert!(told.starts_with(hint) && told.ends_with("choose another directory"), "{told}");
        }
    }
}
