//! What people did: events from callers, durable on this server's disk before they are acknowledged, and
//! uploaded to a store in the background.
//!
//! ```text
//! RecordEvents ─▶ validate      event by event; a bad one is rejected by index, field and reason
//!              ─▶ EventLog      `event-log/`: deduplicates, one fsync for all batches that wait
//!              ─▶ answer        counts, rejections
//! segments     ─▶ UploadEvents  a supervised task: Parquet, one conditional PUT each; the rest at the end of a drain
//! ```
//!
//! It knows no wire format and no store: the edge hands in [`EventFields`], the app an opened store.

mod config;
mod open;
mod record;
mod status;
mod types;
mod upload;
mod validate;

pub use config::{EventsConfig, FINAL_UPLOAD_MAX};
pub use open::{EventsError, OpenEvents};
pub use record::{Events, Recorded};
pub use status::EventsStatus;
pub use types::EventTypes;
pub use upload::UploadEvents;
pub use validate::{EventFields, Rejection};
