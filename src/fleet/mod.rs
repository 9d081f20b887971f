//! The fleet: all servers that follow one registry, as their heartbeats report them.
//!
//! ```text
//! this server's status ─▶ heartbeat ▶ replicas/<this>.json ─┐
//!                                    replicas/<other>.json ─┼─▶ view: who serves what, and what holds it back
//!                                    …                      ┘      └─▶ wait: until so many serve a rollout
//! ```
//!
//! Nothing here decides what is served: every replica follows the rollouts independently, and one that is not
//! reporting still serves. Knows neither gRPC nor sockets.

mod heartbeat;
mod identity;
mod member;
mod start;
mod view;
mod wait;

pub use identity::{Identity, IdentityError};
pub use member::Member;
pub use start::{Fleet, FleetConfig, Heartbeats};
pub use view::{Counts, FleetView, ReplicaView, Standing};
pub use wait::{Quorum, Waited};
