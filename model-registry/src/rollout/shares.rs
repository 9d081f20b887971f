//! The shares of a record's arms at a moment.

use super::RolloutRecord;
use crate::{Arm, Ramp, SHARES_BP, Version};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Offset of a writer's clock that is not worth a word (chosen: a write is tried for some minutes at most, and
/// mostly takes a second).
const CLOCK_OFFSET_MAX: SignedDuration = SignedDuration::from_secs(10);

impl RolloutRecord {
    /// Time elapsed of its ramp at `now`; zero where there is no ramp.
    #[must_use]
    pub fn ramp_elapsed(&self, now: Timestamp) -> Duration {
        let Some(ramp) = &self.ramp else {
            return Duration::ZERO;
        };
        let carried = Duration::from_secs(ramp.elapsed_s);
        if ramp.is_paused {
            return carried;
        }
        // A writer whose clock is behind says that it began long ago; the store knows better.
        let began = self.created().max(self.accepted_at);
        let since = began.map(|began| now.duration_since(began));
        // By a clock behind the writer's the ramp is at its start.
        let since = since.and_then(|since| Duration::try_from(since).ok());
        carried.saturating_add(since.unwrap_or_default())
    }

    /// The same, accepted by the store at this time of its clock.
    pub(crate) fn accepted_at(mut self, at: Timestamp) -> Self {
        self.accepted_at = self.ramp.is_some().then_some(at);
        self
    }

    /// By how much the clock of a ramp's writer was off from the store's, where that is more than a store's
    /// dates and a slow write explain: negative where it was behind.
    #[must_use]
    pub fn clock_offset(&self) -> Option<SignedDuration> {
        let offset = self.created()?.duration_since(self.accepted_at?);
        (offset.abs() > CLOCK_OFFSET_MAX).then_some(offset)
    }

    /// The share of the first arm at `now`, in basis points: the candidate's by its ramp, else what the
    /// record says. Costs one parse of its time.
    #[must_use]
    pub fn first_share_at(&self, now: Timestamp) -> u16 {
        match &self.ramp {
            Some(ramp) => ramp.share_after(self.ramp_elapsed(now)),
            None => self.arms.first().map_or(0, |arm| arm.share_bp),
        }
    }

    /// Its ramp as a record made at `now` continues it, where `share_bp` is served already.
    #[must_use]
    pub fn carried_ramp(&self, now: Timestamp, share_bp: u16) -> Option<Ramp> {
        let ramp = self.ramp.clone()?;
        let elapsed_s = self.ramp_elapsed(now).as_secs();
        let elapsed_s = elapsed_s.max(ramp.reached_s(share_bp));
        let whole: u64 = ramp.steps.iter().map(|step| step.hold_s).sum();
        Some(Ramp {
            elapsed_s: elapsed_s.min(whole),
            ..ramp
        })
    }

    /// The arms with their shares while a candidate has `candidate_bp`.
    #[must_use]
    pub fn arms_with(&self, candidate_bp: u16) -> Vec<Arm> {
        let mut arms = self.arms.clone();
        if let (Some(_), [candidate, base]) = (&self.ramp, arms.as_mut_slice()) {
            candidate.share_bp = candidate_bp;
            base.share_bp = SHARES_BP.saturating_sub(candidate_bp);
        }
        arms
    }

    /// The version with the largest share while a candidate has `candidate_bp`, the first among equals.
    #[must_use]
    pub fn main_version(&self, candidate_bp: u16) -> Option<Version> {
        let arms = self.arms_with(candidate_bp).into_iter().rev();
        arms.max_by_key(|arm| arm.share_bp).map(|arm| arm.version)
    }
}
