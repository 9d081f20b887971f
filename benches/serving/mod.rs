//! What benches of serving share: what they are called with, the built server as a process of its own,
//! and the made-up shop that it serves.

pub(crate) mod arguments;
pub(crate) mod server;
pub(crate) mod stock;
