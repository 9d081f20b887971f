//! From the store into the cache folder: every part by ranges, all parts' ranges in parallel.
//!
//! Each range has tries and a timeout of its own: a store that stalls on one connection costs a retry of
//! one range and not the download.

use crate::cache::{Partial, space};
use crate::manifest::described;
use crate::seal::{FETCHES_MAX, LocalPart, LocalParts};
use crate::{CacheDir, Error, FetchLimits, Manifest, PartEntry, Registry};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::io;
use std::ops::Range;
use std::path::Path;

/// One part that is being downloaded.
struct Download<'a> {
    part: &'a PartEntry,
    file: Partial,
    missing_bytes: u64,
}

impl Registry {
    /// Downloads the parts of a version that the cache lacks. Cached parts of the right size are reused;
    /// sealing verifies their bytes.
    ///
    /// Interrupted at any moment it leaves only complete files and partial ones that the next
    /// [`CacheDir::open`] removes. At most `range_bytes × parallel_max` bytes are in memory.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a part is missing or its size is not the manifest's;
    /// [`Error::Unavailable`], [`Error::Cache`] (a full file system among them, detected before the first
    /// byte where possible): can be retried, complete parts are retained.
    pub async fn fetch(&self, manifest: &Manifest, cache: &CacheDir) -> Result<LocalParts, Error> {
        manifest.check(self.limits().part_bytes_max)?;
        let folder = cache.upload_folder(manifest);
        let mut local = LocalParts {
            version: described(&manifest.model, manifest.version),
            parts: Vec::with_capacity(manifest.parts.len()),
            fetches_max: self.limits().retry.tries.clamp(1, FETCHES_MAX),
        };
        let mut missing = Vec::new();
        for (at, part) in manifest.parts.iter().enumerate() {
            let path = folder.join(part.name.as_str());
            if !has_size(&path, part.size_bytes).await? {
                missing.push(at);
            }
            local.parts.push(LocalPart::new(part.clone(), path));
        }
        self.fill(manifest, cache, (&mut local, &missing)).await?;
        Ok(local)
    }

    /// Downloads the parts that [`LocalParts::seal`] refused once more, from their first byte. All parts
    /// have to be sealed afterwards.
    ///
    /// # Errors
    /// As of [`Registry::fetch`].
    pub async fn refetch(
        &self,
        manifest: &Manifest,
        cache: &CacheDir,
        local: &mut LocalParts,
    ) -> Result<(), Error> {
        let parts = local.parts.iter().enumerate();
        let refused = parts.filter(|(_, part)| part.is_refused);
        let refused: Vec<usize> = refused.map(|(at, _)| at).collect();
        self.fill(manifest, cache, (local, &refused)).await
    }

    /// Downloads these of the parts.
    async fn fill(
        &self,
        manifest: &Manifest,
        cache: &CacheDir,
        (local, missing): (&mut LocalParts, &[usize]),
    ) -> Result<(), Error> {
        let folder = cache.upload_folder(manifest);
        let created = tokio::fs::create_dir_all(&folder).await;
        created.map_err(|source| Error::cache("creating", &folder, source))?;
        let sizes = missing.iter().map(|at| local.parts[*at].entry.size_bytes);
        let need_bytes = sizes.fold(0, u64::saturating_add);
        space::check(&folder, need_bytes, &local.version)?;
        let mut downloads = Vec::new();
        for LocalPart {
            entry: part, path, ..
        } in missing.iter().map(|at| &local.parts[*at])
        {
            let file = Partial::create(path, self.store().random.nonce()?)?;
            downloads.push(Some(Download {
                part,
                file,
                missing_bytes: part.size_bytes,
            }));
        }
        self.download(manifest, &mut downloads).await?;
        drop(downloads);
        for at in missing {
            let part = &mut local.parts[*at];
            part.is_refused = false;
            part.fetches += 1;
        }
        Ok(())
    }

    /// Fills the files and finishes each as soon as nothing of it is missing.
    async fn download(
        &self,
        manifest: &Manifest,
        downloads: &mut [Option<Download<'_>>],
    ) -> Result<(), Error> {
        let limits = &self.limits().fetch;
        let mut wanted = Vec::new();
        for (at, slot) in downloads.iter_mut().enumerate() {
            match slot.as_ref().map(|download| download.part) {
                // No range of an empty part will ever arrive.
                Some(part) if part.size_bytes == 0 => finish(slot).await?,
                Some(part) => wanted.extend(ranges(part, limits).map(|range| (at, part, range))),
                None => {}
            }
        }
        let reads = wanted.into_iter().map(|(at, part, range)| async move {
            let start = range.start;
            let bytes = self.read_part(manifest, part, range).await?;
            Ok::<_, Error>((at, start, bytes))
        });
        let reads = futures::stream::iter(reads).buffer_unordered(limits.parallel_max.max(1));
        futures::pin_mut!(reads);
        while let Some((at, start, bytes)) = reads.try_next().await? {
            let Some(download) = &mut downloads[at] else {
                continue;
            };
            download.file.write_at(start, &bytes).await?;
            download.missing_bytes -= bytes.len() as u64;
            if download.missing_bytes == 0 {
                finish(&mut downloads[at]).await?;
            }
        }
        Ok(())
    }

    async fn read_part(
        &self,
        manifest: &Manifest,
        part: &PartEntry,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        let path = self
            .layout()
            .part(&manifest.model, manifest.upload, &part.name);
        let what = format!(
            "part {} of {}",
            part.name,
            described(&manifest.model, manifest.version)
        );
        let (size, timeout) = (part.size_bytes, self.limits().fetch.range_timeout);
        match self
            .store()
            .read_range((&what, &path), range, size, timeout)
            .await?
        {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(found)) => Err(Error::corrupt(
                what,
                format!("expected {size} bytes, the store has {found}"),
            )),
            None => Err(Error::corrupt(what, "it is missing from the store")),
        }
    }
}

async fn finish(slot: &mut Option<Download<'_>>) -> Result<(), Error> {
    match slot.take() {
        Some(download) => download.file.finish().await,
        None => Ok(()),
    }
}

async fn has_size(path: &Path, size: u64) -> Result<bool, Error> {
    match tokio::fs::metadata(path).await {
        Ok(meta) => Ok(meta.is_file() && meta.len() == size),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::cache("reading", path, error)),
    }
}

/// The ranges of a part, none of them empty.
fn ranges(part: &PartEntry, limits: &FetchLimits) -> impl Iterator<Item = Range<u64>> {
    let (size, step) = (part.size_bytes, limits.range_bytes.max(1));
    let count = size.div_ceil(step);
    (0..count).map(move |at| at * step..size.min((at + 1) * step))
}
