//! Which gateway takes the name and the challenge's path, and whether a challenge may have a route there.

mod fix;
mod listeners;
mod plain;
#[cfg(test)]
mod tests;

use super::issuer::Meant;
use super::kind::Kind;
use super::report::Verdict;
use gatecert_controller::route::{Door, GatewayName, Placement, Refusal, RefusalReason};
use gatecert_render::{CHALLENGE_PATH, ObjectName, gateway_api, istio};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of a name.
#[derive(Clone, Debug)]
pub(super) struct GatewayFacts {
    pub(super) host: String,
    /// The ports that take it.
    pub(super) doors: Vec<Door>,
    /// Where a challenge would go.
    pub(super) placement: Result<Placement, Vec<Refusal>>,
    /// VirtualServices with all that stands in them.
    pub(super) virtual_services: BTreeMap<ObjectName, Value>,
    /// Istio's Gateways.
    pub(super) istio_gateways: Vec<Arc<istio::Gateway>>,
    /// The Gateway API's Gateways.
    pub(super) gateways: Vec<Arc<gateway_api::Gateway>>,
    /// Its ListenerSets.
    pub(super) listener_sets: Vec<Arc<gateway_api::ListenerSet>>,
    /// The names of the IngressClasses.
    pub(super) ingress_classes: BTreeSet<String>,
    /// The namespace that asks for the name, or would.
    pub(super) namespace: Option<String>,
    /// The labels of that namespace, where they could be read.
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// The Secret that the Certificate writes.
    pub(super) secret: Option<ObjectName>,
    /// The Certificate's issuer.
    pub(super) issuer: Option<Meant>,
}

pub(super) fn verdicts(facts: &GatewayFacts) -> Vec<Verdict> {
    let mut verdicts = match &facts.placement {
        Ok(placement) => vec![placed(facts, placement)],
        Err(refusals) => refusals.iter().map(|refusal| refused(facts, refusal)).collect(),
    };
    let is_on_https =
        facts.placement.as_ref().is_ok_and(|placement| placement.probes.iter().any(|probe| probe.is_tls));
    // A redirect is asked before any route, so that the routes behind it count only where it leads.
    let asked = facts.doors.iter().filter(|door| match door.port {
        80 => door.redirecting.is_empty(),
        _ => is_on_https,
    });
    verdicts.extend(asked.flat_map(|door| taken(facts, door)));
    verdicts.extend(facts.doors.iter().filter_map(|door| shadowed(facts, door)));
    verdicts
}

/// A challenge gets a route: how the name comes in now, and how the challenge will.
fn placed(facts: &GatewayFacts, placement: &Placement) -> Verdict {
    let doors = facts.doors.iter().filter(|door| door.port == 80);
    let now: Vec<_> = doors.clone().map(served).collect();
    let objects: Vec<_> = doors.flat_map(|door| door.gateways.iter().cloned()).collect();
    let way = match placement {
        placement if placement.probes.iter().any(|probe| probe.is_tls) => {
            "plain requests are redirected, so that the challenge is answered on port 443"
        }
        placement if !placement.bypasses.is_empty() => {
            "plain requests are redirected; a Gateway for this name alone takes the challenge's path out of that"
        }
        placement if !placement.virtual_services.is_empty() => {
            "a VirtualService beside the Certificate takes the challenge"
        }
        placement if !placement.http_routes.is_empty() => {
            "an HTTPRoute for the exact path takes the challenge"
        }
        _ => "an Ingress for the exact path takes the challenge",
    };
    let now = if now.is_empty() { "nothing serves it yet".to_owned() } else { now.join("; ") };
    let verdict = Verdict::ok(Kind::GatewayOk, format!("{now}; {way}"));
    if objects.is_empty() { verdict } else { verdict.object(listed(&objects)) }
}

/// What a port does with the name.
fn served(door: &Door) -> String {
    let route = match door.routes.as_slice() {
        _ if !door.redirecting.is_empty() => {
            format!(
                "redirected to HTTPS by {} (tls.httpsRedirect), before any route",
                listed(&door.redirecting)
            )
        }
        [] => "no route has it, so that all but a challenge gets 404".to_owned(),
        [first, ..] => format!("{} has it by its host {}, the closest", first.title(), first.host),
    };
    match door.hidden.first() {
        Some(hidden) => format!("{route}, and hides {} ({})", hidden.title(), hidden.host),
        None => route,
    }
}

fn refused(facts: &GatewayFacts, refusal: &Refusal) -> Verdict {
    let kind = match refusal.reason {
        RefusalReason::NotAllowed => Kind::GatewayNotAllowed,
        RefusalReason::GatewayNotReady => Kind::GatewayNotReady,
        RefusalReason::RedirectWithoutHttps => Kind::GatewayRedirect,
        _ => Kind::GatewayMissing,
    };
    // The controller's own words: what, then `: ` and what to do.
    let (message, fix) = refusal.message.rsplit_once(": ").unwrap_or((&refusal.message, ""));
    let mut verdict = Verdict::fail(kind, message);
    if let Some(gateway) = facts.doors.iter().find_map(|door| door.gateways.first()) {
        verdict = verdict.object(gateway.to_string());
    }
    let command = fix::refused(facts, refusal);
    let both = Some(fix.to_owned()).filter(|fix| !fix.is_empty()).into_iter().chain(command);
    let both: Vec<_> = both.collect();
    if both.is_empty() { verdict } else { verdict.fix(both.join("\n")) }
}

/// Gateways in a sentence.
fn listed(gateways: &[GatewayName]) -> String {
    gateways.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Routes of others that come before a challenge's and take its path.
fn taken(facts: &GatewayFacts, door: &Door) -> Vec<Verdict> {
    let before = door.routes.iter().filter(|route| route.is_before_challenges);
    let judged = before.filter_map(|route| {
        let http = facts.virtual_services.get(&route.name)?["spec"]["http"].as_array()?;
        http.iter().filter_map(takes_path).max().map(|how| (route, how))
    });
    judged
        .map(|(route, how)| {
            let text = format!(
                "it is seen by few namespaces only (exportTo), so that it comes before a challenge's route, and a match \
                 of it {} {CHALLENGE_PATH}",
                if how == Takes::Surely { "takes" } else { "may take" }
            );
            let verdict = match how {
                Takes::Surely => Verdict::fail(Kind::GatewayPathTaken, text),
                Takes::Perhaps => Verdict::warn(Kind::GatewayPathTaken, text),
            };
            verdict.object(route.title()).fix(format!(
                "keep {CHALLENGE_PATH} out of its matches, or take its exportTo away: kubectl -n {} patch virtualservice \
                 {} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/exportTo\"}}]'",
                route.name.namespace, route.name.name
            ))
        })
        .collect()
}

/// Whether a route takes a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    Perhaps,
    Surely,
}

/// Whether an HTTP route takes the path of a challenge and is no catch-all, which istiod puts last.
fn takes_path(http: &Value) -> Option<Takes> {
    let matches = http["match"].as_array().filter(|matches| !matches.is_empty())?;
    matches.iter().filter_map(takes_match).max()
}

fn takes_match(one: &Value) -> Option<Takes> {
    let uri = &one["uri"];
    let has_more = [
        "headers",
        "queryParams",
        "sourceLabels",
        "sourceNamespace",
        "withoutHeaders",
        "scheme",
        "authority",
        "port",
    ]
    .iter()
    .any(|condition| !one[*condition].is_null());
    let is_get = match (one["method"]["exact"].as_str(), one["method"].is_null()) {
        (_, true) => true,
        (Some(method), _) => method == "GET",
        _ => true,
    };
    let how = match (uri["prefix"].as_str(), uri["exact"].as_str(), uri["regex"].as_str()) {
        (Some(prefix), ..) if CHALLENGE_PATH.starts_with(prefix) || prefix.starts_with(CHALLENGE_PATH) => {
            let is_catch_all = prefix == "/" && !has_more && one["method"].is_null();
            // Beyond the path itself stands a token, which nobody knows.
            let is_whole = prefix.len() <= CHALLENGE_PATH.len();
            (!is_catch_all).then_some(if is_whole { Takes::Surely } else { Takes::Perhaps })
        }
        (Some(_), ..) | (_, Some(_), _) => None,
        (_, _, Some(".*" | "/.*" | "*")) if !has_more => None,
        (_, _, Some(_)) => Some(Takes::Perhaps),
        // Without a path it is for every path, and a catch-all where it has no other condition.
        _ if has_more => Some(Takes::Perhaps),
        _ if one["method"].is_null() => None,
        _ => Some(Takes::Surely),
    };
    let how = how.filter(|_| is_get)?;
    Some(if has_more { Takes::Perhaps } else { how })
}

/// Of several TLS servers for one host on a port istiod takes the oldest, and says nothing of the others.
fn shadowed(facts: &GatewayFacts, door: &Door) -> Option<Verdict> {
    let [first, rest @ ..] = door.gateways.as_slice() else { return None };
    let is_istio = door.routes.iter().all(|route| route.kind == "VirtualService");
    if door.port != 443 || rest.is_empty() || !is_istio {
        return None;
    }
    let text = format!(
        "{} has an HTTPS server for {} as well and is younger: istiod passes it over in silence",
        listed(rest),
        facts.host
    );
    let command = fix::without_host(facts, door).map(|command| format!("\n{command}"));
    Some(Verdict::warn(Kind::GatewayShadowed, text).object(first.to_string()).fix(format!(
        "leave {} to one of them: its routes and its Secret are then those of that Gateway{}",
        facts.host,
        command.unwrap_or_default()
    )))
}
