//! How a candidate's share grows, as data in a rollout record: the share at any moment is computed from
//! record and clock alone, so that replicas agree without talking to each other.
//!
//! ```text
//! share      ┌──────── 10,000
//!      2,500 ├──┘
//!        100 └──── elapsed ─▶    0 … hold of step 0 … hold of step 1 …
//! ```
//! Elapsed is the time used by earlier records of the ramp plus, unless paused, the time since the record
//! was made, by the reader's clock. A clock that is a minute off reaches each step a minute off.

use crate::limits::{RAMP_HOLD_S_MAX, RAMP_STEPS_MAX};
use crate::{Arm, BASE, CANDIDATE, Error, SHARES_BP};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a candidate grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// 1 to 32, shares growing.
    pub steps: Vec<RampStep>,
    /// Time that earlier records of this ramp have used up, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub elapsed_s: u64,
    /// The share stays where it is until a later record.
    #[serde(default, skip_serializing_if = "is_false", rename = "paused")]
    pub is_paused: bool,
}

/// One share, and how long it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RampStep {
    /// Of the candidate, in basis points, 0 to 10,000.
    pub share_bp: u16,
    /// Before the next step, in seconds, from 1 to 30 days; of the last step 0, it is held for ever.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_s: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Ramp {
    /// A share that is held until another record.
    #[must_use]
    pub fn held(share_bp: u16) -> Self {
        Self::new(vec![RampStep {
            share_bp,
            hold_s: 0,
        }])
    }

    /// A ramp from its first step on.
    #[must_use]
    pub fn new(steps: Vec<RampStep>) -> Self {
        Self {
            steps,
            elapsed_s: 0,
            is_paused: false,
        }
    }

    /// Whether a record may have it.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the step at fault.
    pub fn check(&self) -> Result<(), Error> {
        let count = self.steps.len();
        let Some((last, earlier)) = self.steps.split_last().filter(|_| count <= RAMP_STEPS_MAX)
        else {
            let limit = format!("1 to {RAMP_STEPS_MAX}");
            return Err(Error::invalid("number of steps", &count.to_string(), limit));
        };
        for (step, next) in earlier.iter().zip(&self.steps[1..]) {
            if step.hold_s == 0 || step.hold_s > RAMP_HOLD_S_MAX {
                let limit = format!("1 to {RAMP_HOLD_S_MAX} seconds before the last step");
                return Err(Error::invalid(
                    "hold of a step",
                    &step.hold_s.to_string(),
                    limit,
                ));
            }
            if next.share_bp <= step.share_bp {
                let limit = format!("more than the {} of the step before", step.share_bp);
                let share = next.share_bp.to_string();
                return Err(Error::invalid("share of a step", &share, limit));
            }
        }
        if last.share_bp > SHARES_BP {
            let limit = "0 to 10,000 basis points";
            let share = last.share_bp.to_string();
            return Err(Error::invalid("share of a step", &share, limit));
        }
        if last.hold_s != 0 {
            let hold = last.hold_s.to_string();
            return Err(Error::invalid(
                "hold of the last step",
                &hold,
                "0: it has no end",
            ));
        }
        let whole: u64 = RAMP_HOLD_S_MAX * RAMP_STEPS_MAX as u64;
        if self.elapsed_s > whole {
            let elapsed = self.elapsed_s.to_string();
            return Err(Error::invalid(
                "elapsed_s",
                &elapsed,
                format!("0 to {whole} seconds"),
            ));
        }
        Ok(())
    }

    /// The candidate's share after so much time in all, in basis points.
    #[must_use]
    pub fn share_after(&self, elapsed: Duration) -> u16 {
        let mut end = Duration::ZERO;
        let held = self.steps.iter().find(|step| {
            end += Duration::from_secs(step.hold_s);
            elapsed < end
        });
        held.or(self.steps.last()).map_or(0, |step| step.share_bp)
    }

    /// The candidate's share when a record with this ramp is made, in basis points.
    #[must_use]
    pub fn first_share(&self) -> u16 {
        self.share_after(Duration::from_secs(self.elapsed_s))
    }

    /// How long until the share grows; `None` at the last step and while paused.
    #[must_use]
    pub fn grows_in(&self, elapsed: Duration) -> Option<Duration> {
        if self.is_paused {
            return None;
        }
        let (_, earlier) = self.steps.split_last()?;
        let mut end = Duration::ZERO;
        earlier.iter().find_map(|step| {
            end += Duration::from_secs(step.hold_s);
            end.checked_sub(elapsed).filter(|left| !left.is_zero())
        })
    }

    /// When this share is reached, in seconds from the first step; the end of all where it never is.
    pub(crate) fn reached_s(&self, share_bp: u16) -> u64 {
        let before = self
            .steps
            .iter()
            .take_while(|step| step.share_bp < share_bp);
        before.map(|step| step.hold_s).sum()
    }
}

/// Whether arms and ramp of one record belong together.
pub(crate) fn check_arms_of(ramp: &Ramp, arms: &[Arm]) -> Result<(), Error> {
    ramp.check()?;
    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    if names != [CANDIDATE, BASE] {
        let limit = "candidate, base, in this order, where there is a ramp";
        return Err(Error::invalid("arms", &names.join(", "), limit));
    }
    let begins_with = ramp.first_share();
    if arms[0].share_bp != begins_with {
        let limit = format!("{begins_with}, as its ramp begins");
        let share = arms[0].share_bp.to_string();
        return Err(Error::invalid("share of the candidate", &share, limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
