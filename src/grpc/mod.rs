//! The gRPC edge: services, layers, client. Only this folder and `src/error.rs` name tonic or
//! generated types.

pub mod client;
mod dispatch;
mod event_service;
mod health;
mod layers;
mod methods;
mod model_service;
mod recommendation_service;
mod stack;

pub use health::Health;
pub use model_service::Operations;
pub use stack::{Limits, Plane, Stack};

/// The messages and services of `proto/hotshelf/v1`, as generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub mod proto {
    tonic::include_proto!("hotshelf.v1");

    /// The compiled proto files with their comments, for reflection.
    pub const DESCRIPTORS: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/hotshelf_descriptor.bin"));
}
