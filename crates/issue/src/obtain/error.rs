//! Why there is no certificate.

use crate::hint;
use crate::journal::JournalError;
use crate::key::KeyError;
use crate::solver::SolverError;
use crate::verify::VerifyError;
use gatecert_acme::{
    AuthorizationError, Identifier, MAX_IDENTIFIERS, OrderError, Problem, ProblemKind, RequestError, Retry,
};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use url::Url;

/// When to try again after a failure that may pass. [`Failures`](crate::retry::Failures) makes it more and more.
const PASSING: Duration = Duration::from_secs(60);

/// When to try again after a failure that takes its time: a rate limit without `Retry-After`, a wrong clock.
const SLOW: Duration = Duration::from_secs(60 * 60);

/// Why there is no certificate, by step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObtainError {
    /// There are no names, or too many.
    #[error("a certificate has 1 to {max} names, this one has {count}", max = MAX_IDENTIFIERS)]
    Count {
        /// How many.
        count: usize,
    },
    /// A wildcard is wanted.
    #[error("`{identifier}` can not be proved over HTTP: wildcards need DNS (RFC 8555 §8.3)")]
    Wildcard {
        /// The wildcard.
        identifier: Identifier,
    },
    /// The CA has no such profile.
    #[error("the CA has no profile `{profile}`; {}", offers(.offered))]
    ProfileNotOffered {
        /// The wanted profile.
        profile: String,
        /// Those that it advertises.
        offered: Vec<String>,
    },
    /// The key or the CSR can not be made.
    #[error("there is no key or no request made with it")]
    Key(#[source] KeyError),
    /// The journal can not be read or written. Nothing is ordered without it.
    #[error("the journal can not be used")]
    Journal(#[source] JournalError),
    /// The order of an earlier attempt can not be read now.
    #[error("an earlier attempt can not be gone on with")]
    Resume(#[source] Box<OrderError>),
    /// The CA makes no order.
    #[error("nothing was ordered")]
    Order {
        /// Why.
        source: Box<OrderError>,
        /// The profiles that the CA advertises, where addresses were ordered without any.
        untried_profiles: Option<Vec<String>>,
    },
    /// The authorizations can not be read.
    #[error(transparent)]
    Authorizations(Box<OrderError>),
    /// The CA offers no HTTP-01 for a name.
    #[error("the CA does not validate {identifier} over HTTP; it offers {}", .offered.join(", "))]
    NoHttp01 {
        /// The name.
        identifier: Identifier,
        /// The types of challenges that it offers.
        offered: Vec<String>,
    },
    /// The answers can not be put in place. The CA was not told to look.
    #[error("the answers to the challenges can not be put in place")]
    Present(#[source] SolverError),
    /// The answers can not be reached. The CA was not told to look.
    #[error("the answers to the challenges can not be reached")]
    Ready(#[source] SolverError),
    /// The CA can not be told to look.
    #[error("the challenge for {identifier} was not begun")]
    Respond {
        /// The name.
        identifier: Identifier,
        /// Why.
        source: Box<AuthorizationError>,
    },
    /// The CA has not found the answers for some names, or refuses them.
    #[error("validation failed: {}", list(.failures))]
    Validation {
        /// The names that failed, at least one.
        failures: Vec<Failure>,
    },
    /// The order of an earlier attempt is of no use any more; [`obtain`](super::obtain()) makes another one.
    #[error("order {url} has authorizations that are of no use any more")]
    Stale {
        /// The URL of the order.
        url: Url,
    },
    /// The validation has not come to an end.
    #[error(transparent)]
    Wait(Box<OrderError>),
    /// The CA does not take the CSR.
    #[error(transparent)]
    Finalize(Box<OrderError>),
    /// The CA does not issue the certificate after all.
    #[error(transparent)]
    Issue(Box<OrderError>),
    /// The certificate can not be downloaded.
    #[error(transparent)]
    Download(Box<OrderError>),
    /// The certificate is not what was asked for. It is not given out.
    #[error("the CA's certificate can not be served")]
    Verify(#[source] VerifyError),
}

/// A name that was not validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name.
    pub identifier: Identifier,
    /// What the CA says of it, where it says something.
    pub problem: Option<Problem>,
}

impl Failure {
    /// The probable cause, and what to do about it.
    pub fn hint(&self) -> Option<String> {
        hint::of_validation(&self.identifier, self.problem.as_ref()?)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{}: {problem}", self.identifier),
            None => write!(f, "{}: no reason given", self.identifier),
        }
    }
}

fn list(failures: &[Failure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn offers(profiles: &[String]) -> String {
    match profiles {
        [] => "it has none at all".to_owned(),
        profiles => format!("it has {}", profiles.join(", ")),
    }
}

impl ObtainError {
    /// Whether to try again, and when. This is what [`Failures::add`](crate::retry::Failures::add) takes.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Journal(_) | Self::Present(_) | Self::Ready(_) | Self::Stale { .. } => {
                Retry::After(PASSING)
            }
            Self::Respond { source, .. } if source.request().is_unreadable() => Retry::After(PASSING),
            Self::Respond { source, .. } => source.retry(),
            Self::Download(error) if error.request().is_none() => Retry::After(PASSING),
            Self::Validation { failures } => retry_of_all(failures),
            Self::Verify(error) if error.is_about_time() => Retry::After(SLOW),
            _ => self.order_error().map_or(Retry::No, retry_of_order),
        }
    }

    /// The probable cause and what to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Order { untried_profiles: Some(offered), source } if source.retry() == Retry::No => {
                hint::of_addresses(source.problem(), offered).or_else(|| self.problem_hint())
            }
            Self::Validation { failures } => {
                // One cause often hits many names: what is the same is said once.
                let hints: BTreeSet<_> = failures.iter().filter_map(Failure::hint).collect();
                (!hints.is_empty()).then(|| hints.into_iter().collect::<Vec<_>>().join("\n"))
            }
            Self::Verify(error) if error.is_about_time() => {
                Some("the clock of this machine may be wrong".to_owned())
            }
            _ => self.problem_hint(),
        }
    }

    fn problem_hint(&self) -> Option<String> {
        let problem = self.problem()?;
        let of_names = problem.subproblems.iter().find_map(|sub| sub.identifier.as_ref());
        hint::of_problem(of_names, problem)
    }

    /// The names that are concerned; empty where all are, or none in particular.
    pub fn identifiers(&self) -> BTreeSet<Identifier> {
        match self {
            Self::Wildcard { identifier }
            | Self::NoHttp01 { identifier, .. }
            | Self::Respond { identifier, .. } => [identifier.clone()].into(),
            Self::Present(error) | Self::Ready(error) => error.identifiers(),
            Self::Validation { failures } => {
                failures.iter().map(|failure| failure.identifier.clone()).collect()
            }
            _ => {
                let subproblems =
                    self.problem().map(|problem| problem.subproblems.as_slice()).unwrap_or_default();
                subproblems.iter().filter_map(|subproblem| subproblem.identifier.clone()).collect()
            }
        }
    }

    /// What the CA says of it. Failed validations have their own, see [`Self::Validation`].
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Respond { source, .. } => source.request().problem(),
            _ => self.order_error()?.problem(),
        }
    }

    /// Whether the order will not come to anything any more, so that the next attempt needs another one.
    pub(super) fn ends_order(&self) -> bool {
        match self {
            Self::Validation { .. } | Self::Stale { .. } | Self::NoHttp01 { .. } => true,
            Self::Verify(error) => !error.is_about_time(),
            // The certificate exists, and the journal has the only copy of its key.
            Self::Respond { .. } | Self::Download(_) => false,
            _ => self.order_error().is_some_and(is_end_of_order),
        }
    }

    fn order_error(&self) -> Option<&OrderError> {
        match self {
            Self::Resume(source)
            | Self::Order { source, .. }
            | Self::Authorizations(source)
            | Self::Wait(source)
            | Self::Finalize(source)
            | Self::Issue(source)
            | Self::Download(source) => Some(source),
            _ => None,
        }
    }
}

fn retry_of_order(error: &OrderError) -> Retry {
    match error {
        OrderError::Invalid { problem, .. } => {
            problem.as_deref().map_or(Retry::After(PASSING), retry_of_problem)
        }
        // Another replica of the CA may know more: the order is looked at again.
        error if error.request().is_some_and(|request| request.is(&ProblemKind::OrderNotReady)) => {
            Retry::After(PASSING)
        }
        // Something on the way may have cut it short.
        error if error.request().is_some_and(RequestError::is_unreadable) => Retry::After(PASSING),
        error => error.retry(),
    }
}

/// The whole order needs all names, so that one which waiting does not mend decides.
fn retry_of_all(failures: &[Failure]) -> Retry {
    let mut all = failures
        .iter()
        .map(|failure| failure.problem.as_ref().map_or(Retry::After(PASSING), retry_of_problem));
    match all.clone().any(|retry| retry == Retry::No) {
        true => Retry::No,
        false if all.any(|retry| retry == Retry::After(SLOW)) => Retry::After(SLOW),
        false => Retry::After(PASSING),
    }
}

fn retry_of_problem(problem: &Problem) -> Retry {
    match &problem.kind {
        ProblemKind::RateLimited if problem.unpause_url().is_none() => Retry::After(SLOW),
        ProblemKind::RateLimited
        | ProblemKind::AccountDoesNotExist
        | ProblemKind::BadCsr
        | ProblemKind::BadPublicKey
        | ProblemKind::Caa
        | ProblemKind::InvalidProfile
        | ProblemKind::RejectedIdentifier
        | ProblemKind::UnsupportedIdentifier
        | ProblemKind::UserActionRequired => Retry::No,
        _ => Retry::After(PASSING),
    }
}

fn is_end_of_order(error: &OrderError) -> bool {
    match error {
        OrderError::TimedOut { .. } => false,
        error => error.request().is_none_or(is_refusal),
    }
}

/// Whether the CA has refused for good: repeating the same request gives the same answer. A problem document that was
/// cut short on its way may say something else.
fn is_refusal(error: &RequestError) -> bool {
    let passes = [ProblemKind::RateLimited, ProblemKind::BadNonce, ProblemKind::OrderNotReady];
    let is_client_error =
        error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 429);
    is_client_error && !error.is_unreadable() && !passes.iter().any(|kind| error.is(kind))
}

/// Whether a refused order may be taken without the certificate that it said it replaces: CAs answer with many kinds
/// (RFC 9773 §5 has `alreadyReplaced`; `conflict`, `malformed`, `serverInternal`, `unauthorized` and 404 have been seen).
pub(super) fn may_be_of_replaces(error: &OrderError) -> bool {
    let kinds = [
        ProblemKind::AlreadyReplaced,
        ProblemKind::Conflict,
        ProblemKind::Malformed,
        ProblemKind::ServerInternal,
        ProblemKind::Unauthorized,
    ];
    let OrderError::Create(request) = error else { return false };
    let is_status = request.status().is_some_and(|status| matches!(status.as_u16(), 404 | 409));
    is_status || kinds.iter().any(|kind| request.is(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(name: &str, kind: &str, detail: &str) -> Failure {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let problem = serde_json::from_value(serde_json::json!({"type": kind, "detail": detail})).unwrap();
        Failure { identifier: name.parse().unwrap(), problem: Some(problem) }
    }

    #[test]
    fn failed_names_are_listed_with_what_the_ca_says() {
        let failures =
            vec![failure("a.test", "dns", "no such host"), failure("b.test", "connection", "refused")];
        let error = ObtainError::Validation { failures };
        assert_eq!(
            error.to_string(),
            "validation failed: a.test: dns: no such host; b.test: connection: refused"
        );
        assert_eq!(error.identifiers(), ["a.test", "b.test"].map(|name| name.parse().unwrap()).into());
        assert_eq!(error.hint().unwrap().lines().count(), 2);
        assert_eq!(error.retry(), Retry::After(PASSING));
        assert!(error.ends_order());
    }

    #[test]
    fn one_name_that_waiting_does_not_mend_decides() {
        let retry = |failures: Vec<Failure>| ObtainError::Validation { failures }.retry();
        let dns = || failure("a.test", "dns", "");
        assert_eq!(retry(vec![dns(), failure("b.test", "caa", "")]), Retry::No);
        assert_eq!(retry(vec![dns(), failure("b.test", "rateLimited", "")]), Retry::After(SLOW));
        let paused = failure("b.test", "rateLimited", "open https://portal.test/unpause?x");
        assert_eq!(retry(vec![paused]), Retry::No);
    }

    #[test]
    fn an_answer_that_was_cut_short_is_asked_for_again() {
        let url = || "https://ca.test/x".parse().unwrap();
        let unreadable = RequestError::Body { url: url(), content_type: None, line: 1, column: 1 };
        let error =
            ObtainError::Order { source: Box::new(OrderError::Create(unreadable)), untried_profiles: None };
        assert_eq!(error.retry(), Retry::After(PASSING));
        let other = RequestError::NotOffered { resource: "newOrder" };
        let error =
            ObtainError::Order { source: Box::new(OrderError::Create(other)), untried_profiles: None };
        assert_eq!(error.retry(), Retry::No);
    }

    #[test]
    fn profiles_are_listed() {
        let error = |offered: &[&str]| {
            let offered = offered.iter().map(ToString::to_string).collect();
            ObtainError::ProfileNotOffered { profile: "x".into(), offered }.to_string()
        };
        assert_eq!(error(&["classic", "tlsserver"]), "the CA has no profile `x`; it has classic, tlsserver");
        assert_eq!(error(&[]), "the CA has no profile `x`; it has none at all");
    }
}
