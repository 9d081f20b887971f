//! Carries a plan out, in an order in which every beginning of it leaves a sound registry.

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
    /// Versions whose removal was taken back, since somebody came to need them meanwhile.
    pub taken_back: Vec<Version>,
    /// Bytes that were freed.
    pub freed_bytes: u64,
}

impl Registry {
    /// Removes what nobody needs. Removed versions leave tombstones, by this author and for this reason, and
    /// their numbers stay spent. Ages are by the store's clock, for which one small object is written.
    ///
    /// Costs what [`Registry::plan_gc`] does and half of it again, a write for each version removed and a
    /// call for each object deleted.
    ///
    /// # Errors
    /// Those of [`Registry::plan_gc`]; [`Error::Invalid`]; those of [`Registry::prove_create_only`];
    /// [`Error::ReadOnly`]. Whatever was begun, the next run ends.
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
        self.prove_create_only().await?;
        let now = self.store_time().await?;
        let (mut plan, uploads) = self.plan((model, found), rules, Some(now)).await?;
        let stone = Tombstone {
            at: self.clock().now_text(),
            by: author.to_owned(),
            why: reason.to_owned(),
        };
        for entry in &plan.versions {
            if entry.fate == Fate::Unneeded {
                self.bury(model, entry.version, &stone).await?;
            }
        }
        let mut done = GcDone::default();
        let (needs, gone) = self.needs(model, rules).await?;
        // One that came back meanwhile keeps its file.
        plan.replicas.retain(|replica| gone.contains(replica));
        let mut kept = BTreeSet::new();
        for entry in &plan.versions {
            let is_needed = needs.of(entry.version).is_some();
            let is_buried = entry.fate.is_removed() || entry.fate == Fate::TakenBack;
            let is_back = is_buried && is_needed && self.unbury(model, entry).await?;
            if is_back {
                done.taken_back.push(entry.version);
            }
            if is_back || !entry.fate.is_removed() {
                kept.extend(entry.manifest.as_ref().map(|manifest| manifest.upload));
            }
        }
        self.delete_parts(&plan, (&uploads, &kept), model, &mut done)
            .await?;
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
        // A record that somebody copied may name the parts of another.
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

    /// Puts a tombstone in the place of a manifest, which it carries along so that it can be put back.
    async fn bury(
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

    /// Puts the manifest back that a tombstone replaced; false where it is not there any more.
    async fn unbury(&self, model: &ModelName, entry: &GcVersion) -> Result<bool, Error> {
        let what = described(model, entry.version);
        let path = self.layout().version(model, entry.version);
        let stored = self.version_bytes(model, entry.version).await?;
        let stored = stored.ok_or_else(|| Error::NotFound { what: what.clone() })?;
        if !json::is_tombstone(&what, &stored)? {
            return Ok(true);
        }
        let carried: Option<Bytes> = manifest::carried(&stored);
        match carried {
            // Of one whose removal had gone further there is nothing to come back to.
            Some(bytes) if entry.is_whole => {
                self.store().write_own(&what, &path, &bytes).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The time by the store's clock, seen by an object that is written for it and deleted.
    async fn store_time(&self) -> Result<jiff::Timestamp, Error> {
        let what = "an object that tells the store's time";
        let path = self
            .layout()
            .create_only_probe(self.store().random.nonce()?);
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
