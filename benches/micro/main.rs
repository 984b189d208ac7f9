//! Pieces of gatecert, measured by Criterion: `cargo xtask bench micro`, or one of them by a part of its name,
//! `cargo xtask bench micro jws`. Without `--bench`, as `cargo test --benches` does it, each runs once.
#![allow(clippy::unwrap_used, reason = "fixtures that are right")]

mod chain;
mod jws;
mod nonce;
mod parse;
mod place;
mod plan;
mod render;
mod respond;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    jws::bench,
    nonce::bench,
    parse::bench,
    plan::bench,
    render::bench,
    place::bench,
    chain::bench,
    respond::bench
);
criterion_main!(benches);
