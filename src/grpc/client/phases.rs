//! The steps of a reload or a rollout, and how long each took.

use crate::grpc::proto::Phase;
use serde::Serialize;

/// One step of a reload or a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseInfo {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub duration_ms: f64,
}

impl From<Phase> for PhaseInfo {
    fn from(phase: Phase) -> Self {
        let duration = phase.duration.unwrap_or_default();
        let duration_ms = duration.seconds as f64 * 1e3 + f64::from(duration.nanos) / 1e6;
        Self {
            name: phase.name,
            duration_ms,
        }
    }
}
