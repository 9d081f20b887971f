//! Which arm of which rollout answers a request.

use crate::error::CallError;
use crate::guardrails::Tally;
use crate::lifecycle::{Live, LiveArm, LoadedVersion, Models};
use hotshelf_model::{Model, QueryError};
use std::fmt;
use std::sync::Arc;

/// Who is asked: the fields that choose the arm, and nothing else of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Empty: the default model.
    pub(super) model: String,
    /// What chooses the arm where there is no user id: the session's id, else the request's.
    pub(super) session_or_request_id: String,
    /// Whether that is the session's.
    has_session: bool,
    /// The version to be answered by, past the traffic split.
    pub(super) pinned_version: Option<u64>,
}

impl Target {
    pub(super) fn new(
        model: String,
        [session_id, request_id]: [String; 2],
        pinned_version: Option<u64>,
    ) -> Self {
        let has_session = !session_id.is_empty();
        let session_or_request_id = match has_session {
            true => session_id,
            false => request_id,
        };
        Self {
            model,
            session_or_request_id,
            has_session,
            pinned_version,
        }
    }

    /// Empty: the request names none.
    pub(super) fn session_id(&self) -> &str {
        match self.has_session {
            true => &self.session_or_request_id,
            false => "",
        }
    }

    /// The key that chooses the arm, and under which a person counts once.
    pub(super) fn split_key<'a>(&'a self, user_id: &'a str) -> &'a str {
        if user_id.is_empty() {
            &self.session_or_request_id
        } else {
            user_id
        }
    }
}

/// The one snapshot of a request, and the arm of it that answers. Owns its snapshot, so that it may be
/// held across a wait. A version retires once its last request has dropped its snapshot.
#[derive(Clone)]
pub struct ServingArm {
    live: Arc<Live>,
    /// Index into the snapshot's arms.
    arm: usize,
    is_pinned: bool,
}

impl ServingArm {
    /// Takes the model's snapshot and chooses the arm.
    ///
    /// # Errors
    /// `UnknownModel`, `NotLive`; `PinRefused` and `VersionNotLive` for a pinned version.
    pub(super) fn choose(
        models: &Models,
        target: &Target,
        split_key: &str,
        may_pin: bool,
    ) -> Result<Self, CallError> {
        let slot = models.slot(&target.model);
        let slot = slot.ok_or_else(|| CallError::UnknownModel(target.model.clone()))?;
        // Owned and not borrowed: arc-swap's guard is not made to be held across a wait.
        let live = slot.live.load_full();
        let live = live.ok_or_else(|| CallError::NotLive(slot.name.to_string()))?;
        let arm = match target.pinned_version {
            None => live.arm_index_for(split_key),
            Some(_) if !may_pin => return Err(CallError::PinRefused),
            Some(version) => pinned_arm(&live, version)?,
        };
        Ok(Self {
            live,
            arm,
            is_pinned: target.pinned_version.is_some(),
        })
    }

    /// Name of the model, never empty.
    pub fn model_name(&self) -> &str {
        self.live.record.model.as_str()
    }

    /// Number of the version that answers.
    pub fn version(&self) -> u64 {
        self.loaded().version.get()
    }

    /// SHA-256 of the manifest of the version that answers, in hexadecimal digits.
    pub fn manifest_sha256(&self) -> &str {
        &self.loaded().manifest_sha256
    }

    /// The same as bytes.
    pub(super) fn manifest_digest(&self) -> &[u8; 32] {
        self.loaded().manifest.sha256.as_bytes()
    }

    /// Number of the rollout record that made it live.
    pub fn rollout(&self) -> u64 {
        self.live.record.number.get()
    }

    /// Name of the arm.
    pub fn name(&self) -> &str {
        &self.live_arm().name
    }

    /// The model of the version that answers.
    pub fn model(&self) -> &Model {
        &self.loaded().model
    }

    pub(super) fn loaded(&self) -> &LoadedVersion {
        &self.live_arm().loaded
    }

    /// All arms of the snapshot.
    pub(super) fn all(&self) -> &[LiveArm] {
        self.live.arms()
    }

    /// Where this request counts for the guardrails. `None` for a pinned version: its caller chose the arm, and not
    /// the hash.
    pub(super) fn tally(&self) -> Option<&Tally> {
        let tally = self.live_arm().tally.as_deref();
        tally.filter(|_| !self.is_pinned)
    }

    /// What a caller is answered where the model refuses a query; `product_id` is the one asked about.
    pub(super) fn refusal(&self, error: QueryError, product_id: &str) -> CallError {
        let version = self.version();
        match error {
            QueryError::NeedsContent => CallError::NeedsContent(version),
            QueryError::NeedsTransitions => CallError::NeedsTransitions(version),
            QueryError::UnknownProduct => CallError::UnknownProduct {
                product_id: product_id.to_owned(),
                version,
            },
            _ => CallError::Internal("the model refused the query"),
        }
    }

    fn live_arm(&self) -> &LiveArm {
        &self.live.arms()[self.arm]
    }
}

impl fmt::Debug for ServingArm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServingArm")
            .field("model", &self.model_name())
            .field("version", &self.version())
            .field("rollout", &self.rollout())
            .field("arm", &self.name())
            .finish_non_exhaustive()
    }
}

fn pinned_arm(live: &Live, version: u64) -> Result<usize, CallError> {
    let versions = live.arms().iter().map(|arm| arm.loaded.version.get());
    let found = versions.clone().position(|one| one == version);
    found.ok_or_else(|| CallError::VersionNotLive {
        version,
        live: versions.collect(),
    })
}
