//! Publishing: parts first, under an upload id that no other writer has; the manifest last, by a
//! conditional write.
//!
//! ```text
//! check ─▶ verify conditional writes ─▶ hash ─▶ write and measure every part ─▶ create versions/<n>.json
//!                                                                          │ taken? read it back:
//!                                                                          │ ours: done; else n + 1
//! ```
//! An interruption leaves at most a parts folder that no record names.

use crate::clock::since;
use crate::limits::{MANIFEST_BYTES_MAX, NUMBER_TRIES_MAX};
use crate::manifest::{VersionRecord, described, parse};
use crate::store::Created;
use crate::{
    Error, FORMAT, Lineage, Manifest, ModelName, PartEntry, PartName, Registry, Sha256Digest,
    Version, json,
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes hashed between two yields to other tasks: below half a millisecond.
const HASH_SLICE_BYTES: usize = 256 << 10;

/// Longest time for writing all parts: half of [`crate::UPLOAD_ABANDONED_AFTER`].
const PUBLISH_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// A version to be published.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// 1 to 64 parts with distinct names.
    pub parts: Vec<NewPart>,
    /// The model's own description.
    pub card: serde_json::Value,
    /// What it was made from.
    pub lineage: Lineage,
    /// Who publishes it, at most 256 bytes.
    pub author: String,
}

/// One part of it.
#[derive(Clone, Debug)]
pub struct NewPart {
    /// Its name.
    pub name: PartName,
    /// Its bytes.
    pub bytes: Bytes,
    /// False: readers that do not know the part leave it out.
    pub required: bool,
}

impl NewPart {
    /// A part without which no reader may serve the version.
    #[must_use]
    pub fn required(name: PartName, bytes: Bytes) -> Self {
        Self {
            name,
            bytes,
            required: true,
        }
    }
}

impl Registry {
    /// Publishes a version under the next free number. Moves no traffic.
    ///
    /// A lost race for a number costs one more small write; parts are uploaded once. The number is taken
    /// at the end, so that numbers follow the order in which publishing ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] before anything is written; those of
    /// [`Registry::verify_conditional_writes`]; [`Error::Unavailable`]: the version may have been
    /// published all the same, if only the last response was lost; [`Error::Contended`].
    pub async fn publish(&self, model: &ModelName, new: NewVersion) -> Result<Manifest, Error> {
        let mut manifest = self.draft(model, &new).await?;
        let draft_bytes = json::write(&manifest).len() as u64;
        if draft_bytes > MANIFEST_BYTES_MAX {
            let what = format!("size of the manifest of {model}");
            return Err(Error::TooLarge {
                what,
                found: draft_bytes,
                limit: MANIFEST_BYTES_MAX,
            });
        }
        self.verify_conditional_writes().await?;
        let began = (Instant::now(), self.clock().now());
        for part in &new.parts {
            self.upload(&manifest, part).await?;
        }
        // Garbage collection removes unnamed uploads after twice this time; a version must not name parts
        // that may be gone. By both clocks: one stops while a machine sleeps, the other can be set.
        let by_wall = since(self.clock().now(), began.1);
        if began.0.elapsed().max(by_wall) > PUBLISH_MAX {
            return Err(Error::Unavailable {
                what: format!("publishing a version of {model}"),
                source: "writing its parts took longer than garbage collection leaves them alone"
                    .into(),
            });
        }
        manifest.created_at = self.clock().now_text();
        self.commit(manifest).await
    }

    /// The manifest but for its number, checked.
    async fn draft(&self, model: &ModelName, new: &NewVersion) -> Result<Manifest, Error> {
        let mut parts = Vec::with_capacity(new.parts.len());
        for part in &new.parts {
            let sha256 = hash(&part.bytes).await;
            let size_bytes = part.bytes.len() as u64;
            parts.push(PartEntry {
                name: part.name.clone(),
                size_bytes,
                sha256,
                required: part.required,
            });
        }
        let manifest = Manifest {
            format: FORMAT,
            model: model.clone(),
            version: Version::FIRST,
            upload: self.store().random.upload_id()?,
            nonce: self.store().random.nonce()?,
            created_at: self.clock().now_text(),
            author: new.author.clone(),
            lineage: new.lineage.clone(),
            parts,
            card: new.card.clone(),
            sha256: Sha256Digest::none(),
            stored: Bytes::new(),
        };
        manifest.check(self.limits().part_bytes_max)?;
        Ok(manifest)
    }

    async fn upload(&self, manifest: &Manifest, part: &NewPart) -> Result<(), Error> {
        let path = self
            .layout()
            .part(&manifest.model, manifest.upload, &part.name);
        let what = format!("part {} of upload {}", part.name, manifest.upload);
        self.store().write_own(&what, &path, &part.bytes).await?;
        let expected = part.bytes.len() as u64;
        match self.store().size(&what, &path).await? {
            Some(size) if size == expected => Ok(()),
            found => Err(Error::Unavailable {
                what: format!("{what}, which was written, has another size"),
                source: match found {
                    Some(size) => format!("{expected} bytes were written, {size} are there").into(),
                    None => "it is not there".into(),
                },
            }),
        }
    }

    /// Takes the next free number.
    async fn commit(&self, mut manifest: Manifest) -> Result<Manifest, Error> {
        let model = manifest.model.clone();
        let mut number = self.newest_number(&model).await?;
        for _ in 0..NUMBER_TRIES_MAX {
            number += 1;
            manifest.version = Version::try_from(number)?;
            let path = self.layout().version(&model, manifest.version);
            let what = described(&model, manifest.version);
            let bytes = json::write(&manifest);
            match self.store().create(&what, &path, &bytes).await? {
                Created::Yes => return Ok(manifest.stored_as(&bytes)),
                Created::Conflict if self.is_ours(&manifest).await? => {
                    return Ok(manifest.stored_as(&bytes));
                }
                Created::Conflict => {}
            }
        }
        let what = format!("publishing a version of {model}");
        Err(Error::Contended {
            what,
            tries: NUMBER_TRIES_MAX,
        })
    }

    /// Whether the object under this number is this very manifest, from a create whose response was
    /// lost. What cannot be parsed is not: its number is spent.
    async fn is_ours(&self, manifest: &Manifest) -> Result<bool, Error> {
        let (model, version) = (&manifest.model, manifest.version);
        let bytes = match self.version_bytes(model, version).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(false),
            Err(error) if error.is_object_fault() => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(
            match parse((model, version), &bytes, self.limits().part_bytes_max) {
                Ok(VersionRecord::Published(stored)) => stored.nonce == manifest.nonce,
                Ok(VersionRecord::Removed(_)) | Err(_) => false,
            },
        )
    }
}

async fn hash(bytes: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    for slice in bytes.chunks(HASH_SLICE_BYTES) {
        hasher.update(slice);
        tokio::task::yield_now().await;
    }
    Sha256Digest::finish(hasher)
}
