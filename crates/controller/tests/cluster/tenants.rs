//! Tenants against each other. In each cell of the matrix an attacker's namespace asks for what is another's: it is told
//! why not, nothing is ordered, no route is there for a moment, no Secret comes; and beside it whoever is entitled
//! gets the certificate on the same objects.

mod advisories;
mod cell;
mod first_issue;
mod record;
mod renewal;

pub(crate) use advisories::{a_tenants_issuer_has_its_own_account, a_tenants_probe_reads_nothing};
pub(crate) use renewal::an_entitlement_that_was_taken_away;

use crate::Outcome;
use crate::harness::World;
use cell::{ATTACKER, VICTIM};
use first_issue::cells;
use futures::future::join_all;
use gatecert_testkit::cluster::service;
use record::Record;

/// The matrix at first issue.
pub(crate) async fn what_is_anothers(world: &World) -> Outcome {
    prepare(world).await?;
    let record = Record::start(world).await;
    let cells = cells(world);
    // Where the objects of a cell are not there yet, another refusal would be the answer.
    all(cells.iter().map(|cell| cell.set_up(world))).await?;
    all(cells.iter().map(|cell| cell.is_refused(world))).await?;
    all(cells.iter().map(|cell| cell.is_granted(world))).await?;
    for cell in &cells {
        // Routes come in the order in which they were written: those of the entitled are the last.
        record.until_route_for(world, cell.entitled, cell.name).await?;
    }
    all(cells.iter().map(|cell| cell.left_nothing(world, &record))).await?;
    let refused = cells.len();
    eprintln!("{refused} cells: refused to {ATTACKER}, and granted to whoever is entitled");
    Ok(())
}

/// All cells, whatever happens in one of them: what went wrong in any.
async fn all(cells: impl Iterator<Item = impl Future<Output = Outcome>>) -> Outcome {
    let failures: Vec<_> = join_all(cells).await.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into())
}

/// The namespaces of the tenants, with an application in the victim's.
async fn prepare(world: &World) -> Outcome {
    world.namespaces(&[VICTIM, ATTACKER]).await?;
    world.apply(&service(VICTIM, "web", crate::harness::APPLICATION, 8000)).await
}
