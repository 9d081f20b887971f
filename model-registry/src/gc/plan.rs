//! Reads everything that a plan depends on, and decides. Writes nothing.

use super::{Fate, GcPlan, GcRules, GcUpload, GcVersion, Needs};
use crate::clock::since;
use crate::limits::{LISTED_MAX, READS_PARALLEL};
use crate::manifest::{self, VersionRecord, described};
use crate::store::Listed;
use crate::{End, Error, Manifest, ModelName, Registry, ReplicaId, Reported, UploadId, Version};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Parts in the store by their upload.
pub(super) type Uploads = BTreeMap<UploadId, Vec<Listed>>;

/// The record under a version's number.
enum Record {
    Published(Manifest),
    /// With the manifest that the tombstone carries.
    Removed(Option<Manifest>),
    Unreadable(String),
}

/// The label of a record in a format that this release does not read.
const NEWER_FORMAT: &str = "unsupported_format";

/// Replica files that say nothing of what is needed.
pub(super) struct Replicas {
    pub(super) gone: Vec<ReplicaId>,
    pub(super) junk: Vec<(ReplicaId, String)>,
}

/// The objects below a model's folder.
pub(super) struct Found {
    parts: Vec<Listed>,
    records: Vec<Listed>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.records.is_empty()
    }
}

impl Registry {
    /// What a run would remove now; writes nothing. Ages are by this machine's clock here, and by the
    /// store's where the plan is applied. Costs three listings, and a read for each version, rollout kept
    /// and replica.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Corrupt`] where a replica's file has a newer format, or the chain of
    /// rollouts cannot be read: what is needed is then unknown.
    pub async fn plan_gc(&self, model: &ModelName, rules: &GcRules) -> Result<GcPlan, Error> {
        let found = self.found(model).await?;
        Ok(self.plan((model, found), rules, None).await?.0)
    }

    /// The objects that a plan is about.
    pub(super) async fn found(&self, model: &ModelName) -> Result<Found, Error> {
        // Parts first: one that is written after this belongs to nothing that is removed.
        let parts = self.layout().parts(model);
        let what = format!("the parts of {model}");
        let parts = self.store().listed(&what, &parts, LISTED_MAX).await?;
        let versions = self.layout().versions(model);
        let what = format!("the versions of {model}");
        let records = self.store().listed(&what, &versions, LISTED_MAX).await?;
        Ok(Found { parts, records })
    }

    /// The plan, and where parts are; `now` by the store's clock where it is known.
    pub(super) async fn plan(
        &self,
        (model, found): (&ModelName, Found),
        rules: &GcRules,
        now: Option<Timestamp>,
    ) -> Result<(GcPlan, Uploads), Error> {
        let Found { parts, records } = found;
        let newest = parts.iter().chain(&records).map(|file| file.modified).max();
        let now = now.unwrap_or_else(|| self.clock().now());
        let now = newest.map_or(now, |newest| newest.max(now));
        let uploads = by_upload(parts);
        let (needs, replicas) = self.needs(model, rules).await?;

        let reads =
            records.into_iter().filter_map(|file| {
                let version = version_of(&file)?;
                let age = since(now, file.modified);
                Some(async move {
                    Ok::<_, Error>((version, age, self.gc_record(model, version).await?))
                })
            });
        let reads = futures::stream::iter(reads).buffered(READS_PARALLEL);
        let mut plan = GcPlan {
            replicas: replicas.gone,
            junk: replicas.junk,
            ..GcPlan::default()
        };
        let (mut named, mut stored) = (BTreeSet::new(), BTreeSet::new());
        let mut reads = std::pin::pin!(reads);
        while let Some((version, age, record)) = reads.try_next().await? {
            let manifest = match &record {
                Record::Published(manifest) | Record::Removed(Some(manifest)) => Some(manifest),
                Record::Removed(None) | Record::Unreadable(_) => None,
            };
            let upload = manifest.map(|manifest| manifest.upload);
            named.extend(upload);
            stored.extend(manifest.map(|manifest| manifest.sha256));
            let files = upload.and_then(|upload| uploads.get(&upload));
            let judged = judge((version, age), record, &needs, (rules, files));
            plan.versions.extend(judged);
        }
        plan.versions.sort_by_key(|entry| entry.version);
        // A version that was rewritten serves from its original parts.
        for (sha256, version) in needs.digests {
            if !stored.contains(&sha256) {
                let copied = self.copied_manifest(model, version, sha256).await?;
                named.extend(copied.map(|manifest| manifest.upload));
            }
        }
        let is_unread = |entry: &GcVersion| matches!(entry.fate, Fate::Unreadable(_));
        let may_name_any = plan.versions.iter().any(is_unread);
        let unnamed = uploads.iter().filter(|(upload, _)| !named.contains(upload));
        plan.uploads.extend(unnamed.map(|(upload, files)| {
            let newest = files.iter().map(|file| file.modified).max();
            let age = since(now, newest.unwrap_or(now));
            GcUpload {
                upload: *upload,
                size_bytes: size_of(files),
                age,
                is_removed: age >= rules.upload_age && !may_name_any,
            }
        }));
        Ok((plan, uploads))
    }

    /// Who needs what, and the replicas that say nothing of it.
    pub(super) async fn needs(
        &self,
        model: &ModelName,
        rules: &GcRules,
    ) -> Result<(Needs, Replicas), Error> {
        let (mut needs, mut gone, mut junk) = (Needs::default(), Vec::new(), Vec::new());
        let history = self.history(model, rules.keep_rollouts.max(1)).await?;
        if let End::Broken(why) = history.end {
            let what = format!("the chain of rollouts of {model}");
            return Err(Error::corrupt(what, why));
        }
        for record in &history.records {
            needs.add_digests(&record.arms);
            for arm in &record.arms {
                needs.named.entry(arm.version).or_insert(record.number);
            }
        }
        for seen in self.replicas(model).await? {
            match seen.reported {
                Reported::Gone => gone.push(seen.replica),
                Reported::State(state) => {
                    needs.add_digests(&state.arms);
                    let versions = state.versions.iter().filter(|one| one.is_in_use());
                    let versions = versions.map(|one| one.version);
                    for version in versions.chain(state.arms.iter().map(|arm| arm.version)) {
                        needs.in_use.insert(version, seen.replica.clone());
                    }
                }
                // Replicas write whole files, so that what does not parse is none of theirs.
                Reported::Unreadable { kind, why } if kind != NEWER_FORMAT => {
                    junk.push((seen.replica, why));
                }
                Reported::Unreadable { why, .. } => {
                    let what = crate::replicas::described(model, &seen.replica);
                    return Err(Error::corrupt(
                        what,
                        format!("what it needs is unknown: {why}"),
                    ));
                }
            }
        }
        let replicas = Replicas { gone, junk };
        Ok((needs, replicas))
    }

    async fn gc_record(&self, model: &ModelName, version: Version) -> Result<Record, Error> {
        let what = described(model, version);
        let bytes = match self.version_bytes(model, version).await {
            Ok(Some(bytes)) => bytes,
            // Listed a moment ago and not readable now: no ground for a decision.
            Ok(None) => return Ok(Record::Unreadable(format!("{what} has vanished"))),
            Err(error) if error.is_object_fault() => {
                return Ok(Record::Unreadable(error.with_causes()));
            }
            Err(error) => return Err(error),
        };
        let part_bytes_max = self.limits().part_bytes_max;
        Ok(
            match manifest::parse((model, version), &bytes, part_bytes_max) {
                Ok(VersionRecord::Published(manifest)) => Record::Published(manifest),
                Ok(VersionRecord::Removed(_)) => {
                    Record::Removed(manifest::replaced((model, version), &bytes, part_bytes_max))
                }
                Err(error) => Record::Unreadable(error.with_causes()),
            },
        )
    }
}

/// `None` for a version that is removed and has left nothing.
fn judge(
    (version, age): (Version, Duration),
    record: Record,
    needs: &Needs,
    (rules, files): (&GcRules, Option<&Vec<Listed>>),
) -> Option<GcVersion> {
    let (fate, manifest, is_whole) = match record {
        Record::Unreadable(why) => (Fate::Unreadable(why), None, true),
        Record::Published(manifest) => (needs.fate((version, age), rules), Some(manifest), true),
        Record::Removed(manifest) => {
            let (manifest, files) = (manifest?, files?);
            let is_whole = manifest.parts.iter().all(|part| {
                let is_it =
                    |file: &&Listed| file.below.last().is_some_and(|n| n == part.name.as_str());
                let file = files.iter().find(is_it);
                file.is_some_and(|file| file.size_bytes == part.size_bytes)
            });
            let fate = match needs.of(version) {
                Some(_) if is_whole => Fate::TakenBack,
                _ => Fate::HalfRemoved,
            };
            (fate, Some(manifest), is_whole)
        }
    };
    Some(GcVersion {
        version,
        size_bytes: files.map_or(0, |files| size_of(files)),
        age,
        fate,
        manifest: manifest.map(Box::new),
        is_whole,
    })
}

fn by_upload(parts: Vec<Listed>) -> Uploads {
    let mut uploads = Uploads::new();
    for file in parts {
        // Other objects are ignored.
        let upload = match file.below.as_slice() {
            [upload, _] => upload.parse::<UploadId>().ok(),
            _ => None,
        };
        if let Some(upload) = upload {
            uploads.entry(upload).or_default().push(file);
        }
    }
    uploads
}

fn version_of(file: &Listed) -> Option<Version> {
    match file.below.as_slice() {
        [name] => Version::new(crate::numbers::from_object_name(name)?),
        _ => None,
    }
}

fn size_of(files: &[Listed]) -> u64 {
    files
        .iter()
        .map(|file| file.size_bytes)
        .fold(0, u64::saturating_add)
}
