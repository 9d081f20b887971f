//! Opens a folder: finishes what an earlier process left, and learns which ids it accepted.

use crate::folder::{Folder, SegmentFile};
use crate::ids::{self, RecentIds};
use crate::segment;
use crate::{Error, Event, EventLog, Limits};
use std::path::Path;

/// What opening a folder found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Segments that wait for their upload.
    pub segments: u64,
    /// Their events.
    pub events: u64,
    /// Bytes of unfinished blocks that were cut off; none was ever acknowledged.
    pub torn_bytes: u64,
}

impl EventLog {
    /// Opens a folder for this process, finishes what an earlier one left, and starts the writer. BLOCKS:
    /// it reads all segments that wait for their upload.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Disk`].
    pub fn open(path: &Path, limits: Limits) -> Result<(Self, Opened), Error> {
        let folder = Folder::new(path);
        let lock = folder.create_and_lock()?;
        let mut known = RecentIds::new(limits.ids);
        for id in saved_ids(&folder, limits.ids)? {
            known.insert(id);
        }
        let mut opened = Opened::default();
        let mut held = 0;
        for file in folder.segments()? {
            held += recover(&folder, &file, (&mut opened, &mut known))?;
        }
        folder.sync()?;
        let next = 1 + newest_number(&folder)?;
        let log = Self::start((folder, held, lock), limits, (next, known))?;
        Ok((log, opened))
    }
}

/// Ids of uploaded segments, oldest first, the newest `max`; files of older ones are removed, but never the
/// newest file, whose number must not be given twice.
fn saved_ids(folder: &Folder, max: usize) -> Result<Vec<u64>, Error> {
    let mut newest_first = Vec::new();
    let mut count = 0;
    for (_, path) in folder.ids()?.into_iter().rev() {
        if count >= max && !newest_first.is_empty() {
            std::fs::remove_file(&path).map_err(Error::disk("removing", &path))?;
            continue;
        }
        let ids = ids::load(&path)?;
        count += ids.len();
        newest_first.push(ids);
    }
    Ok(newest_first.into_iter().rev().flatten().collect())
}

/// Finishes a segment of an earlier process. Returns how many bytes it takes.
fn recover(
    folder: &Folder,
    file: &SegmentFile,
    (opened, known): (&mut Opened, &mut RecentIds),
) -> Result<u64, Error> {
    let learn = |event: Event| {
        known.insert(ids::hash(&event.event_id));
    };
    let scanned = match file.is_sealed {
        true => segment::scan(&file.path, learn),
        false => segment::repair(&file.path, learn),
    };
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(error @ Error::Corrupt { .. }) => {
            // The uploader moves it out of the way.
            tracing::error!(%error, "an event segment cannot be read");
            return Ok(file.bytes);
        }
        Err(error) => return Err(error),
    };
    opened.torn_bytes += scanned.torn_bytes;
    if !file.is_sealed && scanned.events == 0 {
        let removed = std::fs::remove_file(&file.path);
        removed.map_err(Error::disk("removing", &file.path))?;
        return Ok(0);
    }
    if !file.is_sealed {
        let sealed = folder.sealed_segment(file.number);
        let renamed = std::fs::rename(&file.path, sealed);
        renamed.map_err(Error::disk("sealing", &file.path))?;
    }
    opened.segments += 1;
    opened.events += scanned.events;
    Ok(scanned.sound_bytes)
}

fn newest_number(folder: &Folder) -> Result<u64, Error> {
    let segments = folder.segments()?.into_iter().map(|file| file.number);
    let ids = folder.ids()?.into_iter().map(|(number, _)| number);
    Ok(segments.chain(ids).max().unwrap_or(0))
}
