//! `ProposeRollout`: one change of which version receives which share of traffic.

use super::Operations;
use super::proposal::{deadline_or, refusal};
use super::wire;
use crate::error::CallError;
use crate::grpc::proto::propose_rollout_request::Change as WireChange;
use crate::grpc::proto::{Arm as WireArm, ProposeRolloutRequest, ProposeRolloutResponse, RampStep};
use crate::lifecycle::{Change, ModelHandle, Proposal, Reply};
use crate::serving::validate::Violations;
use hotshelf_registry::{Arm, Ramp, RampStep as Step, RolloutDraft, SHARES_BP, Version};
use std::time::Instant;

impl Operations {
    pub(super) async fn propose(
        &self,
        request: ProposeRolloutRequest,
        deadline: Option<Instant>,
    ) -> Result<ProposeRolloutResponse, CallError> {
        let mut bad = Violations::default();
        bad.model(&request.model);
        bad.accepted("author", RolloutDraft::check_author(&request.author));
        bad.accepted("reason", RolloutDraft::check_reason(&request.reason));
        let change = bad.change(request.change);
        let quorum = bad.quorum(request.quorum);
        bad.finish()?;
        let change = change.ok_or(CallError::Internal("a change was judged good and is not"))?;
        let handle = self.handle(&request.model)?;
        let proposal = Proposal {
            change,
            expected_rollout: request.expected_rollout,
            author: request.author,
            reason: request.reason,
        };
        let until = deadline_or(deadline, self.reload_timeout);
        match self.settled(handle, proposal, until).await? {
            Some(reply) => {
                let done = answer(handle, reply)?;
                let quorum = self.reached(handle, quorum, until).await;
                Ok(ProposeRolloutResponse { quorum, ..done })
            }
            None => Ok(so_far(handle)),
        }
    }
}

fn answer(handle: &ModelHandle, reply: Reply) -> Result<ProposeRolloutResponse, CallError> {
    let now = so_far(handle);
    match reply {
        Reply::Unchanged => Ok(ProposeRolloutResponse { done: true, ..now }),
        Reply::Changed {
            previous, phases, ..
        } => Ok(ProposeRolloutResponse {
            done: true,
            changed: true,
            previous_version: previous.map(Version::get),
            phases: wire::wire_phases(&phases),
            ..now
        }),
        other => Err(refusal(handle, other)),
    }
}

fn so_far(handle: &ModelHandle) -> ProposeRolloutResponse {
    let status = handle.status.load();
    ProposeRolloutResponse {
        model: handle.slot.name.to_string(),
        rollout: wire::live_rollout(&status.manager),
        ..ProposeRolloutResponse::default()
    }
}

impl Violations {
    /// The change; `None` only where something was bad.
    fn change(&mut self, wire: Option<WireChange>) -> Option<Change> {
        match wire {
            None => {
                let one = "give one of start, test, set, pause, resume, promote, abort, rollback";
                self.add("change", one.to_owned());
                None
            }
            Some(WireChange::Start(start)) => {
                let ramp = self.ramp("start.steps", &start.steps);
                let version = self.version("start.version", start.version);
                Some(Change::Start {
                    version: version?,
                    ramp: ramp?,
                })
            }
            Some(WireChange::Test(test)) => self.test(&test.arms),
            Some(WireChange::Set(set)) => {
                let ramp = self.ramp("set.steps", &set.steps)?;
                Some(Change::Set { ramp })
            }
            Some(WireChange::Pause(_)) => Some(Change::Pause),
            Some(WireChange::Resume(_)) => Some(Change::Resume),
            Some(WireChange::Promote(promote)) => Some(Change::Promote {
                arm: Some(promote.arm).filter(|arm| !arm.is_empty()),
            }),
            Some(WireChange::Abort(_)) => Some(Change::Abort),
            Some(WireChange::Rollback(_)) => Some(Change::Rollback),
        }
    }

    fn test(&mut self, arms: &[WireArm]) -> Option<Change> {
        let mut judged = Vec::with_capacity(arms.len());
        for (at, arm) in arms.iter().enumerate() {
            let version = self.version(&format!("test.arms[{at}].version"), arm.version);
            let share_bp = self.share(&format!("test.arms[{at}].share_bp"), arm.share_bp);
            judged.extend(version.zip(share_bp).map(|(version, share_bp)| Arm {
                name: arm.name.clone(),
                version,
                share_bp,
                manifest_sha256: None,
            }));
        }
        if judged.len() < arms.len() {
            return None;
        }
        if arms.len() == 1 {
            self.add("test.arms", "1 arm is not within 2 to 8".to_owned());
            return None;
        }
        self.accepted("test.arms", RolloutDraft::check_arms(&judged))?;
        Some(Change::Test { arms: judged })
    }

    fn ramp(&mut self, field: &str, steps: &[RampStep]) -> Option<Ramp> {
        let mut judged = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let share_bp = self.share(&format!("{field}[{at}].share_bp"), step.share_bp);
            let hold_s = self.hold(&format!("{field}[{at}].hold"), step);
            let step = share_bp.zip(hold_s);
            judged.extend(step.map(|(share_bp, hold_s)| Step { share_bp, hold_s }));
        }
        if judged.len() < steps.len() {
            return None;
        }
        let ramp = Ramp::new(judged);
        self.accepted(field, ramp.check())?;
        Some(ramp)
    }

    fn hold(&mut self, field: &str, step: &RampStep) -> Option<u64> {
        let hold = step.hold.unwrap_or_default();
        let seconds = u64::try_from(hold.seconds).ok();
        let whole = seconds.filter(|_| hold.nanos == 0);
        if whole.is_none() {
            let (seconds, nanos) = (hold.seconds, hold.nanos);
            let why = format!("{seconds} s and {nanos} ns are not 0 or more whole seconds");
            self.add(field, why);
        }
        whole
    }

    fn share(&mut self, field: &str, share_bp: u32) -> Option<u16> {
        let share = u16::try_from(share_bp).ok().filter(|bp| *bp <= SHARES_BP);
        if share.is_none() {
            self.add(
                field,
                format!("{share_bp} is not within 0 to 10,000 basis points"),
            );
        }
        share
    }

    fn version(&mut self, field: &str, number: u64) -> Option<Version> {
        let version = Version::new(number);
        if version.is_none() {
            self.add(
                field,
                format!("{number} is not a version; versions start at 1"),
            );
        }
        version
    }
}
