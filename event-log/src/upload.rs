//! Uploads sealed segments as Parquet, each in one conditional PUT under a name that is fixed before.
//!
//! `<root>/events/date=<day of acceptance, UTC>/<replica>-<number>-<digest of the segment>.parquet`: a
//! repeated upload, by this process or another, creates the same name and so changes nothing.

use crate::ids;
use crate::layout;
use crate::segment::{self, Scanned};
use crate::writer::{Shared, day_of, describe};
use crate::{Error, Event, EventLog, SegmentFile, columns};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

/// First and longest wait after a failed upload (chosen: a store is back within minutes, and one call in
/// half a minute hurts nobody).
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Longest PUT (chosen: a segment of 16 MiB over 3 Mbit/s; an opened store need not have a limit of its own).
const PUT_TIMEOUT: Duration = Duration::from_secs(60);
/// Priority of the threads that read and compress segments (chosen: below everything that serves).
const UPLOAD_NICE: i32 = 10;

/// What was uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uploads {
    /// Objects.
    pub objects: u64,
    /// Their events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Moves sealed segments to a store.
#[derive(Clone, Debug)]
pub struct Uploader {
    store: Arc<dyn ObjectStore>,
    root: Path,
    replica: String,
    log: Arc<Shared>,
    turn: Arc<Mutex<()>>,
    /// The folder stays locked as long as somebody removes files from it.
    _lock: Arc<File>,
}

/// Held by one upload pass and by each of its threads; the next pass begins once all of them have dropped it.
type Turn = Arc<OwnedMutexGuard<()>>;

/// A segment, ready for its PUT.
struct Prepared {
    object: Path,
    parquet: Vec<u8>,
    ids: Vec<u64>,
    scanned: Scanned,
}

impl Uploader {
    /// For the log's segments, to `root` in an opened store. `replica` is a valid part of an object's name;
    /// a folder keeps the one that it was given first. BLOCKS.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn new(
        log: &EventLog,
        store: Arc<dyn ObjectStore>,
        root: Path,
        replica: &str,
    ) -> Result<Self, Error> {
        Ok(Self {
            store,
            root,
            replica: log.shared.folder.writer_name(replica)?,
            log: Arc::clone(&log.shared),
            turn: Arc::default(),
            _lock: Arc::clone(&log.lock),
        })
    }

    /// Uploads segments as they are sealed, for ever. A failure is logged, handed to `failed`, and tried
    /// again with backoff; uploads are handed to `done`.
    pub async fn run(&self, done: impl Fn(Uploads), failed: impl Fn(&Error)) {
        let mut backoff = BACKOFF_MIN;
        loop {
            match self.upload_sealed(&done).await {
                Ok(()) => {
                    backoff = BACKOFF_MIN;
                    self.log.sealed.notified().await;
                }
                Err(error) => {
                    tracing::warn!(error = describe(&error), "cannot upload events");
                    failed(&error);
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Uploads all segments that are sealed now, oldest first, each handed to `done`.
    ///
    /// # Errors
    /// The first failure; what was uploaded before it stays uploaded.
    pub async fn upload_sealed(&self, done: impl Fn(Uploads)) -> Result<(), Error> {
        // One pass after the other: two would remove each other's segments.
        let turn = Arc::new(Arc::clone(&self.turn).lock_owned().await);
        let folder = self.log.folder.clone();
        let segments = blocking(&turn, move || folder.segments()).await?;
        for file in segments.into_iter().filter(|file| file.is_sealed) {
            if let Some(uploaded) = self.upload(&turn, file).await? {
                done(uploaded);
            }
        }
        Ok(())
    }

    async fn upload(&self, turn: &Turn, file: SegmentFile) -> Result<Option<Uploads>, Error> {
        let (this, segment) = (self.clone(), file.clone());
        let prepared = match blocking(turn, move || this.prepare(&segment)).await {
            Ok(prepared) => prepared,
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(error = describe(&error), "an event segment is set aside");
                let this = self.clone();
                blocking(turn, move || this.set_aside(&file)).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let uploaded = Uploads {
            objects: 1,
            events: prepared.scanned.events,
            bytes: prepared.parquet.len() as u64,
        };
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        let payload = PutPayload::from(prepared.parquet);
        let (ids, scanned) = (prepared.ids, prepared.scanned);
        let put = self.store.put_opts(&prepared.object, payload, options);
        let put = tokio::time::timeout(PUT_TIMEOUT, put).await;
        match put.unwrap_or_else(|_| Err(timed_out())) {
            // An earlier try whose answer was lost: the name holds the digest, so it is this segment.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(source) => {
                let object = prepared.object.to_string();
                return Err(Error::Store { object, source });
            }
        }
        let this = self.clone();
        blocking(turn, move || this.finish(&file, &ids, scanned)).await?;
        Ok(Some(uploaded))
    }

    /// BLOCKS.
    fn prepare(&self, file: &SegmentFile) -> Result<Prepared, Error> {
        let bytes = std::fs::read(&file.path).map_err(Error::disk("reading", &file.path))?;
        let (events, scanned) = segment::parse(&bytes, &file.path)?;
        let digest = hex::encode(&Sha256::digest(&bytes)[..8]);
        let day = events.first().map(day_of).unwrap_or_default();
        let name = (self.replica.as_str(), file.number, digest.as_str());
        let object = layout::events_object(&self.root, day, name);
        Ok(Prepared {
            object,
            ids: events.iter().map(id).collect(),
            parquet: columns::parquet(events)?,
            scanned,
        })
    }

    /// The ids stay, the segment goes; a damaged segment stays for inspection. BLOCKS.
    fn finish(&self, file: &SegmentFile, ids: &[u64], scanned: Scanned) -> Result<(), Error> {
        ids::save(&self.log.folder.ids_of(file.number), ids)?;
        if scanned.torn_bytes > 0 {
            tracing::error!(path = %file.path.display(), bytes = scanned.torn_bytes,
                "an event segment was damaged; its sound part is uploaded");
            return self.set_aside(file);
        }
        std::fs::remove_file(&file.path).map_err(Error::disk("removing", &file.path))?;
        self.release(file)
    }

    /// BLOCKS.
    fn set_aside(&self, file: &SegmentFile) -> Result<(), Error> {
        let damaged = file.path.with_extension("damaged");
        let renamed = std::fs::rename(&file.path, damaged);
        renamed.map_err(Error::disk("renaming", &file.path))?;
        self.release(file)
    }

    fn release(&self, file: &SegmentFile) -> Result<(), Error> {
        self.log.held.fetch_sub(file.bytes, Ordering::Relaxed);
        self.log.folder.sync()
    }
}

fn id(event: &Event) -> u64 {
    ids::hash(&event.event_id)
}

fn timed_out() -> object_store::Error {
    object_store::Error::Generic {
        store: "event log",
        source: format!("no answer within {} s", PUT_TIMEOUT.as_secs()).into(),
    }
}

/// Runs what takes tens of milliseconds on a thread of low priority. The thread ends with the work: an
/// unprivileged process cannot raise its priority again. It holds the turn, too: where the caller gives up, the
/// turn ends with the work.
async fn blocking<T: Send + 'static>(
    turn: &Turn,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (reply, outcome) = oneshot::channel();
    let turn = Arc::clone(turn);
    let work = move || {
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), UPLOAD_NICE) {
            tracing::debug!(%error, "cannot lower the priority of an upload");
        }
        let outcome = work();
        drop(turn);
        // The caller may have given up.
        let _ = reply.send(outcome);
    };
    let thread = std::thread::Builder::new().name("event-upload".to_owned());
    let started = thread.spawn(work);
    started.map_err(Error::disk(
        "starting a thread for",
        std::path::Path::new("an upload"),
    ))?;
    outcome.await.unwrap_or(Err(Error::Closed))
}
