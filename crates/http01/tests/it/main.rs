//! The responder as its clients see it: raw TCP and reqwest against servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod client;
mod crowd;
mod health;
mod hosts;
mod listening;
mod load;
mod mounting;
mod requests;
mod shutdown;
mod slow_clients;
mod tokens;
