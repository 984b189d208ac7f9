//! The program in this process, with a clock that can be moved. As a process of its own it is tested in `bins/gatecert`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod moved_clock;
mod renewal;
mod serving;
mod setting;
