//! `gatecert status`

mod limits;
mod problems;
mod read;
mod table;
mod time_line;
mod view;
mod watch;

use crate::Exit;
use crate::args::Status;
use crate::cluster;
use crate::error::Failure;
use crate::output::Output;
use crate::stop;
use gatecert_acme::Clock;
use gatecert_api::Health;
use jiff::Timestamp;
use limits::AccountLimits;
use read::{Found, Reader};
use serde::Serialize;
use std::sync::Arc;
use view::View;

pub(crate) async fn run(arguments: &Status, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    let client = cluster::connect(&arguments.cluster).await?;
    let reader = Reader::new(client, arguments.all_namespaces);
    if arguments.watch {
        return watch::run(&reader, output, &*clock).await;
    }
    let found = stop::or_stopped(reader.read(), None).await?;
    let now = clock.now();
    show(&found, &reader, output, &View::of_terminal(output.is_wide()), now)?;
    if !arguments.check {
        return Ok(Exit::Done);
    }
    let bad = found.certificates().filter(|summary| summary.health(now) != Health::Ready).count();
    if bad > 0 {
        output.note(&format!("{bad} of {} certificates are not as they should be", found.len()));
    }
    Ok(if bad == 0 && !found.is_cut { Exit::Done } else { Exit::Failed })
}

/// All of it for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    certificates: Vec<gatecert_api::SummaryAt<'a>>,
    rate_limits: Vec<AccountLimits>,
}

/// Prints what was found.
fn show(found: &Found, reader: &Reader, output: &Output, view: &View, now: Timestamp) -> Result<(), Failure> {
    let limits = found.limits(now);
    let report = Report {
        certificates: found.certificates().map(|summary| summary.at(now)).collect(),
        rate_limits: limits.clone(),
    };
    output.painted(&report, || text(found, &limits, reader, view, now))?;
    if found.is_cut {
        output
            .warning(&format!("there are more than {} certificates; the others are not shown", found.len()));
    }
    Ok(())
}

/// All of it for people: each part where there is something to say.
fn text(found: &Found, limits: &[AccountLimits], reader: &Reader, view: &View, now: Timestamp) -> String {
    if found.len() == 0 {
        return format!("{}\n", reader.nothing());
    }
    let summaries: Vec<_> = found.certificates().collect();
    let parts = [
        table::text(&summaries, view, now),
        time_line::text(&summaries, view, now),
        problems::text(&summaries, now),
        limits::text(limits),
    ];
    parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n")
}
