//! Reading what has been published.

use crate::limits::{MANIFEST_BYTES_MAX, READS_PARALLEL};
use crate::manifest::{VersionRecord, described, parse};
use crate::{Error, Manifest, ModelName, Registry, Sha256Digest, Tombstone, Version};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

/// One number of a model's list of versions.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionEntry {
    /// The number.
    pub version: Version,
    /// Its record.
    pub state: VersionState,
}

/// The record under a version's number.
#[derive(Clone, Debug, PartialEq)]
pub enum VersionState {
    /// A version that can be fetched.
    Published {
        /// RFC 3339.
        created_at: String,
        /// Who published it.
        author: String,
        /// Of all parts.
        size_bytes: u64,
    },
    /// Removed; its number stays spent.
    Removed(Tombstone),
    /// A record that this release cannot read; its number is spent.
    Unreadable {
        /// The error's label.
        kind: &'static str,
        /// The error in words, with its causes.
        why: String,
    },
}

impl VersionEntry {
    /// Why the version cannot be fetched; `None` where it can.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match &self.state {
            VersionState::Published { .. } => None,
            VersionState::Removed(stone) => Some(format!("removed by {}: {}", stone.by, stone.why)),
            VersionState::Unreadable { why, .. } => Some(why.clone()),
        }
    }
}

impl Registry {
    /// All numbers spent by a model, ascending, removed and unreadable ones too. Costs one listing
    /// and one read for each, eight at a time.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; a record at fault is an entry and not an error.
    pub async fn versions(&self, model: &ModelName) -> Result<Vec<VersionEntry>, Error> {
        let listed = self.listed_versions(model).await?;
        let numbers = listed.into_iter().filter_map(Version::new);
        let entries = numbers.map(|version| self.entry(model, version));
        let entries = futures::stream::iter(entries).buffered(READS_PARALLEL);
        // A record that vanished since the listing is no entry.
        entries
            .try_filter_map(async |entry| Ok(entry))
            .try_collect()
            .await
    }

    /// The newest version that was published and not removed. An unreadable record counts: skipping it
    /// silently would serve something older than what was asked for. Unreadable records beyond a gap in the
    /// numbers are strays: writers leave no gaps, and no number that somebody put there may stop others.
    ///
    /// Costs one listing, and one read for each removed version on the way down, plus one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn newest(&self, model: &ModelName) -> Result<Option<Version>, Error> {
        let listed = self.listed_versions(model).await?;
        let mut numbers = self.without_strays(model, listed).await?;
        let newest = self.newest_after(model, numbers.last().copied()).await?;
        let listed_max = numbers.last().copied().unwrap_or(0);
        numbers.extend(listed_max + 1..=newest);
        for version in numbers.into_iter().rev().filter_map(Version::new) {
            match self.record(model, version).await {
                Ok(VersionRecord::Published(_)) => return Ok(Some(version)),
                Ok(VersionRecord::Removed(_)) | Err(Error::NotFound { .. }) => {}
                Err(error) if error.is_object_fault() => return Ok(Some(version)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// One version's manifest, checked against the limits of format 1. Costs one read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Removed`], [`Error::Corrupt`], [`Error::UnsupportedFormat`],
    /// [`Error::TooLarge`], [`Error::Unavailable`].
    pub async fn manifest(&self, model: &ModelName, version: Version) -> Result<Manifest, Error> {
        match self.record(model, version).await? {
            VersionRecord::Published(manifest) => Ok(manifest),
            VersionRecord::Removed(Tombstone { by, why, .. }) => Err(Error::Removed {
                what: described(model, version),
                by,
                why,
            }),
        }
    }

    /// The same; [`Error::Rewritten`] where it is not the one that a rollout names.
    ///
    /// # Errors
    /// As of [`Registry::manifest`], [`Error::Rewritten`].
    pub async fn named_manifest(
        &self,
        model: &ModelName,
        version: Version,
        named: Option<Sha256Digest>,
    ) -> Result<Manifest, Error> {
        let found = self.manifest(model, version).await?;
        found.check_is(named)?;
        Ok(found)
    }

    /// The greatest version number that publishing continues from, 0 if none; see [`Registry::newest`].
    pub(crate) async fn newest_number(&self, model: &ModelName) -> Result<u64, Error> {
        let listed = self.listed_versions(model).await?;
        let numbers = self.without_strays(model, listed).await?;
        self.newest_after(model, numbers.last().copied()).await
    }

    /// Ascending numbers without the last ones beyond a gap, where no record can be read among them. Costs
    /// one read where there is a gap before a good record, and none without gaps.
    async fn without_strays(
        &self,
        model: &ModelName,
        mut numbers: Vec<u64>,
    ) -> Result<Vec<u64>, Error> {
        loop {
            let is_gap = |pair: &[u64]| pair[0] + 1 < pair[1];
            let run = numbers.windows(2).rposition(is_gap).map_or(0, |at| at + 1);
            if numbers.get(run).is_none_or(|first| *first == 1) {
                return Ok(numbers);
            }
            for number in numbers[run..].iter().rev() {
                if self.is_record(model, *number).await? {
                    return Ok(numbers);
                }
            }
            tracing::warn!(%model, numbers = ?numbers[run..], "stray version records ignored");
            numbers.truncate(run);
        }
    }

    /// Whether a record of this or a newer format has this number.
    async fn is_record(&self, model: &ModelName, number: u64) -> Result<bool, Error> {
        let Some(version) = Version::new(number) else {
            return Ok(false);
        };
        match self.record(model, version).await {
            Ok(_) | Err(Error::UnsupportedFormat { .. }) => Ok(true),
            Err(error) if error.is_object_fault() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn newest_after(&self, model: &ModelName, listed: Option<u64>) -> Result<u64, Error> {
        let path = |number| Version::new(number).map(|v| self.layout().version(model, v));
        self.store()
            .newest_number(&format!("versions of {model}"), listed, path)
            .await
    }

    /// Numbers of all versions in the listing, ascending; removed and unreadable ones too. Reads no
    /// manifest.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn version_numbers(&self, model: &ModelName) -> Result<Vec<Version>, Error> {
        let listed = self.listed_versions(model).await?;
        Ok(listed.into_iter().filter_map(Version::new).collect())
    }

    async fn listed_versions(&self, model: &ModelName) -> Result<Vec<u64>, Error> {
        let folder = self.layout().versions(model);
        let what = format!("the versions of {model}");
        let listed = self.store().numbered(&what, &folder, 1).await?;
        Ok(listed.into_iter().map(|one| one.number).collect())
    }

    async fn record(&self, model: &ModelName, version: Version) -> Result<VersionRecord, Error> {
        match self.version_bytes(model, version).await? {
            Some(bytes) => parse((model, version), &bytes, self.limits().part_bytes_max),
            None => Err(Error::NotFound {
                what: described(model, version),
            }),
        }
    }

    /// The stored bytes under a version's number, of a manifest or a tombstone; `None` where there are none.
    pub(crate) async fn version_bytes(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<Option<Bytes>, Error> {
        let what = described(model, version);
        let path = self.layout().version(model, version);
        self.store().read(&what, &path, MANIFEST_BYTES_MAX).await
    }

    async fn entry(
        &self,
        model: &ModelName,
        version: Version,
    ) -> Result<Option<VersionEntry>, Error> {
        let state = match self.record(model, version).await {
            Ok(VersionRecord::Published(manifest)) => VersionState::Published {
                size_bytes: manifest.parts.iter().map(|part| part.size_bytes).sum(),
                created_at: manifest.created_at,
                author: manifest.author,
            },
            Ok(VersionRecord::Removed(stone)) => VersionState::Removed(stone),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) if error.is_object_fault() => VersionState::Unreadable {
                kind: error.kind(),
                why: error.with_causes(),
            },
            Err(error) => return Err(error),
        };
        Ok(Some(VersionEntry { version, state }))
    }
}
