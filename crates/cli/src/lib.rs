//! The commands of `gatecert` as a library: [`run`] is the whole program but for `main`.
//!
//! ```no_run
//! # async fn main_of_a_program() -> std::process::ExitCode {
//! gatecert_cli::run(std::env::args_os(), std::sync::Arc::new(gatecert_acme::SystemClock)).await.into()
//! # }
//! ```

mod account;
mod account_store;
mod args;
mod authority;
mod cluster;
mod doctor;
mod error;
mod files;
mod issuance;
mod issue;
mod journal;
mod list;
mod look;
mod migrate;
mod output;
mod plugin;
mod progress;
mod reference;
mod render;
mod renew;
mod request;
mod revoke;
mod serve;
mod session;
mod show;
mod solver;
mod status;
mod stop;

use args::{Arguments, Command, Format};
use error::Failure;
use gatecert_acme::Clock;
use output::Output;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Done, or nothing to do: 0.
    Done,
    /// The CA, the network or this machine said no: 1.
    Failed,
    /// Wrong use: 2.
    Usage,
    /// Some of several were done: 3.
    Partly,
    /// Told to stop by a signal: 130.
    Stopped,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Partly => 3,
            Exit::Stopped => 130,
        })
    }
}

/// Runs the program with these arguments, the program's name first. Must run in a tokio runtime, and after rustls was given
/// a provider for the process.
pub async fn run(arguments: impl IntoIterator<Item = OsString>, clock: Arc<dyn Clock>) -> Exit {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match plugin::parse(&words) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error, &words),
    };
    let output = Output::new(arguments.global.output, arguments.global.quiet);
    if let Err(failure) = takes_format(&arguments).and_then(|()| log(&arguments)) {
        output.failure(&failure);
        return failure.exit;
    }
    match dispatch(&arguments, &output, clock).await {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// Help goes to standard output, errors to standard error, and for programs to standard output as well.
fn refused(error: &clap::Error, words: &[OsString]) -> Exit {
    // Nothing can be said where that is closed.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    Output::new(Format::of_words(words), false).failure_for_programs(&Failure::from(error));
    Exit::Usage
}

/// Wide is what one command has.
fn takes_format(arguments: &Arguments) -> Result<(), Failure> {
    match (&arguments.command, arguments.global.output) {
        (Command::Status(_), _) | (_, Format::Text | Format::Json) => Ok(()),
        (_, Format::Wide) => Err(Failure::usage("`-o wide` is for `gatecert status` alone")
            .hint("the other commands print text or json")),
    }
}

async fn dispatch(arguments: &Arguments, output: &Output, clock: Arc<dyn Clock>) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Issue(arguments) => issue::run(arguments, output, clock).await,
        Command::Renew(arguments) => renew::run(arguments, output, clock).await,
        Command::Serve(arguments) => serve::run(arguments, output, clock).await,
        Command::List(arguments) => list::run(arguments, output, &*clock),
        Command::Show(arguments) => show::run(arguments, output),
        Command::Revoke(arguments) => revoke::run(arguments, output, clock).await,
        Command::Account(command) => account::run(command, output, clock).await,
        Command::Status(arguments) => status::run(arguments, output, clock).await,
        Command::Render(command) => render::run(command, output),
        Command::Migrate(arguments) => migrate::run(arguments, output).await,
        Command::Doctor(arguments) => doctor::run(arguments, output, clock).await,
        Command::Completions(arguments) => reference::completions(arguments, output),
        Command::Man(arguments) => reference::man(arguments, output),
    }
}

/// Logs to standard error: nothing by default, but for a service; more with each `-v`, or what `GATECERT_LOG` says.
fn log(arguments: &Arguments) -> Result<(), Failure> {
    let is_service = matches!(arguments.command, Command::Serve(_));
    let level = match arguments.global.verbose {
        0 if is_service && arguments.global.quiet => {
            "off,gatecert_cli=warn,gatecert_http01=warn,gatecert_publish=warn"
        }
        0 if is_service => "off,gatecert_cli=info,gatecert_http01=warn,gatecert_publish=info",
        0 => "off,gatecert_http01=warn,gatecert_publish=warn",
        1 if is_service => {
            "off,gatecert_acme=debug,gatecert_cli=debug,gatecert_http01=debug,gatecert_publish=debug"
        }
        1 => "off,gatecert_acme=debug,gatecert_http01=debug,gatecert_publish=debug",
        _ => "trace",
    };
    let wanted = std::env::var_os("GATECERT_LOG");
    let wanted = wanted.as_ref().map_or_else(|| level.into(), |wanted| wanted.to_string_lossy());
    // An empty part would be a level.
    let parts: Vec<_> = wanted.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let filter: Targets = parts.join(",").parse().map_err(|error| {
        Failure::usage(format!("GATECERT_LOG can not be read: {error}"))
            .hint("a level, or several by target: warn,gatecert_acme=debug")
    })?;
    let is_terminal = std::io::stderr().is_terminal();
    let log = fmt::layer().with_ansi(is_terminal).with_writer(std::io::stderr);
    let filtered = tracing_subscriber::registry().with(filter);
    // A program that embeds this may have a log already.
    let _ = match (is_service, arguments.global.output) {
        (true, Format::Json) => {
            let log = log.json().with_target(false).flatten_event(true).with_span_list(false);
            filtered.with(log).try_init()
        }
        (true, Format::Text | Format::Wide) => filtered.with(log.with_target(false)).try_init(),
        (false, _) => filtered.with(log).try_init(),
    };
    Ok(())
}

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
