//! The life of versions: from the registry into memory, live, and out again.
//!
//! ```text
//! registry ─▶ watch ─────▶ Event::Desired ─┐
//! loader threads ────────▶ Event::Loaded ──┼▶ ModelManager ─▶ next_action() ─▶ Load │ Record │ Activate │ Retire
//! ReloadModel ───────────▶ Event::Propose ─┘        (pure)                        │
//!                                                                          Driver ┘ (owns what is in memory)
//!                                                                             └─▶ live.swap(new); requests take one
//!                                                                                 snapshot each
//! ```
//!
//! Driver ──▶ the cache folder: the live set is persisted there, and restored by a server that starts while
//! the registry cannot be read.
//!
//! Knows neither gRPC nor sockets.

mod budget;
mod change;
mod driver;
mod event;
mod guardrail_task;
mod handle;
mod live;
mod loader;
mod manager;
mod pacing;
mod start;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod write_access;

pub use budget::{MemoryBudget, Reservation};
pub use change::Change;
pub use event::{PersistedRollout, Proposal, Reply, Supply};
pub use handle::{Input, ModelHandle, WatchReport};
pub use live::{Live, LiveArm, LoadedVersion, ModelSlot, Models};
pub use loader::{
    Source, card, check_golden_queries, check_revision, needed, revision_refusal, unpack,
};
pub use manager::{Gate, Policy};
pub use start::{Lifecycle, LifecycleConfig, STOP_TIMEOUT};
pub use state::{LoadError, LoadErrorKind, Phase, VersionEntry, VersionState};
pub(crate) use status::sentences;
pub use status::{ManagerStatus, ModelStatus};
pub use write_access::WriteAccess;
