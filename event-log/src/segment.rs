//! A segment: a header and checksummed blocks of events.
//!
//! ```text
//! "HSEVENT1"                          8 bytes
//! block*: length u32 LE, CRC-32 u32 LE of the payload, payload = events, each behind its length (varint)
//! ```
//! A block is one batch. A crash leaves at most one block unfinished, the last one: it was never
//! acknowledged, and is cut off when the folder is opened again.

use crate::limits::BLOCK_BYTES_MAX;
use crate::{Error, Event};
use prost::Message;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(crate) const MAGIC: &[u8; 8] = b"HSEVENT1";
const HEAD_BYTES: usize = 8;

/// The block of one batch.
///
/// # Errors
/// [`Error::TooLarge`].
pub(crate) fn block(events: &[Event]) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; HEAD_BYTES];
    for event in events {
        // A Vec grows; the only error is a buffer that does not.
        let _ = event.encode_length_delimited(&mut bytes);
    }
    let payload = bytes.len() - HEAD_BYTES;
    let limit = BLOCK_BYTES_MAX;
    let length = u32::try_from(payload).ok().filter(|_| payload <= limit);
    let Some(length) = length else {
        return Err(Error::TooLarge {
            found: payload,
            limit,
        });
    };
    let checksum = crc32fast::hash(&bytes[HEAD_BYTES..]);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// What a segment was found to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Events.
    pub events: u64,
    /// Bytes up to the end of the last sound block.
    pub sound_bytes: u64,
    /// Bytes after it: an unfinished block, or what a disk has damaged.
    pub torn_bytes: u64,
}

/// Reads a segment from the start and hands out its events, up to the first block that is cut or damaged.
/// BLOCKS; holds one block in memory.
///
/// # Errors
/// [`Error::Corrupt`] where the file is no segment, [`Error::Disk`].
pub fn scan(path: &Path, each: impl FnMut(Event)) -> Result<Scanned, Error> {
    let failed = Error::disk("reading", path);
    let file = File::open(path).map_err(&failed)?;
    let size = file.metadata().map_err(&failed)?.len();
    scan_from((BufReader::new(file), size), path, each)
}

fn scan_from(
    (mut reader, size): (impl Read, u64),
    path: &Path,
    mut each: impl FnMut(Event),
) -> Result<Scanned, Error> {
    let failed = Error::disk("reading", path);
    let mut magic = [0; MAGIC.len()];
    let read = fill(&mut reader, &mut magic).map_err(&failed)?;
    if read < MAGIC.len() {
        // A crash between the file and its header.
        return Ok(Scanned {
            torn_bytes: size,
            ..Scanned::default()
        });
    }
    if &magic != MAGIC {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            reason: "it begins with other bytes".to_owned(),
        });
    }
    let mut scanned = Scanned {
        sound_bytes: MAGIC.len() as u64,
        ..Scanned::default()
    };
    while let Some((events, bytes)) = next_block(&mut reader).map_err(&failed)? {
        scanned.sound_bytes += bytes;
        scanned.events += events.len() as u64;
        events.into_iter().for_each(&mut each);
    }
    scanned.torn_bytes = size.saturating_sub(scanned.sound_bytes);
    Ok(scanned)
}

/// All events of a segment.
///
/// # Errors
/// As of [`scan`].
pub fn read(path: &Path) -> Result<(Vec<Event>, Scanned), Error> {
    let mut events = Vec::new();
    let scanned = scan(path, |event| events.push(event))?;
    Ok((events, scanned))
}

/// All events of a segment whose bytes were read from `path`.
///
/// # Errors
/// [`Error::Corrupt`].
pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<(Vec<Event>, Scanned), Error> {
    let mut events = Vec::new();
    let source = (bytes, bytes.len() as u64);
    let scanned = scan_from(source, path, |event| events.push(event))?;
    Ok((events, scanned))
}

/// The next sound block's events and size; `None` at the end, or where it is cut or damaged.
fn next_block(reader: &mut impl Read) -> std::io::Result<Option<(Vec<Event>, u64)>> {
    let mut head = [0; HEAD_BYTES];
    if fill(reader, &mut head)? < HEAD_BYTES {
        return Ok(None);
    }
    let [a, b, c, d, rest @ ..] = head;
    let (length, checksum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(rest));
    let length = length as usize;
    if length == 0 || length > BLOCK_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    if fill(reader, &mut payload)? < length || crc32fast::hash(&payload) != checksum {
        return Ok(None);
    }
    let (mut events, mut left) = (Vec::new(), payload.as_slice());
    while !left.is_empty() {
        match Event::decode_length_delimited(&mut left) {
            Ok(event) => events.push(event),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some((events, (HEAD_BYTES + length) as u64)))
}

/// Reads until the buffer is full or the file ends; returns how much.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Cuts what follows the last sound block. Returns what was found.
///
/// # Errors
/// As of [`scan`].
pub(crate) fn repair(path: &Path, each: impl FnMut(Event)) -> Result<Scanned, Error> {
    let scanned = scan(path, each)?;
    if scanned.torn_bytes > 0 {
        let failed = Error::disk("cutting the torn end of", path);
        let file = File::options().write(true).open(path).map_err(&failed)?;
        file.set_len(scanned.sound_bytes).map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
    }
    Ok(scanned)
}
