//! `ReloadModel`: one version for all traffic.

use super::proposal::{deadline_or, live_version, refusal};
use super::wire::{wire_phases, wire_state};
use super::{Operations, unreadable};
use crate::error::CallError;
use crate::grpc::proto::{ReloadModelRequest, ReloadModelResponse, VersionState as WireState};
use crate::lifecycle::{Change, LoadErrorKind, ModelHandle, Proposal, Reply};
use crate::serving::validate::Violations;
use hotshelf_registry::{RolloutDraft, Version};
use std::time::Instant;

impl Operations {
    pub(super) async fn reload(
        &self,
        request: ReloadModelRequest,
        deadline: Option<Instant>,
    ) -> Result<ReloadModelResponse, CallError> {
        let author = or_else(request.author, "unknown");
        let reason = or_else(request.reason, "reload");
        let mut bad = Violations::default();
        bad.model(&request.model);
        bad.accepted("author", RolloutDraft::check_author(&author));
        bad.accepted("reason", RolloutDraft::check_reason(&reason));
        if request.version == Some(0) {
            bad.add(
                "version",
                "0 is not a version; versions start at 1".to_owned(),
            );
        }
        let quorum = bad.quorum(request.quorum);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        let until = deadline_or(deadline, self.reload_timeout);
        let target = self.target(handle, request.version);
        let version = match tokio::time::timeout_at(until.into(), target).await {
            Ok(target) => target?,
            // Without a target there is no state to report.
            Err(_) => return Err(CallError::DeadlineExceeded),
        };
        let proposal = Proposal {
            change: Change::All(version),
            expected_rollout: request.expected_rollout,
            author,
            reason,
        };
        let previous = live_version(handle);
        match self.settled(handle, proposal, until).await? {
            Some(reply) => {
                let done = answer(handle, version, reply)?;
                let quorum = self.reached(handle, quorum, until).await;
                Ok(ReloadModelResponse { quorum, ..done })
            }
            None => Ok(so_far(handle, version, previous)),
        }
    }

    /// The version asked for, or the newest one.
    async fn target(&self, handle: &ModelHandle, asked: Option<u64>) -> Result<Version, CallError> {
        let model = &handle.slot.name;
        if let Some(number) = asked {
            let no_such = || CallError::UnknownVersion(format!("{model} has no version {number}"));
            return Version::new(number).ok_or_else(no_such);
        }
        let newest = self
            .registry
            .newest(model)
            .await
            .map_err(|error| unreadable(&error))?;
        newest.ok_or_else(|| CallError::UnknownVersion(format!("{model} has no version yet")))
    }
}

fn or_else(given: String, default: &str) -> String {
    if given.is_empty() {
        default.to_owned()
    } else {
        given
    }
}

fn answer(
    handle: &ModelHandle,
    version: Version,
    reply: Reply,
) -> Result<ReloadModelResponse, CallError> {
    match reply {
        Reply::Unchanged => {
            let mut response = so_far(handle, version, Some(version.get()));
            response.phases.clear();
            Ok(response)
        }
        Reply::Changed {
            previous,
            version,
            rollout,
            phases,
        } => Ok(ReloadModelResponse {
            model: handle.slot.name.to_string(),
            changed: true,
            previous_version: previous.map(Version::get),
            version: version.get(),
            rollout: Some(rollout.get()),
            state: WireState::Live.into(),
            phases: wire_phases(&phases),
            quorum: None,
        }),
        Reply::Refused(error) if error.kind == LoadErrorKind::NotFound => {
            Err(CallError::UnknownVersion(error.message))
        }
        other => Err(refusal(handle, other)),
    }
}

/// The state of a reload that is not finished, or had nothing to do.
fn so_far(
    handle: &ModelHandle,
    version: Version,
    previous_version: Option<u64>,
) -> ReloadModelResponse {
    let status = handle.status.load();
    let entry = status.manager.version(version);
    let state = entry.map_or(WireState::Discovered, |entry| wire_state(entry.state));
    ReloadModelResponse {
        model: handle.slot.name.to_string(),
        changed: false,
        previous_version,
        version: version.get(),
        rollout: status.manager.live.as_ref().map(|live| live.number.get()),
        state: state.into(),
        phases: entry
            .map(|entry| wire_phases(&entry.phases))
            .unwrap_or_default(),
        quorum: None,
    }
}
