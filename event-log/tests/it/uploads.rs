//! Segments reach the store exactly once, whatever the store does.

use super::{close, event, events, limits, open};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use arrow_array::cast::AsArray;
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use hotshelf_event_log::{EventLog, Limits, Uploader, Uploads, parquet, schema};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fails every third write: one before it is done, the next one after.
#[derive(Debug)]
struct Rough {
    inner: Arc<InMemory>,
    calls: AtomicUsize,
}

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rough")
    }
}

fn away() -> object_store::Error {
    object_store::Error::Generic {
        store: "rough",
        source: "away".into(),
    }
}

#[async_trait]
impl ObjectStore for Rough {
    async fn put_opts(
        &self,
        to: &Path,
        bytes: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call % 6 == 2 {
            return Err(away());
        }
        let done = self.inner.put_opts(to, bytes, options).await;
        if call % 6 == 5 { Err(away()) } else { done }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Ids in all objects.
async fn uploaded(store: &InMemory) -> Vec<String> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut ids = Vec::new();
    for object in objects {
        let bytes = store
            .get(&object.location)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        for batch in ParquetRecordBatchReader::try_new(bytes, 1_024).unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name("event_id").unwrap().as_string::<i32>();
            ids.extend(column.iter().flatten().map(str::to_owned));
        }
    }
    ids
}

fn uploader(log: &EventLog, store: Arc<dyn ObjectStore>) -> Uploader {
    Uploader::new(log, store, Path::from("shop"), "replica-1").unwrap()
}

/// A log whose first segment has three events and is sealed.
async fn sealed_log(folder: &std::path::Path) -> EventLog {
    let log = open(folder);
    log.append(events(0, 3)).await.unwrap();
    log.seal().await.unwrap();
    log
}

#[tokio::test]
async fn object_is_named_by_day_replica_number_and_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (log, store) = (open(folder.path()), Arc::new(InMemory::new()));
    log.append(events(0, 2)).await.unwrap();
    log.seal().await.unwrap();
    let mut seen = Uploads::default();
    let seen_by = std::sync::Mutex::new(&mut seen);
    uploader(&log, store.clone())
        .upload_sealed(|one| **seen_by.lock().unwrap() = one)
        .await
        .unwrap();
    assert_eq!((seen.objects, seen.events), (1, 2));
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let name = objects[0].location.to_string();
    let start = "shop/events/date=2026-11-30/replica-1-000000000001-";
    assert!(
        name.starts_with(start) && name.ends_with(".parquet"),
        "{name}"
    );
    assert_eq!(name.len(), start.len() + 16 + ".parquet".len());
    assert_eq!(log.held_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_thousand_events_arrive_exactly_once_at_a_store_that_fails_every_third_call() {
    let folder = tempfile::tempdir().unwrap();
    let small = Limits {
        segment_bytes: 256 << 10,
        ..limits()
    };
    let (log, _) = EventLog::open(folder.path(), small).unwrap();
    let inner = Arc::new(InMemory::new());
    let rough = Rough {
        inner: Arc::clone(&inner),
        calls: AtomicUsize::new(0),
    };
    let uploader = uploader(&log, Arc::new(rough));
    let mut failures = 0;
    for batch in 0..100 {
        log.append(events(1_000 * batch, 1_000)).await.unwrap();
        failures += usize::from(uploader.upload_sealed(|_| {}).await.is_err());
    }
    log.seal().await.unwrap();
    while uploader.upload_sealed(|_| {}).await.is_err() {
        failures += 1;
    }
    assert!(failures > 5, "{failures} failures");
    let mut ids = uploaded(&inner).await;
    assert_eq!(ids.len(), 100_000);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100_000);
}

#[tokio::test]
async fn crash_between_upload_and_removal_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, store) = (sealed_log(folder.path()).await, Arc::new(InMemory::new()));
    let sealed = folder.path().join("000000000001.sealed");
    let bytes = std::fs::read(&sealed).unwrap();
    uploader(&log, store.clone())
        .upload_sealed(|_| {})
        .await
        .unwrap();
    assert!(!sealed.exists());
    close(log).await;
    // As if the process had died before it removed the segment.
    std::fs::write(&sealed, bytes).unwrap();
    let log = open(folder.path());
    uploader(&log, store.clone())
        .upload_sealed(|_| {})
        .await
        .unwrap();
    assert!(!sealed.exists());
    assert_eq!(uploaded(&store).await.len(), 3);
    assert_eq!(
        store
            .list(None)
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn server_that_was_renamed_between_upload_and_removal_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, store) = (sealed_log(folder.path()).await, Arc::new(InMemory::new()));
    let sealed = folder.path().join("000000000001.sealed");
    let bytes = std::fs::read(&sealed).unwrap();
    for replica in ["replica-1", "replica-2"] {
        std::fs::write(&sealed, &bytes).unwrap();
        let uploader = Uploader::new(&log, store.clone(), Path::from("shop"), replica);
        uploader.unwrap().upload_sealed(|_| {}).await.unwrap();
    }
    assert_eq!(uploaded(&store).await.len(), 3);
}

#[tokio::test]
async fn ids_and_numbers_survive_their_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (log, store) = (sealed_log(folder.path()).await, Arc::new(InMemory::new()));
    uploader(&log, store.clone())
        .upload_sealed(|_| {})
        .await
        .unwrap();
    close(log).await;
    let log = open(folder.path());
    let again = log.append(events(0, 4)).await.unwrap();
    assert_eq!(again.duplicates, [0, 1, 2]);
    assert!(folder.path().join("000000000002.open").exists());
}

#[tokio::test]
async fn damaged_segment_is_set_aside_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("000000000001.sealed"),
        b"not a segment at all",
    )
    .unwrap();
    let (log, store) = (open(folder.path()), Arc::new(InMemory::new()));
    log.append(events(0, 1)).await.unwrap();
    log.seal().await.unwrap();
    uploader(&log, store.clone())
        .upload_sealed(|_| {})
        .await
        .unwrap();
    assert_eq!(uploaded(&store).await, ["e0"]);
    assert!(folder.path().join("000000000001.damaged").exists());
}

#[test]
fn columns_are_nullable_and_rows_sorted_by_time() {
    assert!(schema().fields().iter().all(|field| field.is_nullable()));
    let mut early = event("early");
    early.occurred_at -= 5;
    early.user_id = None;
    early.quantity = Some(2.0);
    let bytes = parquet(vec![event("late"), early]).unwrap();
    let mut batches = ParquetRecordBatchReader::try_new(bytes::Bytes::from(bytes), 10).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.schema(), schema());
    let ids = batch.column_by_name("event_id").unwrap().as_string::<i32>();
    assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), ["early", "late"]);
    assert_eq!(batch.column_by_name("user_id").unwrap().null_count(), 1);
    assert_eq!(batch.column_by_name("quantity").unwrap().null_count(), 1);
}
