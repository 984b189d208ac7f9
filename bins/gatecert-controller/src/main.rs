//! The controller of gatecert. All of it is in `gatecert-controller`'s library.

fn main() {}
