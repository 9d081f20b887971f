//! What benches of serving share: the built server as a process of its own, and the made-up shop that
//! it serves.

pub(crate) mod server;
pub(crate) mod stock;
