//! `ProposeRollout`.

use super::fleet::{QuorumAsk, QuorumInfo};
use super::phases::PhaseInfo;
use super::rollout_info::{ArmInfo, RolloutInfo, StepInfo};
use super::{Client, ClientError};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::propose_rollout_request::Change;
use crate::grpc::proto::{
    AbortRollout, Arm, PauseCandidate, PromoteArm, ProposeRolloutRequest, ProposeRolloutResponse,
    RampStep, ResumeCandidate, RollBack, SetCandidate, StartCandidate, StartTest,
};
use serde::Serialize;
use std::time::Duration;

/// A change to ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeAsk {
    /// Start a candidate.
    Start {
        /// Which version.
        version: u64,
        /// Its ramp.
        steps: Vec<StepInfo>,
    },
    /// Start a test with fixed shares.
    Test(Vec<ArmInfo>),
    /// Replace the candidate's ramp.
    Set(Vec<StepInfo>),
    /// Pause the ramp.
    Pause,
    /// Resume the ramp.
    Resume,
    /// Give the candidate, or this arm, all traffic.
    Promote(Option<String>),
    /// End the candidate or the test.
    Abort,
    /// Return to the previous version.
    Rollback,
}

/// A change and its author.
#[derive(Clone, Debug)]
pub struct RolloutAsk {
    /// Empty = the server's default.
    pub model: String,
    /// The change.
    pub change: ChangeAsk,
    /// The newest rollout that the caller knows; another one refuses the change.
    pub expected_rollout: Option<u64>,
    /// Who asks.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Other replicas to wait for.
    pub quorum: Option<QuorumAsk>,
    /// Deadline of the call.
    pub timeout: Duration,
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutDone {
    /// The model.
    pub model: String,
    /// Whether it is live on the server that was called.
    pub done: bool,
    /// Whether the call changed what is live.
    pub changed: bool,
    /// The rollout that is live there.
    pub rollout: Option<RolloutInfo>,
    /// The version that had most traffic before.
    pub previous_version: Option<u64>,
    /// The steps that were taken.
    pub phases: Vec<PhaseInfo>,
    /// The other replicas, where the call waited for them.
    pub quorum: Option<QuorumInfo>,
}

impl Client {
    /// Proposes a change and waits until it is live.
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
