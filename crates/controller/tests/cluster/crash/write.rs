//! What is written to the API server at a point, by the log of the points.

use std::collections::BTreeSet;

/// How far an issuance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The CA has not been asked how the names are to be proved.
    Ordering,
    /// It has not been told yet that it may ask.
    Proving,
    /// It has been.
    Issuing,
}

/// A kind of write, such as `PATCH gateways`, and when it comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    stage: Stage,
    what: String,
}

/// The kinds of all writes.
pub(super) fn kinds(points: &str) -> BTreeSet<Kind> {
    writes(points).into_iter().map(|(_, kind)| kind).collect()
}

/// The kind of the last point, if it is a write.
pub(super) fn last_kind(points: &str) -> Option<Kind> {
    let last = points.lines().count();
    writes(points).pop().filter(|(number, _)| *number == last).map(|(_, kind)| kind)
}

/// The numbers of the points from the first write of these kinds to the last, in each stage by itself: what is written
/// at the same time comes in any order.
pub(super) fn around(points: &str, kinds: &BTreeSet<Kind>) -> BTreeSet<usize> {
    let writes = writes(points);
    let mut numbers = BTreeSet::new();
    for stage in [Stage::Ordering, Stage::Proving, Stage::Issuing] {
        let of_stage = || {
            let ours = writes.iter().filter(move |(_, kind)| kind.stage == stage && kinds.contains(kind));
            ours.map(|(number, _)| *number)
        };
        if let (Some(first), Some(last)) = (of_stage().min(), of_stage().max()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

/// The number and the kind of each point at a write.
fn writes(points: &str) -> Vec<(usize, Kind)> {
    let mut stage = Stage::Ordering;
    let mut writes = Vec::new();
    for (number, point) in (1..).zip(points.lines()) {
        stage = stage.max(stage_of(point));
        writes.extend(what(point).map(|what| (number, Kind { stage, what })));
    }
    writes
}

/// The stage that a request to the CA begins, by Pebble's paths of authorizations and challenges.
fn stage_of(point: &str) -> Stage {
    match point {
        point if point.contains("/chalZ/") => Stage::Issuing,
        point if point.contains("/authZ/") => Stage::Proving,
        _ => Stage::Ordering,
    }
}

/// The method and the resource. Events, and statuses of Certificates and issuers, are passed over: when they come is up
/// to chance.
fn what(point: &str) -> Option<String> {
    let mut words = point.split(' ').skip(1);
    let (method, path) = (words.next()?, words.next()?);
    let (_, object) = path.split_once("/namespaces/")?;
    let resource = object.split('/').nth(1)?;
    (!matches!(resource, "certificates" | "events" | "issuers")).then(|| format!("{method} {resource}"))
}
