//! Rollouts as the command line asks for them and shows them.

use super::fleet::{QuorumAsk, QuorumInfo};
use super::models::PhaseInfo;
use super::{Client, ClientError, instant};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::propose_rollout_request::Change;
use crate::grpc::proto::{
    AbortRollout, Arm, PauseCandidate, PromoteArm, ProposeRolloutRequest, ProposeRolloutResponse,
    Ramp, RampStep, ResumeCandidate, RollBack, Rollout, SetCandidate, StartCandidate, StartTest,
};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// An arm of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmInfo {
    /// Its name.
    pub name: String,
    /// What answers.
    pub version: u64,
    /// Hundredths of a percent.
    pub share_bp: u32,
}

/// A share of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepInfo {
    /// Hundredths of a percent.
    pub share_bp: u32,
    /// How long it is held, in whole seconds; 0 in the last step, which has no end.
    pub hold_s: u64,
}

/// How a candidate grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RampInfo {
    /// In their order.
    pub steps: Vec<StepInfo>,
    /// Used up before the record was made, in seconds.
    pub elapsed_s: u64,
    /// Does the share stay where it is?
    pub paused: bool,
}

/// A rollout record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutInfo {
    /// From 1.
    pub number: u64,
    /// Who answers whom.
    pub arms: Vec<ArmInfo>,
    /// How the first arm grows.
    pub ramp: Option<RampInfo>,
    /// Mixed into the choice of arm.
    pub salt: String,
    /// Who asked.
    pub author: String,
    /// Why.
    pub reason: String,
    /// RFC 3339.
    pub created_at: String,
}

/// A change to ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeAsk {
    /// A candidate enters.
    Start {
        /// Which version.
        version: u64,
        /// How it grows.
        steps: Vec<StepInfo>,
    },
    /// A test begins.
    Test(Vec<ArmInfo>),
    /// The candidate grows otherwise.
    Set(Vec<StepInfo>),
    /// It stays.
    Pause,
    /// It grows on.
    Resume,
    /// It, or this arm, is for everybody.
    Promote(Option<String>),
    /// It is for nobody.
    Abort,
    /// Back to the version before.
    Rollback,
}

/// A change, signed.
#[derive(Clone, Debug)]
pub struct RolloutAsk {
    /// Empty = the server's default.
    pub model: String,
    /// What is wanted.
    pub change: ChangeAsk,
    /// The newest rollout as the caller believes it.
    pub expected_rollout: Option<u64>,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Whom to wait for beside the server that is asked.
    pub quorum: Option<QuorumAsk>,
    /// Longest wait.
    pub timeout: Duration,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutDone {
    /// The model.
    pub model: String,
    /// Is it live on the server that was asked?
    pub done: bool,
    /// Is something else live now than before?
    pub changed: bool,
    /// What is live there.
    pub rollout: Option<RolloutInfo>,
    /// Answered most people before.
    pub previous_version: Option<u64>,
    /// What was done for it.
    pub phases: Vec<PhaseInfo>,
    /// How far it has come elsewhere, where that was asked for.
    pub quorum: Option<QuorumInfo>,
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
            held => format!("{} % for {held} s", percent(step.share_bp)),
        };
        let steps: Vec<String> = ramp.steps.iter().map(step).collect();
        let paused = if ramp.paused { ", paused" } else { "" };
        write!(f, "; steps {}{paused}", steps.join(", "))
    }
}

impl Client {
    /// Asks for one change of a rollout and waits for it.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn propose(&self, ask: RolloutAsk) -> Result<RolloutDone, ClientError> {
        let mut request = tonic::Request::new(ProposeRolloutRequest {
            model: ask.model,
            change: Some(ask.change.into()),
            expected_rollout: ask.expected_rollout,
            author: ask.author,
            reason: ask.reason,
            quorum: ask.quorum.map(Into::into),
        });
        request.set_timeout(ask.timeout);
        let mut service = ModelServiceClient::new(self.channel.clone());
        Ok(service.propose_rollout(request).await?.into_inner().into())
    }
}

impl From<ChangeAsk> for Change {
    fn from(ask: ChangeAsk) -> Self {
        let steps = |steps: Vec<StepInfo>| steps.into_iter().map(RampStep::from).collect();
        match ask {
            ChangeAsk::Start { version, steps: of } => Self::Start(StartCandidate {
                version,
                steps: steps(of),
            }),
            ChangeAsk::Test(arms) => Self::Test(StartTest {
                arms: arms.into_iter().map(Arm::from).collect(),
            }),
            ChangeAsk::Set(of) => Self::Set(SetCandidate { steps: steps(of) }),
            ChangeAsk::Pause => Self::Pause(PauseCandidate {}),
            ChangeAsk::Resume => Self::Resume(ResumeCandidate {}),
            ChangeAsk::Promote(arm) => Self::Promote(PromoteArm {
                arm: arm.unwrap_or_default(),
            }),
            ChangeAsk::Abort => Self::Abort(AbortRollout {}),
            ChangeAsk::Rollback => Self::Rollback(RollBack {}),
        }
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
        }
    }
}

impl From<Arm> for ArmInfo {
    fn from(arm: Arm) -> Self {
        Self {
            name: arm.name,
            version: arm.version,
            share_bp: arm.share_bp,
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

impl From<ProposeRolloutResponse> for RolloutDone {
    fn from(done: ProposeRolloutResponse) -> Self {
        Self {
            model: done.model,
            done: done.done,
            changed: done.changed,
            rollout: done.rollout.map(Into::into),
            previous_version: done.previous_version,
            phases: done.phases.into_iter().map(Into::into).collect(),
            quorum: done.quorum.map(Into::into),
        }
    }
}
