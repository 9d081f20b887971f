//! Shared by benches of serving: their arguments, the measured server as a process of its own, and the synthetic
//! shop that it serves.

pub(crate) mod arguments;
pub(crate) mod server;
pub(crate) mod stock;
