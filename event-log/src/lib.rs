//! Hotshelf's event log: what people did, from the moment a server accepts it until it lies in the lake.
//!
//! ```text
//! EventLog::append ─▶ writer thread: deduplicate, one checksummed block, one fsync for all that wait ─▶ acknowledged
//!                        │ full, old, or a new day
//!                        ▼
//!                    sealed segment ─▶ Uploader: Parquet, one conditional PUT ─▶ ids kept, segment removed
//! ```
//!
//! Files of the folder, by a number that only grows:
//!
//! | File | Holds |
//! |---|---|
//! | `000000000042.open` | the segment that is written to |
//! | `000000000041.sealed` | a segment that waits for its upload |
//! | `000000000040.ids` | hashes of the ids of an uploaded segment, for deduplication |
//! | `.writer` | the name of its objects, given once |
//! | `.lock` | the lock of the process that writes |
//!
//! Every function of [`EventLog::open`] and [`segment`] BLOCKS on the disk; [`EventLog::append`] only awaits.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "tests may stop at the first failure")
)]

mod columns;
mod error;
mod event;
mod folder;
mod ids;
mod layout;
mod limits;
mod open;
pub mod segment;
mod upload;
mod writer;

pub use columns::{parquet, schema};
pub use error::Error;
pub use event::Event;
pub use folder::{Folder, SegmentFile};
pub use limits::Limits;
pub use open::Opened;
pub use upload::{Uploader, Uploads};
pub use writer::{Acknowledged, EventLog};
