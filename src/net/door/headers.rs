//! Walks header blocks (RFC 7541) without decoding them: whether one changes the table of headers,
//! and which of the known paths it names.

use super::KnownPath;

/// The first index of the dynamic table.
const DYNAMIC: u64 = 62;
/// The two entries of the static table with the name `:path`.
const PATHS: std::ops::RangeInclusive<u64> = 4..=5;
/// Paths whose places in the table are remembered (chosen: more than a caller of this server has).
const REMEMBERED: usize = 4;

/// What a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Blocks that follow mean something else without this one.
    pub(super) changes_table: bool,
    /// The known path, by its place.
    pub(super) path: Option<usize>,
}

/// Where known paths stand in the table that the peer keeps with its blocks. Everything in it counts
/// from the first entry, so that nothing moves when more are added; what falls out is never named
/// again by a peer that keeps to the rules.
#[derive(Debug, Default)]
pub(super) struct PathTable {
    /// The peer has made it too small for any entry: what would be added to it is not.
    is_closed: bool,
    added: u64,
    paths: [Option<(u64, usize)>; REMEMBERED],
    oldest: usize,
}

impl PathTable {
    fn at(&self, index: u64) -> Option<usize> {
        let number = self.added.checked_sub(index.checked_sub(DYNAMIC)?)?;
        let entry = |(at, path): (u64, usize)| (at == number).then_some(path);
        self.paths.iter().flatten().find_map(|known| entry(*known))
    }

    /// The peer says how many bytes its table has from here on. None at all empty it.
    fn resize(&mut self, bytes: u64) {
        self.is_closed = bytes == 0;
        if self.is_closed {
            self.paths = Default::default();
        }
    }

    fn add(&mut self, path: Option<usize>) {
        self.added += 1;
        if let Some(path) = path {
            self.paths[self.oldest] = Some((self.added, path));
            self.oldest = (self.oldest + 1) % REMEMBERED;
        }
    }

    /// Takes in the next block of a connection; `None` where it is none. Costs some nanoseconds for
    /// every field.
    pub(super) fn walk(&mut self, mut block: &[u8], known: &[KnownPath]) -> Option<Walked> {
        let mut walked = Walked {
            changes_table: false,
            path: None,
        };
        while let Some(first) = block.first().copied() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                walked.path = walked.path.or(self.at(index));
                continue;
            }
            if first & 0xe0 == 0x20 {
                let bytes = integer(&mut block, 5)?;
                self.resize(bytes);
                walked.changes_table = true;
                continue;
            }
            let is_added = first & 0x40 != 0;
            let name = integer(&mut block, if is_added { 6 } else { 4 })?;
            if name == 0 {
                string(&mut block)?;
            }
            let value = string(&mut block)?;
            let is_path = PATHS.contains(&name) || self.at(name).is_some();
            let path = is_path.then(|| known.iter().position(|path| value.is(path)));
            let path = path.flatten();
            walked.path = walked.path.or(path);
            if is_added && !self.is_closed {
                walked.changes_table = true;
                self.add(path);
            }
        }
        Some(walked)
    }
}

/// A string as it stands in a block.
struct Text<'a> {
    is_coded: bool,
    bytes: &'a [u8],
}

impl Text<'_> {
    fn is(&self, path: &KnownPath) -> bool {
        let as_known = if self.is_coded {
            path.coded
        } else {
            path.plain.as_bytes()
        };
        self.bytes == as_known
    }
}

/// An integer whose first byte has so many bits for it (section 5.1).
fn integer(block: &mut &[u8], bits: u32) -> Option<u64> {
    let most = (1_u64 << bits) - 1;
    let (first, mut rest) = block.split_first()?;
    let mut value = u64::from(*first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (next, left) = rest.split_first()?;
            rest = left;
            // No length or index of a connection in order comes near.
            if shift > 28 {
                return None;
            }
            value += u64::from(next & 0x7f) << shift;
            shift += 7;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Some(value)
}

/// Section 5.2.
fn string<'a>(block: &mut &'a [u8]) -> Option<Text<'a>> {
    let is_coded = block.first()? & 0x80 != 0;
    let len = usize::try_from(integer(block, 7)?).ok()?;
    let (bytes, rest) = block.split_at_checked(len)?;
    *block = rest;
    Some(Text { is_coded, bytes })
}
