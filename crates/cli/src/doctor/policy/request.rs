//! The request of a CA, against the rules of an AuthorizationPolicy.

use gatecert_render::CHALLENGE_PATH;
use serde_json::Value;
use std::collections::BTreeSet;

/// Whether something is matched, as far as that is known before a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    No,
    Perhaps,
    Yes,
}

impl From<bool> for Match {
    fn from(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Match {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Perhaps => Self::Perhaps,
            Self::Yes => Self::No,
        }
    }
}

/// Whether one pattern of a field is matched.
type Judge<'a> = &'a dyn Fn(&str) -> Match;

/// The request of a CA: GET on the challenge's path, plain, without certificate and token.
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    pub(super) ports: BTreeSet<u16>,
}

impl Request<'_> {
    /// A rule: any `from`, any `to`, and all of `when`.
    pub(super) fn is_matched(&self, rule: &Value) -> Match {
        let any = |field: &str, part: &str, is: &dyn Fn(&Value) -> Match| {
            let all = rule[field].as_array().filter(|all| !all.is_empty());
            all.map_or(Match::Yes, |all| all.iter().map(|one| is(&one[part])).max().unwrap_or(Match::Yes))
        };
        let from = any("from", "source", &|source| self.is_from(source));
        let to = any("to", "operation", &|operation| self.is_to(operation));
        let when = rule["when"].as_array().into_iter().flatten().map(|condition| self.is_when(condition));
        from.min(to).min(when.min().unwrap_or(Match::Yes))
    }

    fn is_from(&self, source: &Value) -> Match {
        // Nobody who asks has one of these.
        let identities = ["principals", "requestPrincipals", "namespaces", "serviceAccounts"];
        let identities = identities.iter().flat_map(|field| {
            // What is not there is none of those that are left out either.
            [given(&source[*field]).map(|_| Match::No), given(&source[negated(field)]).map(|_| Match::Yes)]
        });
        let blocks = ["ipBlocks", "remoteIpBlocks"].iter().flat_map(|field| {
            [given(&source[*field]).map(block), given(&source[negated(field)]).map(|all| !block(all))]
        });
        identities.chain(blocks).flatten().min().unwrap_or(Match::Yes)
    }

    fn is_to(&self, operation: &Value) -> Match {
        let fields: [(&str, Judge<'_>); 4] = [
            ("hosts", &|pattern| fits(&pattern.to_lowercase(), self.host).into()),
            ("ports", &|port| port.parse().map_or(Match::No, |port| self.is_on(port))),
            ("methods", &|method| fits(method, "GET").into()),
            ("paths", &fits_path),
        ];
        let each = fields.iter().flat_map(|(field, is)| {
            let any = |all: Vec<&str>| all.into_iter().map(*is).max().unwrap_or(Match::No);
            [given(&operation[*field]).map(any), given(&operation[negated(field)]).map(|all| !any(all))]
        });
        each.flatten().min().unwrap_or(Match::Yes)
    }

    /// A policy names the port of the Pod, which may differ from the public one.
    fn is_on(&self, port: u16) -> Match {
        if self.ports.contains(&port) { Match::Yes } else { Match::Perhaps }
    }

    fn is_when(&self, condition: &Value) -> Match {
        let key = condition["key"].as_str().unwrap_or_default();
        let (values, not_values) = (given(&condition["values"]), given(&condition["notValues"]));
        if key.starts_with("request.auth.")
            || matches!(key, "source.principal" | "source.namespace" | "source.serviceAccount")
        {
            return if values.is_some() { Match::No } else { Match::Yes };
        }
        if key == "destination.port" {
            let any = |all: Vec<&str>| {
                all.iter()
                    .filter_map(|port| port.parse().ok())
                    .map(|port| self.is_on(port))
                    .max()
                    .unwrap_or(Match::No)
            };
            return values.map_or(Match::Yes, any).min(not_values.map_or(Match::Yes, |all| !any(all)));
        }
        Match::Perhaps
    }
}

/// `paths` to `notPaths`.
fn negated(field: &str) -> String {
    let (first, rest) = field.split_at(1);
    format!("not{}{rest}", first.to_uppercase())
}

fn given(value: &Value) -> Option<Vec<&str>> {
    let all: Vec<_> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    (!all.is_empty()).then_some(all)
}

/// The CA asks from anywhere.
fn block(blocks: Vec<&str>) -> Match {
    if blocks.iter().any(|block| matches!(*block, "0.0.0.0/0" | "::/0")) {
        Match::Yes
    } else {
        Match::Perhaps
    }
}

/// The text itself, a prefix with `*` behind, a suffix with `*` before, or `*`.
fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(suffix), _) => text.ends_with(suffix),
        (_, Some(prefix)) => text.starts_with(prefix),
        _ => pattern == text,
    }
}

/// The path of a challenge ends in a token, which nobody knows before.
fn fits_path(pattern: &str) -> Match {
    if pattern.contains('{') {
        return Match::Perhaps;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => Match::Yes,
        (Some(_), _) => Match::Perhaps,
        (_, Some(prefix)) if CHALLENGE_PATH.starts_with(prefix) => Match::Yes,
        (_, Some(prefix)) if prefix.starts_with(CHALLENGE_PATH) => Match::Perhaps,
        _ => Match::No,
    }
}
