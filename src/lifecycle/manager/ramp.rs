//! The share of a candidate over time. It is a function of record and clock, and on one replica it never
//! falls while one record is live, whatever the clock says.

use super::Now;
use super::versions::Versions;
use crate::lifecycle::event::Action;
use std::time::Duration;

/// How often a growing ramp is checked, so that a clock that is set is followed (chosen: a check costs
/// nothing, and replicas agree again within it).
const CHECK_MAX: Duration = Duration::from_secs(1);

impl Versions {
    /// Increases the live candidate's share where its ramp says so.
    pub(super) fn next_increase(&mut self, now: Now) -> Option<Action> {
        let live = self.live.as_ref()?;
        live.ramp.as_ref()?;
        let candidate_bp = live.first_share_at(now.timestamp());
        if candidate_bp <= self.candidate_bp {
            return None;
        }
        self.candidate_bp = candidate_bp;
        Some(Action::Grow { candidate_bp })
    }

    /// When to check the live ramp again.
    pub(super) fn ramp_wakeup(&self, now: Now) -> Option<Duration> {
        let live = self.live.as_ref()?;
        let ramp = live.ramp.as_ref()?;
        let left = ramp.grows_in(live.ramp_elapsed(now.timestamp()))?;
        Some(now.monotonic + left.min(CHECK_MAX))
    }
}
