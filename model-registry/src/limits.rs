//! Every limit in one place, with where its default comes from.

use std::time::Duration;

/// Tries and timeouts of store calls.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryLimits {
    /// Tries of one call in all; the S3 client below makes one try each. Default 4 (chosen).
    pub tries: u32,
    /// Mean wait before the second try; doubles with each further one, jittered by a half either
    /// way. Default 100 ms (chosen).
    pub backoff: Duration,
    /// Longest mean wait between two tries. Default 2 s (chosen).
    pub backoff_max: Duration,
    /// Time for one try of a small call, and of a piece of a large object; the S3 client below has
    /// no limit of its own but for connecting. Default 30 s (inherited from that client's default).
    pub call_timeout: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            tries: 4,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(2),
            call_timeout: Duration::from_secs(30),
        }
    }
}

/// How parts are downloaded. At most `range_bytes × parallel_max` bytes are in flight, 32 MiB by
/// default.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchLimits {
    /// Bytes of one range. Default 4 MiB (chosen: at 50 ms to the first byte, eight in parallel
    /// still carry 600 MB/s).
    pub range_bytes: u64,
    /// Ranges in flight at once, over all parts. Default 8 (chosen).
    pub parallel_max: usize,
    /// Time for one try of one range. Default 20 s (chosen: 4 MiB at 200 KiB/s).
    pub range_timeout: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            range_bytes: 4 << 20,
            parallel_max: 8,
            range_timeout: Duration::from_secs(20),
        }
    }
}

/// What a registry accepts, and its tries and times.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest part, in bytes. Default 8 GiB (chosen: half of a large machine).
    pub part_bytes_max: u64,
    /// Tries and timeouts.
    pub retry: RetryLimits,
    /// How parts are downloaded.
    pub fetch: FetchLimits,
    /// Races in [`crate::Registry::verify_conditional_writes`]. Default 8
    /// (measured over loopback: a server that writes 100 µs after it checked is found out in 50 of
    /// 50 self-tests, one that writes a turn of its scheduler later in 46; one race of eight found
    /// that in 3).
    pub race_rounds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_bytes_max: 8 << 30,
            retry: RetryLimits::default(),
            fetch: FetchLimits::default(),
            race_rounds: 8,
        }
    }
}

/// Largest manifest or tombstone, in bytes (fixed by format 1).
pub(crate) const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// Most values in the JSON of one record (chosen: twenty times what a card of 10,000 terms and 256
/// probes has; 64 MiB as a list, some 320 MiB as the smallest objects).
pub(crate) const JSON_VALUES_MAX: usize = 500_000;
/// Most parts of one version (fixed by format 1).
pub(crate) const PARTS_MAX: usize = 64;
/// Most inputs of one lineage (fixed by format 1).
pub(crate) const INPUTS_MAX: usize = 256;
/// Largest rollout record, in bytes (fixed by format 1).
pub(crate) const ROLLOUT_BYTES_MAX: u64 = 64 << 10;
/// Most arms of one rollout (fixed by format 1).
pub(crate) const ARMS_MAX: usize = 8;
/// Most steps of a ramp (fixed by format 1).
pub(crate) const RAMP_STEPS_MAX: usize = 32;
/// Longest hold of a step: 30 days, in seconds (fixed by format 1).
pub(crate) const RAMP_HOLD_S_MAX: u64 = 30 * 86_400;
/// Longest author, in bytes (fixed by format 1).
pub(crate) const AUTHOR_BYTES_MAX: usize = 256;
/// Longest reason, in bytes (fixed by format 1).
pub(crate) const REASON_BYTES_MAX: usize = 1_024;
/// Longest salt, in bytes (fixed by format 1).
pub(crate) const SALT_BYTES_MAX: usize = 128;
/// Largest file of a replica, in bytes (fixed by format 1).
pub(crate) const REPLICA_BYTES_MAX: u64 = 256 << 10;
/// Most versions in it (fixed by format 1).
pub(crate) const REPLICA_VERSIONS_MAX: usize = 64;
/// Longest note of a replica, in bytes (fixed by format 1).
pub(crate) const REPLICA_NOTE_BYTES_MAX: usize = 4_096;
/// Longest address that a replica reports, in bytes (fixed by format 1: a DNS name and a port).
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Longest name of a build, in bytes (fixed by format 1).
pub(crate) const BUILD_BYTES_MAX: usize = 128;
/// Most replica files, gone ones included (chosen: a hundred rolling updates of a hundred pods without a
/// clean-up).
pub(crate) const REPLICAS_MAX: usize = 10_000;
/// Longest other text of a lineage, in bytes (fixed by format 1).
pub(crate) const TEXT_BYTES_MAX: usize = 1_024;
/// Records of a rollout chain that are verified and retained (chosen: a month of daily rollouts).
pub(crate) const CHAIN_MAX: usize = 32;
/// Records read by one poll (chosen); the rest is read by the next.
pub(crate) const POLL_MAX: usize = 64;
/// Skipped rollouts listed by an opened log (chosen).
pub(crate) const SKIPPED_MAX: usize = 64;
/// Numbers tried by one publish or propose before it gives up (chosen: more than any number of
/// concurrent writers).
pub(crate) const NUMBER_TRIES_MAX: u32 = 256;
/// Objects of one listing that are considered (chosen: 27 years of a version every quarter hour).
pub(crate) const LISTED_MAX: usize = 1_000_000;
/// Store calls of one list of versions in flight at once (chosen).
pub(crate) const READS_PARALLEL: usize = 8;
