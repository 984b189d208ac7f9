//! What one stream has asked for, what it was sent, and what it has to be sent next. Pure.
//!
//! The protocol is xDS, state of the world: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.

use super::resource::TYPE_URL;
use super::secrets::{Entry, Table};
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use std::collections::{BTreeMap, BTreeSet};

/// How many certificates one stream may ask for. An Envoy makes a stream for each secret; other clients may ask for all in one.
/// With a chain of 4 KiB and its key each, an answer has about 1.3 MiB.
const MAX_NAMES: usize = 256;

/// How much of a text of the other side is logged, in characters: no name of a certificate is longer.
const MAX_LOGGED: usize = 253;

/// One stream's state.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    names: BTreeSet<String>,
    /// The change that each pair came with that was sent last.
    sent: BTreeMap<String, u64>,
    /// The number of answers so far; the last one's nonce.
    answers: u64,
    /// The last answer that was refused: said once, however often the other side repeats it.
    refused: u64,
}

/// Why a request ends its stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("only resources of the type {TYPE_URL} are served here")]
    Type,
    #[error("{0} resource names are more than the {MAX_NAMES} that one stream may ask for")]
    Names(usize),
}

impl Subscription {
    /// Takes a request: a first one, other names, or what became of the last answer (ACK or NACK).
    pub(super) fn request(&mut self, request: DiscoveryRequest) -> Result<(), Refusal> {
        if !request.type_url.is_empty() && request.type_url != TYPE_URL {
            return Err(Refusal::Type);
        }
        if request.resource_names.len() > MAX_NAMES {
            return Err(Refusal::Names(request.resource_names.len()));
        }
        // Sent before the last answer was read: one that answers that follows, with the same names.
        if self.answers > 0 && request.response_nonce != self.answers.to_string() {
            return Ok(());
        }
        if let Some(error) = &request.error_detail
            && self.refused != self.answers
        {
            self.refused = self.answers;
            let (names, why) = (shown(&request.resource_names.join(", ")), shown(&error.message));
            tracing::warn!(%names, "an Envoy refused what it was sent, and keeps what it has: {why}");
        }
        self.names = request.resource_names.into_iter().collect();
        // What is asked for again later is sent again.
        self.sent.retain(|name, _| self.names.contains(name));
        Ok(())
    }

    /// The answer that is due: all that was asked for and exists, as soon as a part of it is news. A pair that was refused is
    /// not sent again.
    pub(super) fn answer(&mut self, table: &Table) -> Option<DiscoveryResponse> {
        let present: Vec<(&String, &Entry)> =
            self.names.iter().filter_map(|name| Some((name, table.entry(name)?))).collect();
        if present.iter().all(|(name, entry)| self.sent.get(*name) == Some(&entry.revision)) {
            return None;
        }
        self.answers += 1;
        self.sent = present.iter().map(|(name, entry)| ((*name).clone(), entry.revision)).collect();
        Some(response(&present, self.answers.to_string()))
    }

    /// The names that wait for their certificate, for the log.
    pub(super) fn waiting(&self, table: &Table) -> Option<String> {
        let waiting: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| table.entry(name).is_none()).collect();
        (!waiting.is_empty()).then(|| shown(&waiting.join(", ")))
    }
}

/// The answer to a single question, if anything of what it asks for exists.
pub(super) fn fetch(request: DiscoveryRequest, table: &Table) -> Result<Option<DiscoveryResponse>, Refusal> {
    let mut subscription = Subscription::default();
    subscription.request(request)?;
    Ok(subscription.answer(table))
}

fn response(present: &[(&String, &Entry)], nonce: String) -> DiscoveryResponse {
    let version = present.iter().map(|(_, entry)| entry.revision).max().unwrap_or_default();
    DiscoveryResponse {
        version_info: version.to_string(),
        resources: present.iter().map(|(name, entry)| entry.pair.resource(name)).collect(),
        type_url: TYPE_URL.to_owned(),
        nonce,
        ..DiscoveryResponse::default()
    }
}

/// A text of the other side, cut, without anything that steers a terminal.
fn shown(text: &str) -> String {
    text.chars().take(MAX_LOGGED).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
