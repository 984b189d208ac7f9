//! The program itself: its texts, bad input, and whole lives of certificates at the real Pebble.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod account;
mod certificate;
mod crash;
mod doctor;
mod migrate;
mod refusals;
mod serve;
mod setting;
mod texts;
