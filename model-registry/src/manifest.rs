//! The manifest: what a version consists of, and the commit of its publication.

mod tombstone;

pub(crate) use tombstone::{carried, replaced, tombstone};

use crate::limits::{AUTHOR_BYTES_MAX, INPUTS_MAX, PARTS_MAX, REASON_BYTES_MAX, TEXT_BYTES_MAX};
use crate::{Error, ModelName, Nonce, PartName, Sha256Digest, UploadId, Version, json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One published version, as stored in `versions/000012.json`.
///
/// What was read from a registry has been checked: format known, model and version those asked for,
/// 1 to 64 parts with distinct names and sizes within the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stored format, 1.
    pub format: u32,
    /// Of which model.
    pub model: ModelName,
    /// Its number.
    pub version: Version,
    /// The folder of its parts.
    pub upload: UploadId,
    /// By which the publisher recognises its own record.
    pub nonce: Nonce,
    /// RFC 3339, by the publisher's clock.
    pub created_at: String,
    /// Who published it, at most 256 bytes.
    pub author: String,
    /// What it was made from.
    pub lineage: Lineage,
    /// Its parts, in the publisher's order.
    pub parts: Vec<PartEntry>,
    /// The model's own description, opaque here.
    pub card: serde_json::Value,
    /// Of the stored bytes, so not one of them: which version this is, whatever its number says. Zeros in a
    /// manifest that was never stored.
    #[serde(skip, default = "Sha256Digest::none")]
    pub sha256: Sha256Digest,
    /// The stored bytes. Wherever a manifest is kept or moved, these are.
    #[serde(skip)]
    pub(crate) stored: Bytes,
}

/// One part of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its object name in the upload's folder.
    pub name: PartName,
    /// Its length.
    pub size_bytes: u64,
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// False: a reader that does not know this part leaves it out and serves the version without it. True
    /// where the manifest does not say, as in every version that was published before.
    #[serde(default = "required_by_default", skip_serializing_if = "is_required")]
    pub required: bool,
}

fn required_by_default() -> bool {
    true
}

fn is_required(required: &bool) -> bool {
    *required
}

/// What a version was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Files or tables, at most 256.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// The commit of the code that trained it, where known.
    #[serde(default)]
    pub code_commit: Option<String>,
    /// The seed of training.
    #[serde(default)]
    pub seed: u64,
}

/// One file or table that went into a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// File or table name, at most 1,024 bytes.
    pub name: String,
    /// A table's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A file's checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// Rows read from it.
    #[serde(default)]
    pub rows: u64,
}

/// What replaces the manifest of a removed version for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// RFC 3339.
    pub at: String,
    /// Who removed the version.
    pub by: String,
    /// The reason given.
    pub why: String,
}

impl Tombstone {
    /// The same with its texts truncated and without control characters: they go into messages, and a
    /// removal is valid whatever its texts.
    fn printable(self) -> Self {
        let Self { at, by, why } = self;
        Self {
            at: json::printable(&at, AUTHOR_BYTES_MAX),
            by: json::printable(&by, AUTHOR_BYTES_MAX),
            why: json::printable(&why, REASON_BYTES_MAX),
        }
    }
}

/// A stored tombstone.
#[derive(Deserialize)]
struct TombstoneRecord {
    model: ModelName,
    version: Version,
    removed: Tombstone,
}

/// The record under a version's number.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and mostly the large one"
)]
pub(crate) enum VersionRecord {
    Published(Manifest),
    Removed(Tombstone),
}

/// Reads a version's object. Cost: one pass over at most 16 MiB.
pub(crate) fn parse(
    (model, version): (&ModelName, Version),
    bytes: &Bytes,
    part_bytes_max: u64,
) -> Result<VersionRecord, Error> {
    let what = described(model, version);
    if json::is_tombstone(&what, bytes)? {
        let record: TombstoneRecord = json::parse(&what, bytes)?;
        check_identity(&what, (&record.model, record.version), (model, version))?;
        return Ok(VersionRecord::Removed(record.removed.printable()));
    }
    let manifest: Manifest = json::parse(&what, bytes)?;
    check_identity(&what, (&manifest.model, manifest.version), (model, version))?;
    match manifest.check(part_bytes_max) {
        Ok(()) => Ok(VersionRecord::Published(manifest.stored_as(bytes))),
        Err(error) => Err(error.in_stored(&what)),
    }
}

/// How messages name a version.
pub(crate) fn described(model: &ModelName, version: Version) -> String {
    format!("version {version} of {model}")
}

fn check_identity(
    what: &str,
    found: (&ModelName, Version),
    asked: (&ModelName, Version),
) -> Result<(), Error> {
    if found == asked {
        return Ok(());
    }
    Err(Error::corrupt(
        what,
        format!("the record is that of version {} of {}", found.1, found.0),
    ))
}

impl Manifest {
    /// The same without the parts that a reader may leave out: those that are not required and of which
    /// `is_known` says no. Fetching and sealing it gives the parts that are needed.
    #[must_use]
    pub fn needed(&self, is_known: impl Fn(&str) -> bool) -> Self {
        let mut needed = self.clone();
        needed
            .parts
            .retain(|part| part.required || is_known(part.name.as_str()));
        needed
    }

    /// The same, as these bytes of the store.
    pub(crate) fn stored_as(mut self, bytes: &Bytes) -> Self {
        self.sha256 = Sha256Digest::of(bytes);
        self.stored = bytes.clone();
        self
    }

    /// The same; one that was never stored, as it would be written.
    pub(crate) fn into_written(self) -> Self {
        if !self.stored.is_empty() {
            return self;
        }
        let bytes = json::write(&self);
        self.stored_as(&bytes)
    }

    /// Whether it is the one that a rollout names by its digest, if it names any.
    ///
    /// # Errors
    /// [`Error::Rewritten`].
    pub fn check_is(&self, named: Option<Sha256Digest>) -> Result<(), Error> {
        match named {
            Some(named) if named != self.sha256 => Err(Error::Rewritten {
                what: described(&self.model, self.version),
                named: named.to_string(),
                found: self.sha256.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The limits of format 1; a publisher checks its own manifest too.
    pub(crate) fn check(&self, part_bytes_max: u64) -> Result<(), Error> {
        json::check_text("author", &self.author, AUTHOR_BYTES_MAX)?;
        json::check_time("created_at", &self.created_at)?;
        self.lineage.check()?;
        if self.parts.is_empty() || self.parts.len() > PARTS_MAX {
            let count = self.parts.len().to_string();
            return Err(Error::invalid(
                "number of parts",
                &count,
                format!("1 to {PARTS_MAX}"),
            ));
        }
        let (mut names, mut sum) = (BTreeSet::new(), 0u64);
        for part in &self.parts {
            if !names.insert(&part.name) {
                return Err(Error::invalid(
                    "part name",
                    part.name.as_str(),
                    "a name once only",
                ));
            }
            if part.size_bytes > part_bytes_max {
                return Err(Error::TooLarge {
                    what: format!(
                        "size of part {} of {}",
                        part.name,
                        described(&self.model, self.version)
                    ),
                    found: part.size_bytes,
                    limit: part_bytes_max,
                });
            }
            // Later sums of these sizes cannot overflow.
            sum = sum
                .checked_add(part.size_bytes)
                .ok_or_else(|| Error::TooLarge {
                    what: format!("size of {}", described(&self.model, self.version)),
                    found: u64::MAX,
                    limit: u64::MAX - 1,
                })?;
        }
        Ok(())
    }
}

impl Lineage {
    fn check(&self) -> Result<(), Error> {
        if self.inputs.len() > INPUTS_MAX {
            let count = self.inputs.len().to_string();
            return Err(Error::invalid(
                "number of inputs",
                &count,
                format!("at most {INPUTS_MAX}"),
            ));
        }
        for input in &self.inputs {
            json::check_text("input name", &input.name, TEXT_BYTES_MAX)?;
            if let Some(version) = &input.version {
                json::check_text("input version", version, TEXT_BYTES_MAX)?;
            }
        }
        match &self.code_commit {
            Some(commit) => json::check_text("code commit", commit, TEXT_BYTES_MAX),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
