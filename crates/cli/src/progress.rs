//! Progress: one line for each name on a terminal, plain lines elsewhere.

use crate::output::{Output, clean};
use gatecert_acme::Identifier;
use gatecert_issue::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;

/// With more names than this, one bar counts them all.
const MOST_LINES: usize = 20;

/// How often the moving parts move.
const TICK: Duration = Duration::from_millis(120);

/// Tells somebody at a terminal, or in a log, how far an issuance is.
pub(crate) struct Reporter {
    output: Output,
    drawn: Option<Drawn>,
}

struct Drawn {
    // Holds the bars together on the screen.
    _screen: MultiProgress,
    order: ProgressBar,
    names: BTreeMap<Identifier, ProgressBar>,
    count: Option<ProgressBar>,
}

impl Reporter {
    pub(crate) fn new(output: &Output, identifiers: &[Identifier]) -> Self {
        Self { output: *output, drawn: output.is_drawn().then(|| Drawn::new(identifiers)) }
    }

    /// A line beside the progress.
    pub(crate) fn note(&self, line: &str) {
        match &self.drawn {
            Some(drawn) => drawn.order.println(clean(line)),
            None => self.output.note(line),
        }
    }

    fn warning(&self, line: &str) {
        match &self.drawn {
            // Written past the bars it would be drawn over.
            Some(drawn) => drawn.order.println(clean(&format!("warning: {line}"))),
            None => self.output.warning(line),
        }
    }

    /// What concerns all names.
    fn order(&self, event: &Event) {
        let text = match event {
            Event::OrderCreated { url } => format!("created {url}"),
            Event::OrderResumed { url } => format!("going on with {url}"),
            Event::Finalizing => "finalizing".into(),
            Event::Issued => "issued".into(),
            Event::Retrying { why, after } if after.is_zero() => format!("trying again: {why}"),
            Event::Retrying { why, after } => format!("trying again in {after:?}: {why}"),
            _ => return,
        };
        match &self.drawn {
            Some(drawn) => drawn.order.set_message(clean(&text).into_owned()),
            None => self.output.note(&format!("order: {text}")),
        }
    }
}

/// How far a name is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Validated,
    Failed,
}

impl Drawn {
    fn new(identifiers: &[Identifier]) -> Self {
        let screen = MultiProgress::new();
        let order = spinner(&screen, "order");
        let is_long = identifiers.len() > MOST_LINES;
        let names = identifiers.iter().filter(|_| !is_long);
        let names = names.map(|name| (name.clone(), spinner(&screen, &name.to_string()))).collect();
        let count = is_long.then(|| {
            let bar = screen.add(ProgressBar::new(identifiers.len() as u64));
            bar.set_style(style("{bar:30} {pos}/{len} names validated"));
            bar
        });
        Self { _screen: screen, order, names, count }
    }

    fn name(&self, identifier: &Identifier, text: &str, state: State) {
        if let Some(bar) = self.names.get(identifier) {
            bar.set_message(text.to_owned());
            if state != State::Open {
                bar.finish();
            }
        }
        if let Some(count) = self.count.as_ref().filter(|_| state == State::Validated) {
            count.inc(1);
        }
    }
}

fn spinner(screen: &MultiProgress, prefix: &str) -> ProgressBar {
    let bar = screen.add(ProgressBar::new_spinner());
    bar.set_style(style("{spinner} {prefix:30} {msg}"));
    bar.set_prefix(prefix.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a broken one would show in the first run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Progress for Reporter {
    fn event(&self, event: Event) {
        let (identifier, text, state) = match event {
            Event::Warning { message } => return self.warning(&message),
            Event::CleanUpFailed { message } => {
                return self.warning(&format!("a challenge stays behind: {message}"));
            }
            Event::AuthorizationReused { identifier } => (identifier, "still validated", State::Validated),
            Event::ChallengePresented { identifier } => (identifier, "challenge in place", State::Open),
            Event::Validating { identifier } => (identifier, "validating", State::Open),
            Event::Validated { identifier } => (identifier, "validated", State::Validated),
            Event::Failed { identifier, .. } => (identifier, "failed", State::Failed),
            other => return self.order(&other),
        };
        match &self.drawn {
            Some(drawn) => drawn.name(&identifier, text, state),
            None => self.output.note(&format!("{identifier}: {text}")),
        }
    }
}
