//! A store on a real file system: what is written, and what is left when it is stopped or damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod account;
mod crash;
mod damage;
mod flushes;
mod journal;
mod lock;
mod names;
mod permissions;
mod publication;
mod record;
mod rotation;
mod sample;
#[cfg(feature = "sds")]
mod sds;
mod stop;
