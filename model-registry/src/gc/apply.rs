//! Applies a plan, in an order in which an interruption at any step leaves a valid registry.

use super::plan::Uploads;
use super::{Fate, GcPlan, GcRules, GcVersion};
use crate::limits::{AUTHOR_BYTES_MAX, REASON_BYTES_MAX};
use crate::manifest::{self, described};
use crate::{Error, ModelName, Registry, Tombstone, UploadId, Version, json};
use bytes::Bytes;
use std::collections::BTreeSet;

/// What a run has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GcDone {
    /// The plan that it followed.
    pub plan: GcPlan,
    /// Versions whose parts are gone.
    pub removed: Vec<Version>,
    /// Versions whose removal was taken back, since they became needed meanwhile.
    pub taken_back: Vec<Version>,
    /// Bytes that were freed.
    pub freed_bytes: u64,
}

impl Registry {
    /// Removes what is unneeded. Removed versions leave tombstones, with this author and reason, and their
    /// numbers stay spent. Ages are by the store's clock, for which one small object is written.
    ///
    /// Costs what [`Registry::plan_gc`] does and half of it again, a write for each version removed and a
    /// call for each object deleted.
    ///
    /// # Errors
    /// Those of [`Registry::plan_gc`]; [`Error::Invalid`]; those of [`Registry::verify_conditional_writes`];
    /// [`Error::ReadOnly`]. The next run completes what was started.
    pub async fn apply_gc(
        &self,
        model: &ModelName,
        rules: &GcRules,
        (author, reason): (&str, &str),
    ) -> Result<GcDone, Error> {
        json::check_text("author", author, AUTHOR_BYTES_MAX)?;
        json::check_text("reason", reason, REASON_BYTES_MAX)?;
        let found = self.found(model).await?;
        if found.is_empty() {
            // Where there is nothing, nothing is written either.
            return Ok(GcDone::default());
        }
        self.verify_conditional_writes().await?;
        let now = self.store_time().await?;
        let (mut plan, uploads) = self.plan((model, found), rules, Some(now)).await?;
        let stone = Tombstone {
            at: self.clock().now_text(),
            by: author.to_owned(),
            why: reason.to_owned(),
        };
        for entry in &plan.versions {
            if entry.fate == Fate::Unneeded {
                self.write_tombstone(model, entry.version, &stone).await?;
            }
        }
        let mut done = GcDone::default();
        let (needs, replicas) = self.needs(model, rules).await?;
        // A replica that is back meanwhile keeps its file.
        plan.replicas
            .retain(|replica| replicas.gone.contains(replica));
        let mut kept = BTreeSet::new();
        for entry in &plan.versions {
            let is_needed = needs.of(entry.version).is_some();
            let has_tombstone = entry.fate.is_removed() || entry.fate == Fate::TakenBack;
            let is_back = has_tombstone && is_needed && self.restore_manifest(model, entry).await?;
            if is_back {
                done.taken_back.push(entry.version);
            }
            if is_back || !entry.fate.is_removed() {
                kept.extend(entry.manifest.as_ref().map(|manifest| manifest.upload));
            }
        }
        self.delete_parts(&plan, (&uploads, &kept), model, &mut done)
            .await?;
        let ages = (now, rules.upload_age);
        self.delete_copies(model, &needs.digests, ages).await?;
        for replica in &plan.replicas {
            let what = crate::replicas::described(model, replica);
            let path = self.layout().replica(model, replica);
            self.store().delete(&what, &path).await?;
        }
        done.plan = plan;
        Ok(done)
    }

    async fn delete_parts(
        &self,
        plan: &GcPlan,
        (uploads, kept): (&Uploads, &BTreeSet<UploadId>),
        model: &ModelName,
        done: &mut GcDone,
    ) -> Result<(), Error> {
        let versions = plan.versions.iter().filter(|entry| entry.fate.is_removed());
        let versions = versions.filter_map(|entry| {
            let upload = entry.manifest.as_ref()?.upload;
            Some((upload, Some(entry.version)))
        });
        let unnamed = plan.uploads.iter().filter(|upload| upload.is_removed);
        let unnamed = unnamed.map(|upload| (upload.upload, None));
        let gone = versions.chain(unnamed);
        // A copied record may name the parts of another version.
        for (upload, version) in gone.filter(|(upload, _)| !kept.contains(upload)) {
            for file in uploads.get(&upload).into_iter().flatten() {
                let what = format!("a part of upload {upload}");
                self.store().delete(&what, &file.path).await?;
                done.freed_bytes = done.freed_bytes.saturating_add(file.size_bytes);
            }
            let folder = self.layout().upload(model, upload);
            self.store().clear_folder(&folder).await;
            done.removed.extend(version);
        }
        Ok(())
    }

    /// Replaces a manifest by a tombstone that carries it, so that it can be restored.
    async fn write_tombstone(
        &self,
        model: &ModelName,
        version: Version,
        stone: &Tombstone,
    ) -> Result<(), Error> {
        let what = described(model, version);
        let path = self.layout().version(model, version);
        let stored = self.version_bytes(model, version).await?;
        let stored = stored.ok_or_else(|| Error::NotFound { what: what.clone() })?;
        if json::is_tombstone(&what, &stored)? {
            // Another run was here first.
            return Ok(());
        }
        let bytes = manifest::tombstone((model, version), stone, &stored)?;
        self.store().write_own(&what, &path, &bytes).await
    }

    /// Restores the manifest that a tombstone replaced; false where that is not possible.
    async fn restore_manifest(&self, model: &ModelName, entry: &GcVersion) -> Result<bool, Error> {
        let what = described(model, entry.version);
        let path = self.layout().version(model, entry.version);
        let stored = self.version_bytes(model, entry.version).await?;
        let stored = stored.ok_or_else(|| Error::NotFound { what: what.clone() })?;
        if !json::is_tombstone(&what, &stored)? {
            return Ok(true);
        }
        let carried: Option<Bytes> = manifest::carried(&stored);
        match carried {
            // Where parts are deleted already there is nothing to restore.
            Some(bytes) if entry.is_whole => {
                self.store().write_own(&what, &path, &bytes).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The present time by the store's clock, from an object that is written for it and deleted.
    async fn store_time(&self) -> Result<jiff::Timestamp, Error> {
        let what = "the object that shows the store's time";
        let path = self.layout().write_probe(self.store().random.nonce()?);
        self.store()
            .overwrite(what, &path, &Bytes::from_static(b"now"))
            .await?;
        let modified = self.store().modified(what, &path).await?;
        self.store().delete(what, &path).await?;
        modified.ok_or_else(|| Error::NotFound {
            what: what.to_owned(),
        })
    }
}
