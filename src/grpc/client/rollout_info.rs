//! A rollout record as the command line shows it.

use super::instant;
use crate::grpc::proto::{Arm, Ramp, RampStep, Rollout};
use hotshelf_terminal::quantity;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// An arm of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmInfo {
    /// Its name.
    pub name: String,
    /// The version that serves it.
    pub version: u64,
    /// Basis points.
    pub share_bp: u32,
    /// Of the manifest that the rollout names, or that the replica serves; empty if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest_sha256: String,
}

/// One step of a ramp.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepInfo {
    /// Basis points.
    pub share_bp: u32,
    /// Seconds until the next step; 0 in the last one, which has none.
    pub hold_s: u64,
}

/// How a candidate grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RampInfo {
    /// From the first one.
    pub steps: Vec<StepInfo>,
    /// Seconds of the ramp that had passed when the record was made.
    pub elapsed_s: u64,
    /// Whether the share stays where it is.
    pub paused: bool,
}

/// A rollout record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutInfo {
    /// From 1.
    pub number: u64,
    /// With their shares.
    pub arms: Vec<ArmInfo>,
    /// How the first arm grows.
    pub ramp: Option<RampInfo>,
    /// Hashed with a user's id to choose the arm.
    pub salt: String,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// RFC 3339.
    pub created_at: String,
}

/// For people: `rollout 5: candidate version 8 at 1 %, base version 7 at 99 % (…, by ann: why)`.
impl fmt::Display for RolloutInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share_bp: u32| f64::from(share_bp) / 100.0;
        let arm = |arm: &ArmInfo| {
            let (name, version) = (&arm.name, arm.version);
            format!("{name} version {version} at {} %", percent(arm.share_bp))
        };
        let arms: Vec<String> = self.arms.iter().map(arm).collect();
        let (number, at) = (self.number, &self.created_at);
        let (author, reason) = (&self.author, &self.reason);
        write!(
            f,
            "rollout {number}: {} ({at}, by {author}: {reason})",
            arms.join(", ")
        )?;
        let Some(ramp) = &self.ramp else {
            return Ok(());
        };
        let step = |step: &StepInfo| match step.hold_s {
            0 => format!("{} %", percent(step.share_bp)),
            held_s => {
                let hold = quantity::duration(Duration::from_secs(held_s));
                format!("{} % for {hold}", percent(step.share_bp))
            }
        };
        let steps: Vec<String> = ramp.steps.iter().map(step).collect();
        let paused = if ramp.paused { ", paused" } else { "" };
        write!(f, "; steps {}{paused}", steps.join(", "))
    }
}

impl From<StepInfo> for RampStep {
    fn from(step: StepInfo) -> Self {
        let hold = Duration::from_secs(step.hold_s);
        Self {
            share_bp: step.share_bp,
            // Above 292 billion years it does not fit; the server's limit is days.
            hold: hold.try_into().ok().filter(|_| step.hold_s > 0),
        }
    }
}

impl From<ArmInfo> for Arm {
    fn from(arm: ArmInfo) -> Self {
        Self {
            name: arm.name,
            version: arm.version,
            share_bp: arm.share_bp,
            manifest_sha256: String::new(),
        }
    }
}

impl From<Arm> for ArmInfo {
    fn from(arm: Arm) -> Self {
        Self {
            name: arm.name,
            version: arm.version,
            share_bp: arm.share_bp,
            manifest_sha256: arm.manifest_sha256,
        }
    }
}

/// Whole seconds; what is negative is none.
fn seconds(duration: Option<prost_types::Duration>) -> u64 {
    duration.map_or(0, |hold| u64::try_from(hold.seconds).unwrap_or(0))
}

impl From<Ramp> for RampInfo {
    fn from(ramp: Ramp) -> Self {
        let step = |step: RampStep| StepInfo {
            share_bp: step.share_bp,
            hold_s: seconds(step.hold),
        };
        Self {
            steps: ramp.steps.into_iter().map(step).collect(),
            elapsed_s: seconds(ramp.elapsed),
            paused: ramp.paused,
        }
    }
}

impl From<Rollout> for RolloutInfo {
    fn from(rollout: Rollout) -> Self {
        Self {
            number: rollout.number,
            arms: rollout.arms.into_iter().map(Into::into).collect(),
            ramp: rollout.ramp.map(Into::into),
            salt: rollout.salt,
            author: rollout.author,
            reason: rollout.reason,
            created_at: instant(rollout.created_at),
        }
    }
}
