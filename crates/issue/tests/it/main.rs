#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod bad_network;
mod chains;
mod clock;
mod cut;
mod environment;
mod failing;
mod issuing;
mod replacing;
mod resuming;
mod seams;
mod wire;
