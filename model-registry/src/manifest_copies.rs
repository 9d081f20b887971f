//! Copies of the manifests that rollouts name, each under its digest. A version's number says where its manifest
//! is, and its digest which one it is: where the manifest was overwritten, damaged or deleted, a server that
//! starts later still finds the one that is live elsewhere.

use crate::limits::{LISTED_MAX, MANIFEST_BYTES_MAX};
use crate::manifest::{VersionRecord, described, parse};
use crate::{Error, Manifest, ModelName, Registry, Sha256Digest, Version};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

impl Registry {
    /// Stores a copy of a manifest, byte for byte. Costs one small conditional write.
    ///
    /// # Errors
    /// Those of [`Registry::verify_conditional_writes`]; [`Error::Unavailable`], [`Error::ReadOnly`].
    pub async fn copy_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        self.verify_conditional_writes().await?;
        let what = copy_of(&manifest.model, manifest.version);
        let path = self
            .layout()
            .manifest_copy(&manifest.model, manifest.sha256);
        // Another writer that was first wrote the same; readers check the digest.
        self.store().create(&what, &path, &manifest.stored).await?;
        Ok(())
    }

    /// The manifest of this version that has this digest, from its copy; `None` where there is none. Costs one
    /// read.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn copied_manifest(
        &self,
        model: &ModelName,
        version: Version,
        sha256: Sha256Digest,
    ) -> Result<Option<Manifest>, Error> {
        let what = copy_of(model, version);
        let path = self.layout().manifest_copy(model, sha256);
        let bytes = match self.store().read(&what, &path, MANIFEST_BYTES_MAX).await {
            Ok(Some(bytes)) if Sha256Digest::of(&bytes) == sha256 => bytes,
            Err(error) if !error.is_object_fault() => return Err(error),
            Ok(_) | Err(_) => return Ok(None),
        };
        let parsed = parse((model, version), &bytes, self.limits().part_bytes_max);
        Ok(match parsed {
            Ok(VersionRecord::Published(manifest)) => Some(manifest),
            Ok(VersionRecord::Removed(_)) | Err(_) => None,
        })
    }

    /// Deletes copies that nobody needs and that are old enough. A rollout that names one of them again
    /// writes it again.
    pub(crate) async fn delete_copies(
        &self,
        model: &ModelName,
        needed: &BTreeMap<Sha256Digest, Version>,
        (now, min_age): (Timestamp, Duration),
    ) -> Result<(), Error> {
        let folder = self.layout().manifest_copies(model);
        let what = format!("the copies of manifests of {model}");
        for file in self.store().listed(&what, &folder, LISTED_MAX).await? {
            let [name] = file.below.as_slice() else {
                continue;
            };
            let named = name.strip_suffix(".json");
            let Some(sha256) = named.and_then(|named| named.parse::<Sha256Digest>().ok()) else {
                continue;
            };
            let is_old = crate::clock::since(now, file.modified) >= min_age;
            if is_old && !needed.contains_key(&sha256) {
                self.store().delete(&what, &file.path).await?;
            }
        }
        Ok(())
    }
}

fn copy_of(model: &ModelName, version: Version) -> String {
    format!("the copy of the manifest of {}", described(model, version))
}
