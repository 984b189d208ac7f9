//! The requests to the API server and to the CA, counted where they arrive.

use super::plane::Plane;
use crate::controller::USER;
use std::collections::BTreeMap;

/// How often each kind of request came.
#[derive(Default)]
pub(super) struct Requests {
    /// To the API server, by verb and resource; watches are not counted.
    pub(super) api: BTreeMap<String, u64>,
    /// To the CA, by method and the kind of resource.
    pub(super) ca: BTreeMap<String, u64>,
}

impl Requests {
    /// All of the controller's so far.
    pub(super) fn of(plane: &Plane) -> Self {
        let mut requests = Self::default();
        for request in plane.server.requests().iter().filter(|request| request.user.username == USER) {
            let object = &request.object_ref;
            let slash = if object.subresource.is_empty() { "" } else { "/" };
            let kind = format!("{} {}{slash}{}", request.verb, object.resource, object.subresource);
            *requests.api.entry(kind).or_default() += 1;
        }
        for kind in plane.pebble.log().lines().filter_map(ca_request) {
            *requests.ca.entry(kind).or_default() += 1;
        }
        requests
    }

    /// Those that came after others.
    pub(super) fn since(mut self, before: &Self) -> Self {
        for (all, before) in [(&mut self.api, &before.api), (&mut self.ca, &before.ca)] {
            for (kind, count) in before {
                all.entry(kind.clone()).and_modify(|all| *all -= count);
            }
            all.retain(|_, count| *count > 0);
        }
        self
    }

    /// Those to the API server that change something.
    pub(super) fn writes(&self) -> u64 {
        let is_write = |kind: &&String| !kind.starts_with("get ") && !kind.starts_with("list ");
        self.api.iter().filter(|(kind, _)| is_write(kind)).map(|(_, count)| count).sum()
    }
}

/// A line of Pebble's log: `Pebble 2026/11/26 15:00:00 POST /my-order/x -> calling handler()`.
fn ca_request(line: &str) -> Option<String> {
    let mut words = line.strip_suffix("-> calling handler()")?.split_whitespace().rev();
    let (path, method) = (words.next()?, words.next()?);
    let kind = path.trim_start_matches('/').split('/').next()?;
    Some(format!("{method} {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pebble_logs_is_read() {
        let read = |line| ca_request(line).unwrap_or_default();
        assert_eq!(
            read("Pebble 2026/11/26 15:00:00 POST /my-order/abc -> calling handler()"),
            "POST my-order"
        );
        assert_eq!(read("Pebble 2026/11/26 15:00:00 GET /dir -> calling handler()"), "GET dir");
        assert_eq!(read("Pebble 2026/11/26 15:00:00 issued certificate"), "");
    }
}
