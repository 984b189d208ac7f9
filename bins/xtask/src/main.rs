//! The tasks of gatecert's developers: `cargo xtask --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers at a terminal")]

mod bench_e2e;
mod bench_micro;
mod bench_peers;
mod bench_responder;
mod bench_shards;
mod bench_start;
mod cargo;
mod chart;
mod cluster_demo;
mod codegen;
mod controller;
mod demo;
mod examples;
mod fuzz;
mod guides;
mod lint;
mod manifest;
mod packages;
mod percentiles;
mod picture;
mod plain_envoy;
mod public_api;
mod readme;
mod rig;
mod scale;
mod soak;
mod test;
mod tools;

use clap::{Parser, Subcommand};

/// The tasks of gatecert's developers.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetches and builds the real servers into the cache.
    Tools(tools::Arguments),
    /// Shows a cluster: a Gateway is annotated, and Envoy serves certificates of Pebble's.
    Demo(demo::Arguments),
    /// Runs all tests, and the demo once.
    Test(test::Arguments),
    /// Runs the examples that the guides are made of, against Pebble.
    Examples,
    /// Runs, applies and loads what README.md and docs/ print.
    Readme(readme::Arguments),
    /// All faults together, for as long as one likes.
    Soak(soak::Arguments),
    /// Feeds made-up input to whatever reads what others write.
    Fuzz(fuzz::Arguments),
    /// Checks format, clippy, documentation, generated files, public APIs, packages, and licences, bans and
    /// advisories of dependencies.
    Lint,
    /// Packs the crates that are published, and builds them, and the programs of the guides, from that alone.
    Package,
    /// Compares what public APIs have of other crates with what manifests allow.
    PublicApi,
    /// Writes the files that are generated from the code.
    Codegen(codegen::Arguments),
    /// Measures; never part of a test.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    /// gatecert beside lego, certbot and instant-acme on the same Pebble, in turn.
    Peers(bench_peers::Arguments),
    /// The controller: from applying a Gateway to the certificate that Envoy serves.
    E2e(bench_e2e::Arguments),
    /// The responder beside nginx, by the same load generator on the same cores.
    Responder(bench_responder::Arguments),
    /// Pieces of the code, by Criterion.
    Micro(bench_micro::Arguments),
    /// A hundred thousand certificates, split over controllers, in virtual time.
    Shards(bench_shards::Arguments),
    /// How long the programs take to start: the command line's help, and the controller until it is ready.
    Start(bench_start::Arguments),
    /// The controller: many Certificates at once, on an API server and Pebble.
    Scale(scale::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Tools(arguments) => tools::run(&arguments),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Examples => examples::run(),
        Task::Readme(arguments) => readme::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Lint => lint::run(),
        Task::Package => packages::check(),
        Task::PublicApi => public_api::check(),
        Task::Codegen(arguments) => codegen::run(&arguments),
        Task::Bench(Bench::Peers(arguments)) => bench_peers::run(&arguments),
        Task::Bench(Bench::E2e(arguments)) => bench_e2e::run(&arguments),
        Task::Bench(Bench::Responder(arguments)) => bench_responder::run(&arguments),
        Task::Bench(Bench::Micro(arguments)) => bench_micro::run(&arguments),
        Task::Bench(Bench::Shards(arguments)) => bench_shards::run(&arguments),
        Task::Bench(Bench::Start(arguments)) => bench_start::run(&arguments),
        Task::Bench(Bench::Scale(arguments)) => scale::run(&arguments),
    }
}
