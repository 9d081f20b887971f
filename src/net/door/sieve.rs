//! Takes the calls that are turned away out of what a connection reads.

use super::super::frames::{HEAD_LEN, Head, kind, put_head};
use super::headers::PathTable;
use super::{Door, Guarded, Refusals};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// Refused calls whose bodies are still to come (chosen: as many as a connection may have calls; more
/// are left to HTTP/2 and its limits).
const OPEN_MAX: usize = 256;
/// Header blocks above this are not looked at, and none after them (chosen: a call's headers are some
/// hundred bytes).
const BLOCK_BYTES_MAX: usize = 4 * 1024;
/// Bytes of refused bodies after which the peer's window is widened by them again (chosen: a small
/// part of the window of a connection).
const WIDEN_AT_BYTES: usize = 16 * 1024;

/// SETTINGS_HEADER_TABLE_SIZE (RFC 9113, section 6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;

/// Whether the peer was asked to send headers that no table remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// It has not acknowledged the settings of HTTP/2 itself, which sends them once: whose its next
    /// acknowledgement is could not be told.
    TooEarly,
    No,
    /// Its acknowledgement is to come, and is none of HTTP/2's business.
    Waiting,
    Heard,
}

/// What becomes of a frame.
enum Fate {
    Pass,
    Drop,
    /// It has to be there as a whole, which takes so many bytes.
    Wait(usize),
}

/// See the module. It keeps account of the peer's table of headers from the first byte, and refuses
/// nothing more once it has lost it.
pub(in super::super) struct Sieve {
    door: Arc<dyn Door>,
    refusals: Refusals,
    table: PathTable,
    is_lost: bool,
    asked: Asked,
    /// The beginning of a frame that is needed as a whole, and how long it has to become.
    kept: BytesMut,
    kept_needs: usize,
    /// Of the present frame: bytes that still come, and whether they go on.
    left: usize,
    is_dropping: bool,
    /// The newest streams of both kinds.
    passed: u32,
    refused: u32,
    /// Refused streams whose end has not come.
    open: Vec<u32>,
    owed: usize,
    /// Of the bytes at hand: calls that were passed on, and whether one more may be.
    ahead: usize,
    is_full: bool,
    counts: Vec<u64>,
}

impl Sieve {
    pub(in super::super) fn new((door, refusals): Guarded) -> Self {
        Self {
            counts: vec![0; refusals.paths.len()],
            door,
            refusals,
            table: PathTable::default(),
            is_lost: false,
            asked: Asked::TooEarly,
            kept: BytesMut::new(),
            kept_needs: 0,
            left: 0,
            is_dropping: false,
            passed: 0,
            refused: 0,
            open: Vec::new(),
            owed: 0,
            ahead: 0,
            is_full: false,
        }
    }

    /// Hands on what is not turned away and says how many calls were. Where `answers` is given, they
    /// are answered there; otherwise none is.
    pub(in super::super) fn sift(
        &mut self,
        bytes: &[u8],
        mut answers: Option<&mut BytesMut>,
        mut pass: impl FnMut(&[u8]),
    ) -> u64 {
        (self.ahead, self.is_full) = (0, false);
        if self.kept.is_empty() {
            let rest = self.sift_whole(bytes, &mut answers, &mut pass);
            self.kept.extend_from_slice(&bytes[rest..]);
        } else {
            self.kept.extend_from_slice(bytes);
            if self.kept.len() < self.kept_needs {
                return 0;
            }
            let mut kept = std::mem::take(&mut self.kept);
            let rest = self.sift_whole(&kept, &mut answers, &mut pass);
            self.kept = kept.split_off(rest);
        }
        if let Some(answers) = answers
            && self.owed >= WIDEN_AT_BYTES
        {
            put_head(answers, (4, kind::WINDOW_UPDATE, 0), 0);
            answers.put_u32(std::mem::take(&mut self.owed) as u32);
        }
        let mut sum = 0;
        for (path, count) in self.counts.iter_mut().enumerate() {
            if *count > 0 {
                self.door.turned_away(path, *count);
                sum += std::mem::take(count);
            }
        }
        sum
    }

    /// What was kept, for an end in the middle of a frame.
    pub(in super::super) fn end(&mut self) -> Bytes {
        std::mem::take(&mut self.kept).freeze()
    }

    /// Returns where a frame begins that has to wait for more bytes, or the length.
    fn sift_whole(
        &mut self,
        bytes: &[u8],
        answers: &mut Option<&mut BytesMut>,
        pass: &mut impl FnMut(&[u8]),
    ) -> usize {
        // From `from` to `at` everything is passed on.
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            if self.left == 0 {
                let head = bytes[at..].first_chunk::<HEAD_LEN>().map(Head::parse);
                let fate = head.map(|head| (head, self.fate(head, &bytes[at..], answers)));
                let (head, is_dropping) = match fate {
                    Some((head, Fate::Pass)) => (head, false),
                    Some((head, Fate::Drop)) => (head, true),
                    Some((_, Fate::Wait(needs))) => {
                        self.kept_needs = needs;
                        break;
                    }
                    None => {
                        self.kept_needs = HEAD_LEN;
                        break;
                    }
                };
                if is_dropping && !self.is_dropping {
                    pass(&bytes[from..at]);
                }
                if !is_dropping && self.is_dropping {
                    from = at;
                }
                self.is_dropping = is_dropping;
                self.left = HEAD_LEN + head.len;
            }
            let step = self.left.min(bytes.len() - at);
            self.left -= step;
            at += step;
        }
        if !self.is_dropping && from < at {
            pass(&bytes[from..at]);
        }
        at
    }

    fn fate(&mut self, head: Head, bytes: &[u8], answers: &mut Option<&mut BytesMut>) -> Fate {
        let is_unknown_below = head.stream > self.passed && head.stream <= self.refused;
        match head.kind {
            kind::HEADERS => self.fate_of_headers(head, bytes, answers),
            kind::DATA if self.is_open(head.stream) => {
                self.owed += head.len;
                if head.ends_stream() {
                    self.close(head.stream);
                }
                Fate::Drop
            }
            kind::RST_STREAM if self.is_open(head.stream) => {
                self.close(head.stream);
                Fate::Drop
            }
            kind::SETTINGS if head.acknowledges_settings() => self.fate_of_acknowledgement(),
            // HTTP/2 takes streams for idle that it has never heard of, until it hears of a newer one.
            kind::RST_STREAM | kind::WINDOW_UPDATE | kind::PRIORITY if is_unknown_below => {
                Fate::Drop
            }
            _ => Fate::Pass,
        }
    }

    fn fate_of_acknowledgement(&mut self) -> Fate {
        match self.asked {
            Asked::TooEarly => self.asked = Asked::No,
            Asked::Waiting => {
                self.asked = Asked::Heard;
                return Fate::Drop;
            }
            Asked::No | Asked::Heard => {}
        }
        Fate::Pass
    }

    fn fate_of_headers(
        &mut self,
        head: Head,
        bytes: &[u8],
        answers: &mut Option<&mut BytesMut>,
    ) -> Fate {
        // Streams of a client are odd; for the others HTTP/2 has its own answer.
        let is_new = head.stream % 2 == 1 && head.stream > self.passed.max(self.refused);
        let needs = HEAD_LEN + head.len;
        let is_small = head.len <= BLOCK_BYTES_MAX;
        let can_walk = !self.is_lost && is_small && !head.leaves_headers_open();
        if can_walk && bytes.len() < needs {
            return Fate::Wait(needs);
        }
        let walked = if can_walk {
            let block = head.block(&bytes[HEAD_LEN..needs]);
            block.and_then(|block| self.table.walk(block, self.refusals.paths))
        } else {
            None
        };
        let Some(walked) = walked else {
            self.is_lost = true;
            self.passed = self.passed.max(head.stream);
            return Fate::Pass;
        };
        if !is_new && self.is_open(head.stream) && !walked.changes_table {
            // Trailers of a call that was refused.
            self.close(head.stream);
            return Fate::Drop;
        }
        if is_new
            && let Some(path) = walked.path
            && let Some(answers) = answers
            && self.open.len() < OPEN_MAX
            && !self.has_room()
        {
            if !walked.changes_table {
                self.refuse(head, path, answers);
                return Fate::Drop;
            }
            self.ask_for_plain_headers(answers);
        }
        self.ahead += usize::from(is_new);
        self.passed = self.passed.max(head.stream);
        Fate::Pass
    }

    /// Nothing of these bytes gives room while they are read.
    fn has_room(&mut self) -> bool {
        self.is_full = self.is_full || !self.door.has_room(self.ahead);
        !self.is_full
    }

    fn refuse(&mut self, head: Head, path: usize, answers: &mut BytesMut) {
        let block = &self.refusals.block;
        let flags = Head::END_STREAM | Head::END_HEADERS;
        put_head(answers, (block.len(), kind::HEADERS, flags), head.stream);
        answers.put_slice(block);
        self.refused = head.stream;
        self.counts[path] += 1;
        if !head.ends_stream() {
            self.open.push(head.stream);
        }
    }

    /// Clients add what changes from call to call to the table, a deadline above all. Without a table
    /// each of their calls can be turned away unread; those that are answered cost some more bytes.
    fn ask_for_plain_headers(&mut self, answers: &mut BytesMut) {
        if self.asked != Asked::No {
            return;
        }
        put_head(answers, (6, kind::SETTINGS, 0), 0);
        answers.put_u16(HEADER_TABLE_SIZE);
        answers.put_u32(0);
        self.asked = Asked::Waiting;
    }

    fn is_open(&self, stream: u32) -> bool {
        self.open.contains(&stream)
    }

    fn close(&mut self, stream: u32) {
        self.open.retain(|open| *open != stream);
    }
}
