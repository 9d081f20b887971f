//! `GetModelStatus`: what one server serves, what it should serve, and what holds it back.

use super::Operations;
use super::wire::{desired_rollout, digest_text, live_rollout, wire_phases, wire_state};
use crate::error::CallError;
use crate::events::EventsStatus;
use crate::grpc::proto::{
    EventsStatus as WireEventsStatus, GetModelStatusRequest, GetModelStatusResponse, LoadFailure,
    VersionStatus,
};
use crate::lifecycle::{ModelHandle, VersionEntry};
use crate::serving::validate::Violations;
use hotshelf_registry::Version;

impl Operations {
    pub(super) fn model_status(
        &self,
        request: &GetModelStatusRequest,
    ) -> Result<GetModelStatusResponse, CallError> {
        let mut bad = Violations::default();
        bad.model(&request.model);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        Ok(GetModelStatusResponse {
            silent: self.member(handle)?.not_reporting(),
            events: self
                .events
                .as_ref()
                .map(|events| events_status(events.status())),
            ..own_status(handle)
        })
    }
}

fn events_status(status: EventsStatus) -> WireEventsStatus {
    WireEventsStatus {
        url: status.url,
        held_bytes: status.held_bytes,
        uploaded_at: status.uploaded_at.map(Into::into),
        upload_error: status.upload_error,
        recents_people: status.recents,
    }
}

/// All but what the fleet and the event log know.
fn own_status(handle: &ModelHandle) -> GetModelStatusResponse {
    let status = handle.status.load();
    let manager = &status.manager;
    let versions = manager.versions.iter();
    let versions = versions.map(|(version, entry)| version_status(*version, entry));
    GetModelStatusResponse {
        model: handle.slot.name.to_string(),
        live: live_rollout(manager),
        desired: desired_rollout(manager),
        degraded: handle.degraded(&status),
        versions: versions.collect(),
        registry_error: status.registry_error.clone(),
        skipped_rollouts: status.skipped_rollouts.clone(),
        registry_writing: handle.write_access.borrow().to_string(),
        silent: String::new(),
        guardrail_breaches: handle.breaches.load().as_ref().clone(),
        events: None,
    }
}

fn version_status(version: Version, entry: &VersionEntry) -> VersionStatus {
    VersionStatus {
        version: version.get(),
        state: wire_state(entry.state).into(),
        resident_bytes: entry.resident_bytes as u64,
        phases: wire_phases(&entry.phases),
        failure: entry.failure.as_ref().map(|failure| LoadFailure {
            kind: failure.error.kind.as_str().to_owned(),
            message: failure.error.message.clone(),
            failed_at: Some(failure.failed_at.into()),
            attempts: failure.attempts,
            next_attempt_at: failure.next_try_at.map(Into::into),
        }),
        degraded: entry.degraded.clone(),
        mended: entry.refetched.clone(),
        manifest_sha256: digest_text(entry.manifest_sha256),
    }
}
