//! Goes on showing what changes.

use super::read::{Found, Reader, refused};
use super::view::View;
use crate::Exit;
use crate::error::{Failure, chain};
use crate::output::Output;
use crate::stop;
use console::Term;
use futures::StreamExt as _;
use gatecert_acme::Clock;
use gatecert_api::Certificate;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

/// How long changes are gathered before they are shown: an issuance changes an object a few times within a second.
const GATHER: Duration = Duration::from_millis(200);

/// How often it is drawn anew where nothing changes but the time.
const TICK: Duration = Duration::from_secs(60);

/// How long the API server keeps one watch open, in seconds: less than the client waits for an answer.
const WATCH_SECONDS: u32 = 45;

/// Shows what there is now and after each change, until a signal comes.
pub(super) async fn run(reader: &Reader, output: &Output, clock: &dyn Clock) -> Result<Exit, Failure> {
    tokio::select! {
        // What is refused at the begin is an error; later it is waited for.
        shown = follow(reader, output, clock) => shown.map(|()| Exit::Done),
        () = stop::told() => Ok(Exit::Stopped),
    }
}

async fn follow(reader: &Reader, output: &Output, clock: &dyn Clock) -> Result<(), Failure> {
    let mut found = reader.read().await?;
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = pin!(watcher(reader.certificates(), config).default_backoff());
    let mut trouble = None;
    draw(&found, reader, output, clock, None)?;
    let mut listed = false;
    loop {
        let mut is_changed = match tokio::time::timeout(TICK, events.next()).await {
            Ok(Some(event)) => take(event, &mut found, &mut trouble, &mut listed),
            Ok(None) => return Ok(()),
            Err(_) => output.is_text(),
        };
        // What follows at once is shown along.
        while let Ok(Some(event)) = tokio::time::timeout(GATHER, events.next()).await {
            is_changed |= take(event, &mut found, &mut trouble, &mut listed);
        }
        if is_changed {
            draw(&found, reader, output, clock, trouble.as_deref())?;
        }
    }
}

/// Takes in an event, and says whether there is something else to show.
fn take(
    event: watcher::Result<Event<Certificate>>,
    found: &mut Found,
    trouble: &mut Option<String>,
    listed: &mut bool,
) -> bool {
    match event {
        Ok(Event::Init) => {
            found.clear();
            false
        }
        Ok(Event::InitApply(certificate)) => {
            found.set(&certificate);
            false
        }
        // The first list is what was shown already.
        Ok(Event::InitDone) => trouble.take().is_some() || std::mem::replace(listed, true),
        Ok(Event::Apply(certificate)) => {
            *trouble = None;
            found.set(&certificate);
            true
        }
        Ok(Event::Delete(certificate)) => {
            *trouble = None;
            found.remove(&certificate);
            true
        }
        Err(error) => {
            let said = match &error {
                watcher::Error::InitialListFailed(error) => refused(error).message,
                error => chain(error),
            };
            trouble.replace(said.clone()) != Some(said)
        }
    }
}

fn draw(
    found: &Found,
    reader: &Reader,
    output: &Output,
    clock: &dyn Clock,
    trouble: Option<&str>,
) -> Result<(), Failure> {
    if output.is_text() && std::io::stdout().is_terminal() {
        // A screen that can not be cleared is written on.
        let _ = Term::stdout().clear_screen();
    }
    super::show(found, reader, output, &View::of_terminal(output.is_wide()), clock.now())?;
    if output.is_text() {
        output.raw(format!("\n{} (Ctrl-C ends it)\n", crate::issue::day(clock.now())).as_bytes())?;
    }
    if let Some(trouble) = trouble {
        output.warning(&format!("it is not known what changes: {trouble}; trying again"));
    }
    Ok(())
}
