//! gatecert

fn main() {}
