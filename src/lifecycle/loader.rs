//! Loads one version from the registry into memory, on a thread of its own.
//!
//! ```text
//! manifest ─▶ reserve memory ─▶ fetch ─▶ verify (checksums) ─▶ unpack (bounds) ─▶ golden queries ─▶ warm up ─▶ LoadedVersion
//! ```
//!
//! Every failure ends here as a [`LoadError`], even a decoder's panic.

mod obtain;

use super::budget::MemoryBudget;
use super::event::Supply;
use super::live::LoadedVersion;
use super::manager::Gate;
use super::pacing::Pacer;
use super::state::{LoadError, LoadErrorKind, LoadedInfo, Phase, VersionState};
use super::status::sentences;
use crate::metrics::Metrics;
use bytes::Bytes;
use hotshelf_model::{Model, ModelCard, Query, SCORING_REVISION, Scratch, UserRow};
use hotshelf_registry::{
    CacheDir, LiveSet, Manifest, ModelName, Registry, RolloutRecord, Sha256Digest, UploadId,
    Version,
};
use obtain::Obtained;
pub use obtain::needed;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Users queried while warming up (chosen: touches every product row several times over, takes some 20 ms
/// at 100,000 products).
const WARM_UP_QUERIES: usize = 200;

/// The source of versions.
#[derive(Clone)]
pub struct Source {
    /// The registry.
    pub registry: Registry,
    /// Its URL and endpoint: a live set of one registry is not served under another.
    pub origin: Arc<str>,
    /// This process's own folder.
    pub cache: Arc<CacheDir>,
    /// What all versions of the process may hold.
    pub budget: Arc<MemoryBudget>,
    /// Where loads are counted.
    pub metrics: Arc<Metrics>,
    /// What to do with a version of another scoring revision.
    pub other_revision: Gate,
}

impl Source {
    /// The live set of this registry, if there is one. BLOCKS for one read.
    pub(super) fn restore(&self, model: &ModelName) -> Result<Option<LiveSet>, String> {
        let restored = self.cache.restore(model);
        let restored = restored.map_err(|error| crate::error::with_causes(&error))?;
        match restored {
            Some(set) if *set.origin != *self.origin => Err(format!(
                "rollout {} was persisted of registry {}, not of {}",
                set.record.number, set.origin, self.origin
            )),
            restored => Ok(restored),
        }
    }

    /// Persists the live set. BLOCKS for one small write and its sync.
    pub(super) fn persist(
        &self,
        record: RolloutRecord,
        manifests: Vec<Manifest>,
    ) -> Result<(), String> {
        let saved_at = jiff::Timestamp::now().to_string();
        let set = LiveSet::new((self.origin.to_string(), saved_at), record, manifests);
        set.and_then(|set| self.cache.persist(&set))
            .map_err(|error| crate::error::with_causes(&error))
    }
}

/// The outcome of a load.
pub struct LoadResult {
    /// How long each step took, also where one failed.
    pub phases: Vec<Phase>,
    /// The version and its description, or why it cannot serve.
    pub outcome: Result<(Arc<LoadedVersion>, LoadedInfo), LoadError>,
}

/// One load.
pub(super) struct Load {
    /// The model.
    pub model: ModelName,
    /// Which version.
    pub version: Version,
    /// The manifest that it must have, where a rollout names one.
    pub named: Option<Sha256Digest>,
    /// Something is live, so the load is paced.
    pub is_paced: bool,
    /// From where.
    pub supply: Supply,
    /// Uploads that stay in the cache: those of versions in memory, for a restart.
    pub kept: BTreeSet<UploadId>,
}

impl Load {
    /// Runs to its end on the calling thread. `progress` is called with Verifying and Warming.
    pub(super) fn run(
        &self,
        source: &Source,
        progress: &mut dyn FnMut(VersionState),
    ) -> LoadResult {
        let mut steps = Steps {
            phases: Vec::new(),
            began: Instant::now(),
        };
        let run = || self.steps(source, &mut steps, progress);
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            Err(LoadError {
                kind: LoadErrorKind::Panic,
                message: format!("version {}: the decoder panicked", self.version),
                is_retryable: false,
            })
        });
        LoadResult {
            phases: steps.phases,
            outcome,
        }
    }

    fn steps(
        &self,
        source: &Source,
        steps: &mut Steps,
        progress: &mut dyn FnMut(VersionState),
    ) -> Result<(Arc<LoadedVersion>, LoadedInfo), LoadError> {
        let mut pacer = Pacer::begin(self.is_paced);
        let mut breathe = |_bytes: usize| pacer.breathe();
        let Obtained {
            manifest,
            parts,
            mut reservation,
            refetched,
            restored,
        } = self.obtain(source, steps, (progress, &mut breathe))?;
        let (card, model) = steps.run("unpack", || unpack(&manifest, &parts, &mut breathe))?;
        let mut scratch = Scratch::default();
        let golden_query_failure = steps.run("probe", || {
            Ok(check_golden_queries(
                &card,
                &model,
                &mut scratch,
                &mut breathe,
            ))
        })?;
        progress(VersionState::Warming);
        steps.run("warm_up", || {
            warm_up(&model, &mut scratch, &mut breathe);
            Ok(())
        })?;
        let other_revision = check_revision(card.scoring_revision).err();
        let degraded = sentences([other_revision.unwrap_or_default(), restored]);
        let resident_bytes = model.heap_bytes();
        // A part stays in memory as a whole, including its header.
        let parts_bytes = parts.values().map(|part| part.len() as u64).sum::<u64>();
        let held_bytes = parts_bytes.max(resident_bytes as u64);
        reservation.settle(self.version, held_bytes)?;
        let info = LoadedInfo {
            manifest_sha256: Some(manifest.sha256),
            resident_bytes,
            golden_query_failure,
            degraded,
            refetched,
        };
        let metrics = OnceLock::new();
        let loaded = LoadedVersion {
            version: self.version,
            manifest_sha256: manifest.sha256.to_string(),
            manifest: Arc::new(manifest),
            model,
            card,
            metrics,
            reservation,
        };
        Ok((Arc::new(loaded), info))
    }
}

struct Steps {
    phases: Vec<Phase>,
    began: Instant,
}

impl Steps {
    fn run<T>(
        &mut self,
        name: &'static str,
        step: impl FnOnce() -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        self.began = Instant::now();
        let outcome = step();
        let duration = self.began.elapsed();
        match self.phases.iter_mut().find(|phase| phase.name == name) {
            Some(again) => again.duration += duration,
            None => self.phases.push(Phase { name, duration }),
        }
        outcome
    }
}

/// Reads the model's own section of a manifest.
///
/// # Errors
/// It is not what this release understands.
pub fn card(manifest: &Manifest) -> Result<ModelCard, LoadError> {
    ModelCard::deserialize(&manifest.card).map_err(|error| {
        // The parser repeats a whole value, and the message goes into logs and responses.
        let said = error.to_string();
        LoadError {
            kind: LoadErrorKind::Card,
            message: format!("version {}: card: {said:.256}", manifest.version),
            is_retryable: false,
        }
    })
}

/// Checks the parts against the manifest's card and builds a model from them.
pub fn unpack(
    manifest: &Manifest,
    parts: &BTreeMap<String, Bytes>,
    breathe: &mut dyn FnMut(usize),
) -> Result<(ModelCard, Model), LoadError> {
    let card = card(manifest)?;
    let model = Model::unpack(&card, parts, breathe).map_err(|error| LoadError {
        kind: LoadErrorKind::Model(error.kind()),
        message: format!("version {}: {error}", manifest.version),
        is_retryable: false,
    })?;
    Ok((card, model))
}

/// Whether this server computes the scoring revision that a card names. Otherwise its golden queries prove
/// nothing here, and a version could disable its own check.
///
/// # Errors
/// Both revisions, in words.
pub fn check_revision(named: u32) -> Result<(), String> {
    let computed = SCORING_REVISION;
    if named == computed {
        return Ok(());
    }
    Err(format!(
        "its card names scoring revision {named} and this server computes revision {computed}, so its \
         golden queries cannot be checked"
    ))
}

/// The refusal of a version by [`check_revision`].
pub fn revision_refusal(version: Version, why: &str) -> LoadError {
    LoadError {
        kind: LoadErrorKind::ScoringRevision,
        message: format!(
            "version {version}: {why}; other_scoring_revision = \"serve\" serves it anyway"
        ),
        is_retryable: false,
    }
}

/// Repeats the golden queries; `Some` says how the answers differ from the publisher's.
pub fn check_golden_queries(
    card: &ModelCard,
    model: &Model,
    scratch: &mut Scratch,
    breathe: &mut dyn FnMut(usize),
) -> Option<String> {
    if card.golden_queries.is_empty() {
        return Some("its publisher stored no golden queries".to_owned());
    }
    let report = card.check_golden_queries(model, scratch, breathe);
    let first = report.mismatches.first()?;
    let said = format!(
        "{} of {} golden queries differ from the publisher's answers, the first: {first}",
        report.mismatches.len(),
        report.checked
    );
    if report.revision_differs {
        // Another scoring revision is expected to answer otherwise.
        tracing::warn!(
            said,
            "golden queries differ under another scoring revision; not refused"
        );
        return None;
    }
    Some(said)
}

/// Runs default queries of users spread over the table, so that the first caller finds memory warm.
fn warm_up(model: &Model, scratch: &mut Scratch, breathe: &mut dyn FnMut(usize)) {
    let users = model.users().len();
    let step = (users / WARM_UP_QUERIES).max(1);
    for row in (0..users).step_by(step) {
        let Ok(row) = u32::try_from(row) else { break };
        let query = warm_up_query(model, UserRow(row));
        // The result is of no interest, and a refusal would be the same for every caller.
        let _answer = model.recommend(&query, scratch);
        breathe(0);
    }
}

/// What most callers ask: by the version's own defaults.
fn warm_up_query(model: &Model, user: UserRow) -> Query<'_> {
    let defaults = model.defaults();
    Query {
        user_id: model.users().id(user),
        n: 10,
        strategy: defaults.strategy,
        include_seen: defaults.include_seen,
        ..Query::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn error_about_a_card_quotes_at_most_one_line() {
        let manifest = serde_json::json!({
            "format": 1, "model": "shop", "version": 12, "upload": "ab".repeat(16),
            "nonce": "cd".repeat(16), "created_at": "2026-11-24T02:00:00Z", "author": "ann",
            "lineage": {}, "parts": [], "card": { "scoring_revision": "x".repeat(1 << 20) }
        });
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let error = card(&manifest).unwrap_err();
        assert!(
            error
                .message
                .starts_with("version 12: card: invalid type: string \"xxx")
        );
        assert!(error.message.len() < 300, "{} bytes", error.message.len());
    }

    #[test]
    fn card_of_another_scoring_revision_is_refused_by_name() {
        for revision in [0, SCORING_REVISION + 1, u32::MAX] {
            let why = check_revision(revision).unwrap_err();
            assert!(why.contains(&format!("revision {revision} and")), "{why}");
            let error = revision_refusal(Version::new(3).unwrap(), &why);
            assert_eq!(error.kind.as_str(), "scoring_revision");
            assert!(error.message.contains("other_scoring_revision"));
        }
    }
}
