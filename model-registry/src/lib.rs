//! Hotshelf's registry: model versions and rollouts over an object store.
//!
//! It knows names, bytes and checksums, and no algorithm: the content of a part belongs to
//! `hotshelf-model`. This package's `README.md` specifies the stored format; any process that follows
//! that page can share a registry with this one.
//!
//! ```text
//! publish   parts/<upload>/<part> ... ─▶ versions/000012.json     conditional write: its presence is the commit
//! propose   rollouts/000031.json                                  conditional write: names its parent and that one's sha256
//! replicas  replicas/<replica>.json                               what each serves; overwritten by it alone
//! fetch     manifest ─▶ ranges in parallel ─▶ private cache folder ─▶ seal: read, hash, own
//! ```
//!
//! Where to start reading:
//! - `names`, `ids`, `numbers`: identifiers. Parsing is the validation; a parsed one cannot leave its
//!   path.
//! - `layout`: the only file that builds object paths.
//! - [`Registry`]: every operation, with its laws.
//! - [`Manifest`] and [`RolloutRecord`]: what is stored.
//! - [`RolloutLog`]: which record is the desired state.
//! - [`ReplicaState`]: what every server of a model reports.
//! - [`GcPlan`]: what can be removed.
//! - [`CacheDir`] and [`LocalParts`]: from the store into this process's memory.
//! - [`LiveSet`]: what was live, persisted for a start without the store.

mod arm;
mod cache;
mod clock;
mod conditional_writes;
mod error;
mod fetch;
mod gc;
mod history;
mod ids;
mod json;
mod layout;
mod limits;
mod manifest;
mod manifest_copies;
mod names;
mod numbers;
mod open;
mod own_writes;
mod propose;
mod publish;
mod ramp;
mod random;
mod registry;
mod replicas;
mod rollout;
mod rollout_log;
mod s3;
mod seal;
mod small_file;
mod split;
mod store;
mod versions;

pub use arm::{Arm, BASE, CANDIDATE, SHARES_BP, candidate_and_base};
pub use cache::{CacheDir, CacheLock, Evicted, LiveSet};
pub use clock::Clock;
pub use error::{Cause, Error};
pub use gc::{Fate, GcDone, GcPlan, GcRules, GcUpload, GcVersion, UPLOAD_ABANDONED_AFTER};
pub use history::{End, History};
pub use ids::{Nonce, Sha256Digest, UploadId};
pub use limits::{ADDRESS_BYTES_MAX, FetchLimits, Limits, RetryLimits};
pub use manifest::{Input, Lineage, Manifest, PartEntry, Tombstone};
pub use names::{ModelName, PartName, ReplicaId};
pub use numbers::{RolloutNumber, Version};
pub use open::open_store;
pub use propose::Proposed;
pub use publish::{NewPart, NewVersion};
pub use ramp::{Ramp, RampStep};
pub use registry::{Options, Registry};
pub use replicas::{REPLICA_GONE_AFTER, ReplicaFile, ReplicaState, ReplicaVersion, Reported};
pub use rollout::{Parent, RolloutDraft, RolloutRecord};
pub use rollout_log::{LogEntry, RolloutLog};
pub use s3::{
    PathStyle, S3Authorities, S3Credentials, S3Endpoint, S3Options, S3Region, without_userinfo,
};
pub use seal::{Damaged, LocalParts};
pub use split::bucket;
pub use versions::{VersionEntry, VersionState};

/// The newest stored format that this release reads, and the one it writes.
pub const FORMAT: u32 = 1;
