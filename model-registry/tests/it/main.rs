//! The registry as its users see it: one contract for every backend, then faults, then `kill -9`.

#![allow(clippy::unwrap_used, missing_docs)]

mod cache;
mod contract;
mod crash;
mod create_only;
mod fault_store;
mod hostile;
mod kill;
mod reading;
mod rollouts;
mod seed;
mod shop;
