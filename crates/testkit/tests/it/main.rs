//! The servers start, answer, and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod envoy;
mod pebble;
mod ports;
mod process;
mod tools;
