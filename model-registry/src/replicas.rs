//! What each replica reports: `replicas/<replica>.json`, written by that replica alone.
//!
//! A report is no command: no replica loads, serves or drops anything because of another's report. It shows
//! people what holds a rollout back, and garbage collection what is in use. The age of a file is counted by
//! the store's clock and never by the replica's; see `files`.

mod files;

pub use files::{REPLICA_GONE_AFTER, ReplicaFile, Reported};

use crate::limits::{
    ADDRESS_BYTES_MAX, ARMS_MAX, BUILD_BYTES_MAX, REASON_BYTES_MAX, REPLICA_BYTES_MAX,
    REPLICA_NOTE_BYTES_MAX, REPLICA_VERSIONS_MAX,
};
use crate::names::is_arm_name;
use crate::{
    Arm, Error, FORMAT, ModelName, Nonce, Parent, Registry, ReplicaId, SHARES_BP, Version, json,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Longest name of a version's state, in bytes (chosen: the longest of this release has ten).
const STATE_BYTES_MAX: usize = 32;

/// What one replica reports of one model, as stored in `replicas/pod-7.json`.
///
/// What was read from a registry has been checked: format known, model and replica those asked for, counts
/// and texts within their limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaState {
    /// The stored format, 1.
    pub format: u32,
    /// Of which model.
    pub model: ModelName,
    /// The replica.
    pub replica: ReplicaId,
    /// Where others reach its data listener, `host:port`; at most 256 bytes.
    pub address: String,
    /// The program, such as `0.1.0`; at most 128 bytes.
    pub build: String,
    /// RFC 3339, by the replica's clock.
    pub started_at: String,
    /// RFC 3339, by the replica's clock; for people, see [`ReplicaFile::age`]. Set by
    /// [`Registry::write_replica`].
    pub written_at: String,
    /// It was shut down and serves no more.
    #[serde(default)]
    pub is_stopped: bool,
    /// The process that wrote it: two under one name are told apart by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Nonce>,
    /// Another process reports under this name, too.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        rename = "name_conflict"
    )]
    pub is_name_conflict: bool,
    /// The newest rollout that it has observed, named as its child would name it; `heard` in the file.
    #[serde(rename = "heard")]
    pub observed: Option<Parent>,
    /// The rollout that answers requests there.
    pub live: Option<Parent>,
    /// The live rollout's arms with the shares they have now; at most 8.
    #[serde(default)]
    pub arms: Vec<Arm>,
    /// Versions on it, newest first; at most 64.
    #[serde(default)]
    pub versions: Vec<ReplicaVersion>,
    /// Not empty: what keeps it from serving the newest rollout, or its fallbacks; at most 4,096 bytes.
    #[serde(default)]
    pub degraded: String,
    /// Not empty: why it could not read the registry last time; at most 4,096 bytes.
    #[serde(default)]
    pub registry_trouble: String,
}

/// One version on one replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaVersion {
    /// Its number.
    pub version: Version,
    /// A name of `a-z` and `_`, such as `loading` or `live`.
    pub state: String,
    /// Since when it is in this state; RFC 3339, by the replica's clock.
    pub since: String,
    /// Not empty: why it failed, or its fallbacks; at most 1,024 bytes.
    #[serde(default)]
    pub reason: String,
}

impl ReplicaVersion {
    /// Whether its parts may still be needed there: not where it was retired or never loaded.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        !matches!(self.state.as_str(), "retired" | "failed")
    }
}

impl ReplicaState {
    /// Reads what is stored under a replica's name.
    pub(crate) fn parse_at(
        model: &ModelName,
        replica: &ReplicaId,
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let what = described(model, replica);
        let state: Self = json::parse(&what, bytes)?;
        if (&state.model, &state.replica) != (model, replica) {
            let why = format!(
                "it is of replica {} and model {}",
                state.replica, state.model
            );
            return Err(Error::corrupt(what, why));
        }
        match state.check() {
            Ok(()) => Ok(state),
            Err(error) => Err(error.in_stored(&what)),
        }
    }

    /// The same with texts truncated and without control characters, and with no more versions than a file
    /// may have: a replica in trouble must not fail to report because its texts are long.
    fn truncated(&self) -> Self {
        let mut state = self.clone();
        state.versions.truncate(REPLICA_VERSIONS_MAX);
        for version in &mut state.versions {
            version.reason = cut(&version.reason, REASON_BYTES_MAX);
        }
        state.degraded = cut(&state.degraded, REPLICA_NOTE_BYTES_MAX);
        state.registry_trouble = cut(&state.registry_trouble, REPLICA_NOTE_BYTES_MAX);
        state
    }

    fn check(&self) -> Result<(), Error> {
        json::check_text("address", &self.address, ADDRESS_BYTES_MAX)?;
        json::check_text("build", &self.build, BUILD_BYTES_MAX)?;
        json::check_time("started_at", &self.started_at)?;
        json::check_time("written_at", &self.written_at)?;
        check_count("number of arms", self.arms.len(), ARMS_MAX)?;
        for arm in &self.arms {
            if !is_arm_name(&arm.name) {
                return Err(Error::invalid("arm", &arm.name, "an arm's name"));
            }
            if arm.share_bp > SHARES_BP {
                let share = arm.share_bp.to_string();
                return Err(Error::invalid("share of an arm", &share, "at most 10,000"));
            }
        }
        let versions = self.versions.len();
        check_count("number of versions", versions, REPLICA_VERSIONS_MAX)?;
        for version in &self.versions {
            version.check()?;
        }
        check_note("degraded", &self.degraded, REPLICA_NOTE_BYTES_MAX)?;
        let trouble = &self.registry_trouble;
        check_note("registry_trouble", trouble, REPLICA_NOTE_BYTES_MAX)
    }
}

impl ReplicaVersion {
    fn check(&self) -> Result<(), Error> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_word = (1..=STATE_BYTES_MAX).contains(&self.state.len());
        if !is_word || !self.state.bytes().all(is_letter) {
            let limit = "1 to 32 of a-z and '_'";
            return Err(Error::invalid("state of a version", &self.state, limit));
        }
        json::check_time("since", &self.since)?;
        check_note("reason", &self.reason, REASON_BYTES_MAX)
    }
}

/// How messages name a replica's file.
pub(crate) fn described(model: &ModelName, replica: &ReplicaId) -> String {
    format!("state of replica {replica} of {model}")
}

fn check_count(field: &'static str, found: usize, max: usize) -> Result<(), Error> {
    if found <= max {
        return Ok(());
    }
    let limit = format!("at most {max}");
    Err(Error::invalid(field, &found.to_string(), limit))
}

/// Free text that may be empty.
fn check_note(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    json::check_text(field, text, bytes_max)
}

/// Within the limit, the ellipsis included.
fn cut(text: &str, bytes_max: usize) -> String {
    let text = text.trim();
    // A control character of one byte becomes one of three.
    let mut shown = json::printable(text, bytes_max);
    if shown.len() > bytes_max {
        let end = shown.floor_char_boundary(bytes_max - '…'.len_utf8());
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

impl Registry {
    /// Replaces the file of a replica, with `written_at` as of now; texts that are too long are truncated.
    /// No other process may write under this replica's name.
    ///
    /// Writes nothing where the model has nothing: a heartbeat must not recreate a folder that is unmounted
    /// for the moment. Costs one HEAD, and one small write.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the rollout that it has observed, or with none any version, is not in the
    /// registry; [`Error::Invalid`]; [`Error::TooLarge`]; those of [`Registry::verify_conditional_writes`];
    /// [`Error::Unavailable`], [`Error::ReadOnly`].
    pub async fn write_replica(&self, state: &ReplicaState) -> Result<(), Error> {
        let mut state = state.truncated();
        state.format = FORMAT;
        state.written_at = self.clock().now_text();
        state.check()?;
        let bytes = json::write(&state);
        let what = described(&state.model, &state.replica);
        if bytes.len() as u64 > REPLICA_BYTES_MAX {
            return Err(Error::TooLarge {
                what: format!("size of the {what}"),
                found: bytes.len() as u64,
                limit: REPLICA_BYTES_MAX,
            });
        }
        self.check_model_exists(&state).await?;
        self.verify_conditional_writes().await?;
        let path = self.layout().replica(&state.model, &state.replica);
        // What a failed write left has a time of its own; the remembered one no longer belongs to it.
        self.own_writes().forget(&path);
        self.store().overwrite(&what, &path, &bytes).await?;
        self.own_writes().remember(path, Instant::now());
        Ok(())
    }

    async fn check_model_exists(&self, state: &ReplicaState) -> Result<(), Error> {
        let (model, observed) = (&state.model, state.observed);
        let is_there = match observed {
            Some(observed) => {
                let path = self.layout().rollout(model, observed.number);
                let what = crate::rollout::described(model, observed.number);
                self.store().size(&what, &path).await?.is_some()
            }
            None => !self.version_numbers(model).await?.is_empty(),
        };
        if is_there {
            return Ok(());
        }
        let what = match observed {
            Some(observed) => crate::rollout::described(model, observed.number),
            None => format!("a version of {model}"),
        };
        Err(Error::NotFound { what })
    }
}

#[cfg(test)]
mod tests;
