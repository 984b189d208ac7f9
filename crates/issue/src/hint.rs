//! What is likely behind a CA's problem, and what to do about it.

use gatecert_acme::{Identifier, Problem, ProblemKind};

/// The probable cause of a failed validation of a name.
pub(crate) fn of_validation(identifier: &Identifier, problem: &Problem) -> Option<String> {
    let url = match identifier {
        Identifier::Ip(std::net::IpAddr::V6(address)) => format!("http://[{address}]"),
        other => format!("http://{other}"),
    };
    Some(match &problem.kind {
        ProblemKind::Dns => format!(
            "the CA can not resolve {identifier}: it needs an A or AAAA record on public name servers, and DNSSEC has \
             to be in order where it is used"
        ),
        ProblemKind::Connection => format!(
            "the CA can not reach port 80 of {identifier}: check the firewall and the addresses in DNS, IPv6 first, \
             since the CA prefers it"
        ),
        ProblemKind::Unauthorized | ProblemKind::IncorrectResponse => format!(
            "something else answers at {url}/.well-known/acme-challenge/: check that the name leads here, and that no \
             other route, redirect or policy takes the path"
        ),
        ProblemKind::Tls => format!("{url} redirects to https, and TLS 1.2 or later does not work there"),
        _ => return of_problem(Some(identifier), problem),
    })
}

/// The probable cause of any other problem.
pub(crate) fn of_problem(identifier: Option<&Identifier>, problem: &Problem) -> Option<String> {
    let name = identifier.map_or_else(|| "the name".to_owned(), ToString::to_string);
    Some(match &problem.kind {
        ProblemKind::Caa => {
            format!(
                "a CAA record of {name} or of a domain above it names other CAs only: add one for this CA"
            )
        }
        ProblemKind::RateLimited => match problem.unpause_url() {
            Some(url) => {
                format!("the CA has paused {name} after many failures: mend the cause, then open {url}")
            }
            None => {
                "the CA limits how many it gives in a time: it will be asked again when it said so".to_owned()
            }
        },
        ProblemKind::RejectedIdentifier => {
            format!(
                "the CA does not issue for {name}, by its own rules or on somebody's request: use another name"
            )
        }
        ProblemKind::UserActionRequired => match &problem.instance {
            Some(url) => format!("somebody has to act first, most likely agree to new terms: open {url}"),
            None => "somebody has to act first, most likely agree to new terms".to_owned(),
        },
        ProblemKind::AccountDoesNotExist => {
            "the account is of another CA (staging and production are two), or was deactivated".to_owned()
        }
        ProblemKind::InvalidProfile => {
            "the CA does not give this profile to this account or for these names".to_owned()
        }
        ProblemKind::BadCsr | ProblemKind::BadPublicKey => {
            "the CA does not take this key: try another key type, ecdsa-p256 is taken everywhere".to_owned()
        }
        _ => return None,
    })
}

/// The profile with which Let's Encrypt issues for addresses, and the only one.
const PROFILE_FOR_ADDRESSES: &str = "shortlived";

/// What stops most orders for addresses that ask for no profile. Some problems have a cause of their own that no
/// profile mends.
pub(crate) fn of_addresses(problem: Option<&Problem>, offered: &[String]) -> Option<String> {
    let has_own_cause = problem.is_some_and(|problem| {
        matches!(
            problem.kind,
            ProblemKind::AccountDoesNotExist
                | ProblemKind::Caa
                | ProblemKind::RateLimited
                | ProblemKind::UserActionRequired
        )
    });
    if has_own_cause {
        return None;
    }
    let is_there = offered.iter().any(|profile| profile == PROFILE_FOR_ADDRESSES);
    Some(match offered {
        _ if is_there => format!(
            "ask for the profile `{PROFILE_FOR_ADDRESSES}`: it is the one with which Let's Encrypt issues for IP \
             addresses"
        ),
        [] => format!(
            "the CA may not issue for IP addresses: Let's Encrypt does with the profile `{PROFILE_FOR_ADDRESSES}`, and \
             this CA has no profiles"
        ),
        offered => {
            format!("the CA may issue for IP addresses with a profile only: it has {}", offered.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Problem {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        serde_json::from_value(serde_json::json!({"type": kind, "detail": detail})).unwrap()
    }

    fn hint(name: &str, kind: &str, detail: &str) -> Option<String> {
        of_validation(&name.parse().unwrap(), &problem(kind, detail))
    }

    #[test]
    fn causes_are_named() {
        for (kind, word) in [
            ("dns", "resolve a.test"),
            ("connection", "port 80 of a.test"),
            ("unauthorized", "http://a.test/.well-known"),
            ("tls", "redirects to https"),
            ("caa", "CAA record of a.test"),
            ("rateLimited", "asked again"),
            ("rejectedIdentifier", "does not issue for a.test"),
            ("userActionRequired", "act first"),
            ("invalidProfile", "profile"),
        ] {
            let hint = hint("a.test", kind, "").unwrap();
            assert!(hint.contains(word), "{hint}");
        }
        assert_eq!(hint("a.test", "serverInternal", ""), None);
    }

    #[test]
    fn a_pause_shows_where_to_lift_it() {
        let hint = hint("a.test", "rateLimited", "visit https://portal.test/unpause?jwt=x").unwrap();
        assert!(hint.ends_with("open https://portal.test/unpause?jwt=x"), "{hint}");
    }

    #[test]
    fn addresses_have_brackets_in_a_url() {
        assert!(
            hint("2001:db8::1", "unauthorized", "").unwrap().contains("http://[2001:db8::1]/.well-known")
        );
    }
}
