//! Progress: one line for each name on a terminal, plain lines elsewhere.

use crate::output::Output;
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
            Some(drawn) => drawn.order.println(line),
            None => self.output.note(line),
        }
    }
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

    fn name(&self, identifier: &Identifier, text: &str, is_done: bool) {
        if let Some(bar) = self.names.get(identifier) {
            bar.set_message(text.to_owned());
            if is_done {
                bar.finish();
            }
        }
        if let Some(count) = self.count.as_ref().filter(|_| is_done) {
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
        if let Event::Warning { message } = &event {
            self.output.warning(message);
            return;
        }
        let (identifier, text, is_done) = match event {
            Event::OrderCreated { url } => (None, format!("created {url}"), false),
            Event::OrderResumed { url } => (None, format!("going on with {url}"), false),
            Event::AuthorizationReused { identifier } => (Some(identifier), "still validated".into(), true),
            Event::ChallengePresented { identifier } => {
                (Some(identifier), "challenge in place".into(), false)
            }
            Event::Validating { identifier } => (Some(identifier), "validating".into(), false),
            Event::Validated { identifier } => (Some(identifier), "validated".into(), true),
            Event::Failed { identifier, .. } => (Some(identifier), "failed".into(), true),
            Event::Finalizing => (None, "finalizing".into(), false),
            Event::Issued => (None, "issued".into(), true),
            Event::CleanUpFailed { message } => (None, format!("a challenge stays behind: {message}"), false),
            Event::Retrying { why, after } if after.is_zero() => {
                (None, format!("trying again: {why}"), false)
            }
            Event::Retrying { why, after } => (None, format!("trying again in {after:?}: {why}"), false),
            _ => return,
        };
        match (&self.drawn, identifier) {
            (Some(drawn), Some(identifier)) => drawn.name(&identifier, &text, is_done),
            (Some(drawn), None) => drawn.order.set_message(text),
            (None, Some(identifier)) => self.output.note(&format!("{identifier}: {text}")),
            (None, None) => self.output.note(&format!("order: {text}")),
        }
    }
}
