//! Tells a peer that uses a connection from one that uses it up, by the frames that pass.
//!
//! - **Frame budget.** Requests earn points; frames that make work and bring none cost points. A
//!   connection without points is closed: PING, SETTINGS, WINDOW_UPDATE, PRIORITY, CONTINUATION and
//!   unknown frames, DATA that is nearly empty, and requests that are taken back.
//! - **Unfinished frames.** A frame or header block that has begun must end in time.
//! - **Unread answers.** What was answered must be taken in time.
//! - **Idleness.** A connection that asks nothing is told to leave.
//!
//! [`Guard`] sits where the bytes pass and notes; [`Watch`] looks at the notes now and then.

mod unanswered;

use super::connection::End;
use super::frames::{Frames, Head, kind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unanswered::Unanswered;

/// Points that a connection begins with and never exceeds (chosen: above what any client spends
/// before its first requests are answered, and little work: some 100 ns for each frame, of which others
/// on the core wait for all that come at once).
const POINTS_MAX: i64 = 1_000;
/// Points that come back by themselves (chosen: pings and window updates of an idle client are one
/// or two in a second).
const POINTS_PER_S: u128 = 400;
/// What a request brings (chosen: a client may answer it with a ping and two window updates).
const REQUEST_EARNS: i64 = 4;
/// What taking back a request costs (chosen: a client that cancels up to four calls of five, and
/// never runs out of points, is in trouble itself; one that cancels all of them makes it).
const RESET_COSTS: i64 = 5;
/// DATA frames below this many bytes that are not the last of their request cost a point (inherited:
/// h2 holds them for more overhead than use).
const SMALL_DATA_BYTES: usize = 256;
/// Progress that is enough for a peer that reads slowly (chosen: one socket buffer's worth).
const PROGRESS_BYTES: u64 = 64 * 1024;

/// The peer has spent its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flooded;

impl std::fmt::Display for Flooded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the peer's frames make work and ask for nothing")
    }
}

impl std::error::Error for Flooded {}

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    incoming: Frames,
    outgoing: Frames,
    is_in_headers: bool,
    last_stream: u32,
    unanswered: Unanswered,
    points: i64,
    refilled: Instant,
    notes: Notes,
}

/// What is noted of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    end: Option<End>,
    unfinished_since: Option<Instant>,
    requests: u64,
    /// Bytes of answers: given to the connection, and written in DATA frames.
    given: u64,
    written: u64,
    largest: u64,
    /// Bytes that wait for the socket, and those that it has taken.
    gathered: usize,
    sent: u64,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        // Plain numbers: no panic leaves them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes of an answer wait to be sent.
    pub(super) fn answered(&self, bytes: usize) {
        let mut noted = self.lock();
        noted.given += bytes as u64;
        noted.largest = noted.largest.max(bytes as u64);
    }

    /// Why the connection was ended here, if it was.
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end
    }
}

impl Noted {
    fn unread(&self) -> u64 {
        self.given.saturating_sub(self.written)
    }

    /// A stream is reset, and what was still to be sent on it is dropped. How much is not known: no
    /// more than the largest answer.
    fn forget_one(&mut self) {
        self.given -= self.unread().min(self.largest);
    }
}

impl Guard {
    pub(super) fn new(notes: Notes) -> Self {
        Self {
            incoming: Frames::default(),
            outgoing: Frames::default(),
            is_in_headers: false,
            last_stream: 0,
            unanswered: Unanswered::default(),
            points: POINTS_MAX,
            refilled: Instant::now(),
            notes,
        }
    }

    /// Notes what was read.
    ///
    /// # Errors
    /// The budget is spent.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Flooded> {
        let (mut requests, mut resets, mut units) = (0, 0, 0);
        let (mut points, mut last_stream) = (self.points, self.last_stream);
        let mut is_in_headers = self.is_in_headers;
        let unanswered = &mut self.unanswered;
        self.incoming.read(bytes, |head| {
            is_in_headers = head.leaves_headers_open();
            units += u32::from(!is_in_headers);
            if head.kind == kind::HEADERS && head.stream > last_stream {
                last_stream = head.stream;
                requests += 1;
                unanswered.asked();
                points = (points + REQUEST_EARNS).min(POINTS_MAX);
            } else {
                if head.kind == kind::RST_STREAM {
                    resets += 1;
                    unanswered.end(head.stream);
                }
                points -= cost(head);
            }
        });
        (self.points, self.last_stream) = (points, last_stream);
        self.is_in_headers = is_in_headers;
        let is_unfinished = is_in_headers || self.incoming.is_within_frame();
        let mut noted = self.notes.lock();
        noted.requests += requests;
        (0..resets).for_each(|_| noted.forget_one());
        if !is_unfinished {
            noted.unfinished_since = None;
        } else if units > 0 || noted.unfinished_since.is_none() {
            noted.unfinished_since = Some(Instant::now());
        }
        drop(noted);
        self.afford()
    }

    fn afford(&mut self) -> Result<(), Flooded> {
        if self.points >= 0 {
            return Ok(());
        }
        // The clock is read only here: a connection in good order never comes this far.
        let now = Instant::now();
        let waited = now.duration_since(self.refilled).as_millis();
        let back = i64::try_from(waited * POINTS_PER_S / 1000).unwrap_or(POINTS_MAX);
        self.points = (self.points + back).min(POINTS_MAX);
        self.refilled = now;
        if self.points >= 0 {
            return Ok(());
        }
        self.notes.lock().end = Some(End::FrameFlood);
        Err(Flooded)
    }

    /// Notes what is about to be written.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let (mut data, mut resets) = (0, 0);
        let unanswered = &mut self.unanswered;
        self.outgoing.read(bytes, |head| {
            unanswered.wrote(head);
            match head.kind {
                kind::DATA => data += head.len as u64,
                kind::RST_STREAM => resets += 1,
                _ => {}
            }
        });
        if data > 0 || resets > 0 {
            let mut noted = self.notes.lock();
            noted.written += data;
            (0..resets).for_each(|_| noted.forget_one());
        }
    }

    /// Whether every request that was read has its answer, or the beginning of it.
    pub(super) fn is_all_answered(&self) -> bool {
        self.unanswered.is_none()
    }

    /// Notes that the socket took so many bytes, and how many wait for it.
    pub(super) fn sent(&mut self, bytes: usize, gathered: usize) {
        let mut noted = self.notes.lock();
        noted.sent += bytes as u64;
        noted.gathered = gathered;
    }
}

fn cost(head: Head) -> i64 {
    match head.kind {
        kind::DATA if head.ends_stream() || head.len >= SMALL_DATA_BYTES => 0,
        // The trailers of a request, which has them once.
        kind::HEADERS => 0,
        kind::RST_STREAM => RESET_COSTS,
        _ => 1,
    }
}

/// How long a peer may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For one frame or header block to arrive whole.
    pub(super) frame: Duration,
    /// For answers to be taken.
    pub(super) unread: Duration,
    /// Without a request.
    pub(super) idle: Duration,
}

/// Judges by the notes; to be asked every so often.
#[derive(Debug)]
pub(super) struct Watch {
    notes: Notes,
    patience: Patience,
    requests: u64,
    asked_at: Instant,
    unread: Option<Unread>,
}

/// What must have happened for a peer to count as one that reads.
#[derive(Debug)]
struct Unread {
    since: Instant,
    written: u64,
    sent: u64,
}

impl Watch {
    pub(super) fn new(notes: Notes, patience: Patience, now: Instant) -> Self {
        Self {
            notes,
            patience,
            requests: 0,
            asked_at: now,
            unread: None,
        }
    }

    /// Time between two looks: short beside what is looked for.
    pub(super) fn interval(&self) -> Duration {
        let Patience {
            frame,
            unread,
            idle,
        } = self.patience;
        (frame.min(unread).min(idle) / 4).max(Duration::from_millis(5))
    }

    /// Why the connection should end, if it should. `under_way` are its calls that are not done.
    pub(super) fn judge(&mut self, now: Instant, under_way: usize) -> Option<End> {
        let notes = self.notes.clone();
        let noted = notes.lock();
        let began = noted.unfinished_since;
        if began.is_some_and(|began| now.duration_since(began) >= self.patience.frame) {
            return Some(End::FrameTimeout);
        }
        if self.is_unread(&noted, now) {
            return Some(End::UnreadAnswers);
        }
        if under_way > 0 || noted.requests > self.requests {
            self.asked_at = now;
            self.requests = noted.requests;
        }
        (now.duration_since(self.asked_at) >= self.patience.idle).then_some(End::Idle)
    }

    fn is_unread(&mut self, noted: &Noted, now: Instant) -> bool {
        if let Some(unread) = &self.unread
            && (noted.written < unread.written || noted.sent < unread.sent)
            && (noted.unread() > 0 || noted.gathered > 0)
        {
            return now.duration_since(unread.since) >= self.patience.unread;
        }
        let is_waiting = noted.unread() > 0 || noted.gathered > 0;
        self.unread = is_waiting.then(|| Unread {
            since: now,
            written: noted.written + noted.unread().min(PROGRESS_BYTES),
            sent: noted.sent + (noted.gathered as u64).min(PROGRESS_BYTES),
        });
        false
    }
}

#[cfg(test)]
mod tests;
