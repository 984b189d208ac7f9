#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

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
