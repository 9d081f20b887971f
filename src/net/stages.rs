//! The two stages of shutdown.

use tokio_util::sync::CancellationToken;

/// Cancelled one after the other.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// No new connections and streams; calls in flight are finished.
    pub drain: CancellationToken,
    /// Everything ends.
    pub kill: CancellationToken,
}
