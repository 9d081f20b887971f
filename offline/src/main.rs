//! The binary; its command line follows.

fn main() {}
