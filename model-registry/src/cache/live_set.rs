//! The live set: what a process has live, persisted beside the parts for a start without the store, in
//! `<dir>/<model>/live-set`.
//!
//! ```text
//! hotshelf-live-set 1 <sha256 of every byte after this line>
//! {"origin": …, "saved_at": …, "record": …, "record_sha256": …, "manifests": […]}
//! ```
//! The file is written under another name and renamed, so that it is complete or the one before; its
//! checksum detects any other damage. It says only which parts belong together: sealing verifies their
//! bytes, as always.

use super::{CacheDir, Partial};
use crate::manifest::described;
use crate::random::Random;
use crate::seal::{FETCHES_MAX, LocalPart, LocalParts};
use crate::{Error, Manifest, ModelName, RolloutRecord, Sha256Digest, UploadId, Version, json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The name of the file; no upload id is spelled like it.
const NAME: &str = "live-set";
/// How its first line begins.
const MARK: &str = "hotshelf-live-set";
/// The one format there is.
const FORMAT: u32 = 1;
/// Largest file that is read (chosen: eight arms whose manifests are as large as they may be).
const BYTES_MAX: u64 = 136 << 20;

/// A rollout record with the manifests of its arms, and where both came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveSet {
    /// The registry it came from, as its writer names it: the URL, and the endpoint where there is one.
    pub origin: String,
    /// When it was persisted, RFC 3339.
    pub saved_at: String,
    /// What was live.
    pub record: RolloutRecord,
    /// Of the record's stored bytes; see [`RolloutRecord::sha256`].
    record_sha256: Sha256Digest,
    /// When the store accepted a record with a ramp, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record_accepted_at: Option<String>,
    /// One for each arm, in the order of the record.
    #[serde(with = "verbatim")]
    manifests: Vec<Manifest>,
}

/// Manifests as texts: their stored bytes. Earlier releases wrote what they had read of them.
mod verbatim {
    use crate::{Manifest, json};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Text(String),
        Tree(Box<Manifest>),
    }

    pub(super) fn serialize<S: Serializer>(all: &[Manifest], to: S) -> Result<S::Ok, S::Error> {
        // What was parsed as JSON is UTF-8.
        to.collect_seq(all.iter().map(|one| String::from_utf8_lossy(&one.stored)))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<Manifest>, D::Error> {
        let kept = Vec::<Kept>::deserialize(from)?.into_iter();
        let manifests = kept.map(|one| match one {
            Kept::Tree(manifest) => Ok(manifest.into_written()),
            Kept::Text(text) => {
                let manifest: Manifest = json::typed("a manifest", text.as_bytes())?;
                Ok(manifest.stored_as(&text.into()))
            }
        });
        let manifests: Result<_, crate::Error> = manifests.collect();
        manifests.map_err(|error| D::Error::custom(error.with_causes()))
    }
}

impl LiveSet {
    /// Puts a record and the manifests of its arms together.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the manifests are not exactly those of the arms, in their order.
    pub fn new(
        (origin, saved_at): (String, String),
        record: RolloutRecord,
        manifests: Vec<Manifest>,
    ) -> Result<Self, Error> {
        let record_sha256 = record.sha256;
        let record_accepted_at = record.accepted_at.map(|at| at.to_string());
        let manifests = manifests.into_iter().map(Manifest::into_written).collect();
        let set = Self {
            origin,
            saved_at,
            record,
            record_sha256,
            record_accepted_at,
            manifests,
        };
        set.check()?;
        Ok(set)
    }

    /// The manifest of one arm's version.
    #[must_use]
    pub fn manifest(&self, version: Version) -> Option<&Manifest> {
        let mut manifests = self.manifests.iter();
        manifests.find(|manifest| manifest.version == version)
    }

    fn check(&self) -> Result<(), Error> {
        self.record.check()?;
        let arms = self.record.arms.iter().map(|arm| arm.version);
        let held = self.manifests.iter().map(|manifest| manifest.version);
        let is_of_model = |manifest: &Manifest| manifest.model == self.record.model;
        if !arms.eq(held) || !self.manifests.iter().all(is_of_model) {
            let number = self.record.number.to_string();
            let limit = "one manifest for each arm of the rollout, in its order";
            return Err(Error::invalid("manifests of rollout", &number, limit));
        }
        for (arm, manifest) in self.record.arms.iter().zip(&self.manifests) {
            manifest.check_is(arm.manifest_sha256)?;
            manifest.check(u64::MAX)?;
        }
        Ok(())
    }
}

impl CacheDir {
    /// Replaces the live set. BLOCKS for one small write and its sync.
    ///
    /// # Errors
    /// [`Error::Cache`]; the live set before stays.
    pub fn persist(&self, set: &LiveSet) -> Result<(), Error> {
        let path = self.live_set(&set.record.model);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| Error::cache("creating", folder, source))?;
        }
        let body = json::write(set);
        let digest = Sha256Digest::of(&body);
        let bytes = [
            format!("{MARK} {FORMAT} {digest}\n").as_bytes(),
            body.as_ref(),
        ]
        .concat();
        Partial::create(&path, Random::new(None).nonce()?)?.finish_with(&bytes)
    }

    /// The live set of this model; `None` where there never was one. BLOCKS for one read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a file that was altered, cut short or written by hand;
    /// [`Error::UnsupportedFormat`], [`Error::TooLarge`], [`Error::Cache`].
    pub fn restore(&self, model: &ModelName) -> Result<Option<LiveSet>, Error> {
        let path = self.live_set(model);
        let what = format!("the live set {}", path.display());
        let size = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|source| Error::cache("reading", &path, source))?,
        };
        if let Some(kind) = crate::store::disk::kind(size.file_type()) {
            return Err(Error::corrupt(
                what,
                format!("it is a {kind} and not a file"),
            ));
        }
        let size = size.len();
        if size > BYTES_MAX {
            let what = format!("size of {what}");
            return Err(Error::TooLarge {
                what,
                found: size,
                limit: BYTES_MAX,
            });
        }
        let bytes = crate::small_file::read(&path, BYTES_MAX);
        let bytes = bytes.map_err(|source| Error::cache("reading", &path, source))?;
        let set = parse(&what, &bytes)?;
        if set.record.model != *model {
            return Err(Error::corrupt(
                what,
                format!("it belongs to model {}", set.record.model),
            ));
        }
        Ok(Some(set))
    }

    /// The parts of a version that are in this folder already, for a load without the store.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the first part that is missing or has another size;
    /// [`Error::Cache`]. Both can be retried: the store may be reachable again.
    pub fn held(&self, manifest: &Manifest) -> Result<LocalParts, Error> {
        let version = described(&manifest.model, manifest.version);
        let folder = self.upload_folder(manifest);
        let mut parts = Vec::with_capacity(manifest.parts.len());
        for entry in &manifest.parts {
            let path = folder.join(entry.name.as_str());
            let why = match fs::metadata(&path) {
                Ok(found) if found.is_file() && found.len() == entry.size_bytes => {
                    parts.push(LocalPart::new(entry.clone(), path));
                    continue;
                }
                Ok(found) => format!(
                    "expected {} bytes, the cache folder has {}",
                    entry.size_bytes,
                    found.len()
                ),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    "it is not in the cache folder".to_owned()
                }
                Err(source) => return Err(Error::cache("reading", &path, source)),
            };
            return Err(Error::Corrupt {
                what: format!("part {} of {version}", entry.name),
                why,
                is_refetchable: true,
                source: None,
            });
        }
        Ok(LocalParts {
            version,
            parts,
            fetches_max: FETCHES_MAX,
        })
    }

    /// The uploads that a start without the store needs. A file that cannot be used needs none.
    pub(super) fn persisted_uploads(&self, model: &ModelName) -> BTreeSet<UploadId> {
        match self.restore(model) {
            Ok(Some(set)) => set
                .manifests
                .iter()
                .map(|manifest| manifest.upload)
                .collect(),
            Ok(None) | Err(_) => BTreeSet::new(),
        }
    }

    fn live_set(&self, model: &ModelName) -> PathBuf {
        self.path.join(model.as_str()).join(NAME)
    }
}

fn parse(what: &str, bytes: &[u8]) -> Result<LiveSet, Error> {
    let no_head = || Error::corrupt(what, "its first line is not the header of a live set");
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, body) = bytes.split_at(end.ok_or_else(no_head)? + 1);
    let head = std::str::from_utf8(head).map_err(|_| no_head())?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [MARK, format, digest] = words[..] else {
        return Err(no_head());
    };
    let found: u32 = format.parse().map_err(|_| no_head())?;
    if found != FORMAT {
        return Err(Error::UnsupportedFormat {
            what: what.to_owned(),
            found,
            supported: FORMAT,
        });
    }
    let expected: Sha256Digest = digest.parse().map_err(|_| no_head())?;
    let found = Sha256Digest::of(body);
    if found != expected {
        let why = format!("expected sha256 {expected}, found {found}");
        return Err(Error::corrupt(what, why));
    }
    let mut set: LiveSet = json::typed(what, body)?;
    set.record.sha256 = set.record_sha256;
    let accepted_at = set.record_accepted_at.as_deref();
    set.record.accepted_at = accepted_at.and_then(|at| at.parse().ok());
    set.check().map_err(|error| error.in_stored(what))?;
    Ok(set)
}

#[cfg(test)]
mod tests;
