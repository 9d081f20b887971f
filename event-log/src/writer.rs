//! The one thread that writes: deduplicates, commits in groups, seals.

use crate::folder::Folder;
use crate::ids::{self, RecentIds};
use crate::limits::{GROUP_BYTES_MAX, QUEUE_MAX};
use crate::segment::{self, MAGIC};
use crate::{Error, Event, Limits};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

/// A batch that is durable on this server's disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Positions of events whose id was accepted before, or twice in this batch. They were not written again.
    pub duplicates: Vec<usize>,
}

/// What the writer and the uploader share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: Folder,
    /// Bytes of all segments.
    pub(crate) held: AtomicU64,
    /// A segment was sealed.
    pub(crate) sealed: Notify,
    /// Closes with the writer.
    pub(crate) writer: watch::Receiver<()>,
}

enum Request {
    Append {
        events: Vec<Event>,
        reply: oneshot::Sender<Result<Acknowledged, Error>>,
    },
    Seal {
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// The log of one server; clones are the same log. [`EventLog::seal`] comes before the last one goes, so that
/// nothing is left to write when the folder's lock ends.
#[derive(Clone, Debug)]
pub struct EventLog {
    requests: SyncSender<Request>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lock: Arc<File>,
}

impl EventLog {
    /// Starts the writer.
    pub(crate) fn start(
        (folder, held, lock): (Folder, u64, File),
        limits: Limits,
        (next, known): (u64, RecentIds),
    ) -> Result<Self, Error> {
        let (alive, writer) = watch::channel(());
        let shared = Arc::new(Shared {
            folder,
            held: AtomicU64::new(held),
            sealed: Notify::new(),
            writer,
        });
        let writer = Writer {
            limits,
            next,
            known,
            segment: None,
            shared: Arc::clone(&shared),
            _alive: alive,
        };
        let (requests, incoming) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(move || writer.run(&incoming))
            .map_err(Error::disk("starting the writer of", shared.folder.path()))?;
        let lock = Arc::new(lock);
        Ok(Self {
            requests,
            shared,
            lock,
        })
    }

    /// Appends a batch; returns when it is durable. All of it is, or nothing. Concurrent batches share a
    /// sync.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Busy`], [`Error::TooLarge`], [`Error::Disk`], [`Error::Closed`]; nothing
    /// of the batch is acknowledged then, and it may be sent again.
    pub async fn append(&self, events: Vec<Event>) -> Result<Acknowledged, Error> {
        self.request(|reply| Request::Append { events, reply })
            .await
    }

    /// Seals the segment, so that all events so far can be uploaded.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Disk`], [`Error::Closed`].
    pub async fn seal(&self) -> Result<(), Error> {
        self.request(|reply| Request::Seal { reply }).await
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let (reply, outcome) = oneshot::channel();
        let sent = self.requests.try_send(request(reply));
        sent.map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy(QUEUE_MAX),
            TrySendError::Disconnected(_) => Error::Closed,
        })?;
        outcome.await.unwrap_or(Err(Error::Closed))
    }

    /// Returns once the writer has ended, which only a bug does while this handle lives. Nothing is accepted
    /// from then on; what was acknowledged is on disk.
    pub async fn closed(&self) {
        let mut writer = self.shared.writer.clone();
        while writer.changed().await.is_ok() {}
    }

    /// Bytes of segments on this disk.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.shared.held.load(Ordering::Relaxed)
    }
}

/// The segment that is written to.
struct Segment {
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    since: Instant,
    /// Days since 1970 of its events' acceptance.
    day: i64,
}

struct Writer {
    limits: Limits,
    next: u64,
    known: RecentIds,
    segment: Option<Segment>,
    shared: Arc<Shared>,
    /// Dropped with the writer, whatever ends it.
    _alive: watch::Sender<()>,
}

/// One batch on its way.
struct Batch {
    fresh: Vec<Event>,
    ids: Vec<u64>,
    duplicates: Vec<usize>,
    reply: oneshot::Sender<Result<Acknowledged, Error>>,
}

impl Writer {
    fn run(mut self, incoming: &Receiver<Request>) {
        loop {
            let request = match self.segment.as_ref().map(|segment| segment.since.elapsed()) {
                Some(age) => incoming.recv_timeout(self.limits.segment_age.saturating_sub(age)),
                None => incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok(first) => self.serve(first, incoming),
                Err(RecvTimeoutError::Timeout) => self.seal_or_log(),
                Err(RecvTimeoutError::Disconnected) => return self.seal_or_log(),
            }
            let limits = self.limits;
            let is_due = self.segment.as_ref().is_some_and(|segment| {
                segment.bytes >= limits.segment_bytes
                    || segment.since.elapsed() >= limits.segment_age
            });
            if is_due {
                self.seal_or_log();
            }
        }
    }

    /// Takes what else waits, and commits it together.
    fn serve(&mut self, first: Request, incoming: &Receiver<Request>) {
        let (mut group, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Append { events, reply } => {
                    bytes += events
                        .iter()
                        .map(prost::Message::encoded_len)
                        .sum::<usize>();
                    let batch = self.deduplicate(events, reply);
                    // One group lies within one segment, and a segment within one day.
                    if self.is_another_day(&batch) {
                        self.commit(std::mem::take(&mut group));
                        self.seal_or_log();
                    }
                    group.push(batch);
                }
                Request::Seal { reply } => {
                    self.commit(std::mem::take(&mut group));
                    // The caller may be gone.
                    let _ = reply.send(self.seal());
                }
            }
            next = (bytes < GROUP_BYTES_MAX)
                .then(|| incoming.try_recv().ok())
                .flatten();
        }
        self.commit(group);
    }

    fn deduplicate(
        &mut self,
        events: Vec<Event>,
        reply: oneshot::Sender<Result<Acknowledged, Error>>,
    ) -> Batch {
        let mut batch = Batch {
            fresh: Vec::with_capacity(events.len()),
            ids: Vec::with_capacity(events.len()),
            duplicates: Vec::new(),
            reply,
        };
        for (position, event) in events.into_iter().enumerate() {
            let id = ids::hash(&event.event_id);
            if self.known.insert(id) {
                batch.ids.push(id);
                batch.fresh.push(event);
            } else {
                batch.duplicates.push(position);
            }
        }
        batch
    }

    fn is_another_day(&self, batch: &Batch) -> bool {
        let day = batch.fresh.first().map(day_of);
        let current = self.segment.as_ref().map(|segment| segment.day);
        matches!((day, current), (Some(day), Some(current)) if day != current)
    }

    /// Writes a group, syncs once, and answers. A duplicate is answered no sooner than what it repeats.
    fn commit(&mut self, group: Vec<Batch>) {
        let start = self.segment.as_ref().map(|segment| segment.bytes);
        let mut written = Vec::with_capacity(group.len());
        for batch in group {
            match self.write(&batch.fresh) {
                Ok(()) => written.push(batch),
                Err(error) => self.refuse(batch, error),
            }
        }
        let synced = match &self.segment {
            Some(segment) => {
                let synced = segment.file.sync_data();
                synced.map_err(|error| (segment.path.clone(), error))
            }
            None => Ok(()),
        };
        match synced {
            Ok(()) => written.into_iter().for_each(acknowledge),
            Err((path, error)) => {
                self.cut_to(start);
                for batch in written.into_iter().rev() {
                    let source = std::io::Error::new(error.kind(), error.to_string());
                    self.refuse(batch, Error::disk("syncing", &path)(source));
                }
            }
        }
    }

    fn refuse(&mut self, batch: Batch, error: Error) {
        self.known.take_back(&batch.ids);
        // The caller may be gone.
        let _ = batch.reply.send(Err(error));
    }

    fn write(&mut self, events: &[Event]) -> Result<(), Error> {
        let Some(first) = events.first() else {
            return Ok(());
        };
        let block = segment::block(events)?;
        let held = self.shared.held.load(Ordering::Relaxed) + block.len() as u64;
        if held > self.limits.disk_bytes {
            let limit = self.limits.disk_bytes;
            return Err(Error::Full { held, limit });
        }
        if self.segment.is_none() {
            self.segment = Some(self.start_segment(day_of(first))?);
        }
        let Some(segment) = &mut self.segment else {
            return Err(Error::Closed);
        };
        let before = segment.bytes;
        if let Err(source) = segment.file.write_all(&block) {
            let error = Error::disk("writing", &segment.path)(source);
            self.cut_to(Some(before));
            return Err(error);
        }
        segment.bytes += block.len() as u64;
        let held = &self.shared.held;
        held.fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn start_segment(&mut self, day: i64) -> Result<Segment, Error> {
        let number = self.next;
        let path = self.shared.folder.open_segment(number);
        let failed = Error::disk("creating", &path);
        let mut file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(&failed)?;
        // The number is spent, whatever becomes of the file.
        self.next += 1;
        file.write_all(MAGIC).map_err(&failed)?;
        self.shared.folder.sync()?;
        let bytes = MAGIC.len() as u64;
        self.shared.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(Segment {
            number,
            file,
            bytes,
            since: Instant::now(),
            day,
            path,
        })
    }

    /// Takes back what was written after `bytes`; `None`: all of it. A segment that cannot be cut takes no
    /// more events; the next start repairs it.
    fn cut_to(&mut self, bytes: Option<u64>) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let bytes = bytes.unwrap_or(MAGIC.len() as u64);
        match segment.file.set_len(bytes) {
            Ok(()) => {
                let gone = segment.bytes.saturating_sub(bytes);
                self.shared.held.fetch_sub(gone, Ordering::Relaxed);
                segment.bytes = bytes;
            }
            Err(error) => {
                tracing::error!(%error, path = %segment.path.display(), "cannot cut an event segment");
                self.segment = None;
            }
        }
    }

    fn seal(&mut self) -> Result<(), Error> {
        let Some(segment) = &self.segment else {
            return Ok(());
        };
        let failed = Error::disk("sealing", &segment.path);
        let folder = &self.shared.folder;
        segment.file.sync_all().map_err(&failed)?;
        if segment.bytes <= MAGIC.len() as u64 {
            std::fs::remove_file(&segment.path).map_err(&failed)?;
        } else {
            let sealed = folder.sealed_segment(segment.number);
            std::fs::rename(&segment.path, sealed).map_err(&failed)?;
        }
        folder.sync()?;
        self.segment = None;
        self.shared.sealed.notify_one();
        Ok(())
    }

    /// A segment that cannot be sealed stays the one that is written to, and is tried again later.
    fn seal_or_log(&mut self) {
        if let Err(error) = self.seal() {
            tracing::error!(error = describe(&error), "cannot seal an event segment");
            if let Some(segment) = &mut self.segment {
                segment.since = Instant::now();
            }
        }
    }
}

fn acknowledge(batch: Batch) {
    let duplicates = batch.duplicates;
    // The caller may be gone; the events stay.
    let _ = batch.reply.send(Ok(Acknowledged { duplicates }));
}

/// Days since 1970 on which it was accepted.
pub(crate) fn day_of(event: &Event) -> i64 {
    const DAY: i64 = Duration::from_secs(86_400).as_micros() as i64;
    event.accepted_at.div_euclid(DAY)
}

/// An error and its causes on one line.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
