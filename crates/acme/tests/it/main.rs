//! Tests against real servers, a scripted CA, and an independent JOSE implementation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod clock;
mod counting;
mod import;
mod jws;
mod pebble;
mod scripted;
mod scripted_ca;
