//! The share of a candidate over time. It is a function of record and clock, and on one replica it never
//! falls while one record is live, whatever the clock says.

use super::{ModelManager, Now, main_version};
use crate::lifecycle::event::Action;
use hotshelf_registry::{RolloutRecord, Version};
use std::time::Duration;

/// How often a growing ramp is looked at, so that a clock that is set is followed (chosen: a look costs
/// nothing, and replicas agree again within it).
const LOOK_MAX: Duration = Duration::from_secs(1);

impl ModelManager {
    /// The share of `record`'s candidate that is served here; 0 unless it is live.
    pub(super) fn served_share(&self, record: &RolloutRecord) -> u16 {
        let live = self.live.as_ref().map(RolloutRecord::as_parent);
        if live == Some(record.as_parent()) {
            self.candidate_bp
        } else {
            0
        }
    }

    /// The version that most people get.
    pub(super) fn main_version(&self) -> Option<Version> {
        main_version(self.live.as_ref()?, self.candidate_bp)
    }

    /// Lets the live candidate grow where its time has come.
    pub(super) fn next_growth(&mut self, now: Now) -> Option<Action> {
        let live = self.live.as_ref()?;
        live.ramp.as_ref()?;
        let candidate_bp = live.first_share_at(now.timestamp());
        if candidate_bp <= self.candidate_bp {
            return None;
        }
        self.candidate_bp = candidate_bp;
        Some(Action::Grow { candidate_bp })
    }

    /// When to look at the live ramp again.
    pub(super) fn ramp_wakeup(&self, now: Now) -> Option<Duration> {
        let live = self.live.as_ref()?;
        let ramp = live.ramp.as_ref()?;
        let left = ramp.grows_in(live.ramp_elapsed(now.timestamp()))?;
        Some(now.monotonic + left.min(LOOK_MAX))
    }
}
