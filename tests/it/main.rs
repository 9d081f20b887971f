//! The integration tests of the server and of the repository as a whole: one binary, so that the
//! server's tree is linked once.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod answers;
mod asked;
mod bad_artifacts;
mod bad_input;
mod cached;
mod callers_text;
mod canary_fleet;
mod command_line;
mod config;
mod connections;
mod demo_fleet;
mod fleet;
mod floods;
mod guardrails;
mod h2spec;
mod harness;
mod https;
mod kubernetes;
mod lifecycle;
mod memory_budget;
mod methods;
mod metrics;
mod operations;
mod pinned;
mod proto;
mod recommended;
mod repository;
mod rolling_restart;
mod rollouts;
mod rpc_surface;
mod seed;
mod shutdown;
mod similar;
mod store_outage;
mod swap;
mod swap_stress;
mod tools;
mod unlucky;
