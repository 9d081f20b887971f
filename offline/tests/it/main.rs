//! The binary, run as people run it, and the real shops, read as the library reads them.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod determinism;
mod example;
mod gate;
mod harness;
mod outputs;
mod protocols;
mod real_shops;
mod walk;
