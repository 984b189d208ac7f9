//! What comes out of what goes in, file by file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod anything;
mod goldens;
mod guide;
