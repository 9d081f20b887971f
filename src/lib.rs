//! Hotshelf: a gRPC recommendation server whose models are swapped while it serves.
//!
//! A guided tour, in the order in which a request meets the code:
//!
//! - [`net`]: the accept loop, one current-thread runtime per core, HTTP/2 connections.
//! - [`admission`]: whether a call is served, and when.
//! - [`grpc`]: layers, services, and the only place that names wire types.
//! - [`serving`]: resolve, compute, record: one file per RPC.
//! - [`events`]: what people did, durable before it is acknowledged, uploaded in the background.
//! - [`recents`]: the products that a person was last seen with.
//! - [`lifecycle`]: how versions are loaded, become live and retire; requests see one snapshot.
//! - [`guardrails`]: whether a candidate does worse than the base.
//! - [`metrics`], [`telemetry`]: what operators see.
//! - [`readiness`]: what a server still needs to become ready.
//! - [`supervisor`]: restarts long-lived tasks, and says which of them fail.
//! - [`app`]: puts these together; [`config`]: its settings; [`cli`]: the commands.
//! - [`demo`]: a generated shop, end to end, in one command.
//!
//! The mathematics are in `hotshelf_model`, versions and rollouts in `hotshelf_registry`.

pub mod admission;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
pub mod demo;
pub mod error;
pub mod events;
mod evicted;
pub mod fleet;
pub mod grpc;
pub mod guardrails;
mod jitter;
pub mod lifecycle;
pub mod metrics;
pub mod net;
pub mod readiness;
pub mod recents;
pub mod serving;
pub mod supervisor;
pub mod telemetry;
