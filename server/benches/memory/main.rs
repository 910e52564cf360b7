//! Peak memory.
fn main() {}
