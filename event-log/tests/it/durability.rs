//! What is acknowledged is on disk, once.

use super::{NOON, close, event, events, limits, open};
use hotshelf_event_log::{Error, EventLog, Folder, Limits, segment};
use std::path::Path;

/// All ids in a folder's segments, in order.
fn ids(folder: &Path) -> Vec<String> {
    let segments = Folder::new(folder).segments().unwrap();
    let read = segments
        .iter()
        .map(|file| segment::read(&file.path).unwrap().0);
    read.flatten().map(|event| event.event_id).collect()
}

#[tokio::test]
async fn acknowledged_events_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.append(events(0, 3)).await.unwrap();
    log.append(events(3, 2)).await.unwrap();
    close(log).await;
    assert_eq!(ids(folder.path()), ["e0", "e1", "e2", "e3", "e4"]);
}

#[tokio::test]
async fn event_id_counts_once_within_a_batch_across_batches_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let twice = vec![event("a"), event("b"), event("a")];
    assert_eq!(log.append(twice).await.unwrap().duplicates, [2]);
    assert_eq!(log.append(vec![event("b")]).await.unwrap().duplicates, [0]);
    close(log).await;
    let log = open(folder.path());
    let known = log.append(vec![event("c"), event("a")]).await.unwrap();
    assert_eq!(known.duplicates, [1]);
    close(log).await;
    assert_eq!(ids(folder.path()), ["a", "b", "c"]);
}

#[tokio::test]
async fn segment_cut_at_any_byte_keeps_every_whole_block() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let file = folder.path().join("000000000001.open");
    let mut ends = Vec::new();
    for n in 0..4 {
        log.append(events(10 * n, 10)).await.unwrap();
        ends.push(std::fs::metadata(&file).unwrap().len());
    }
    let whole = std::fs::read(&file).unwrap();
    // A prime step, so that every offset within a block comes up.
    for length in (0..=whole.len())
        .step_by(37)
        .chain(ends.iter().map(|end| *end as usize))
    {
        let cut = tempfile::tempdir().unwrap();
        std::fs::write(cut.path().join("000000000001.open"), &whole[..length]).unwrap();
        let (log, opened) = EventLog::open(cut.path(), limits()).unwrap();
        let kept = ends.iter().filter(|end| **end <= length as u64).count();
        assert_eq!(opened.events as usize, 10 * kept, "{length} bytes");
        let sound = ends[..kept].last().copied().unwrap_or(8.min(length as u64));
        let sound = if length < 8 { 0 } else { sound };
        assert_eq!(opened.torn_bytes, length as u64 - sound, "{length} bytes");
        assert_eq!(ids(cut.path()).len(), 10 * kept);
        // What was cut was never acknowledged: it is sent again, and is new.
        let again = log.append(events(10 * kept, 1)).await.unwrap();
        assert!(again.duplicates.is_empty());
    }
}

#[tokio::test]
async fn flipped_byte_is_detected_and_no_event_is_invented() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.append(events(0, 2)).await.unwrap();
    let file = folder.path().join("000000000001.open");
    let whole = std::fs::read(&file).unwrap();
    let sound = segment::read(&file).unwrap().0;
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        let copy = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(copy.path(), &flipped).unwrap();
        match segment::read(copy.path()) {
            Ok((events, scanned)) => {
                assert!(scanned.torn_bytes > 0, "byte {at}");
                assert!(sound.starts_with(&events), "byte {at}");
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "byte {at}: {error}"),
        }
    }
}

#[tokio::test]
async fn full_disk_limit_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = Limits {
        disk_bytes: 1_000,
        ..limits()
    };
    let (log, _) = EventLog::open(folder.path(), small).unwrap();
    let mut accepted = 0;
    let refused = loop {
        match log.append(events(accepted, 1)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, Error::Full { limit: 1_000, .. }),
        "{refused}"
    );
    assert!(accepted > 5);
    assert_eq!(ids(folder.path()).len(), accepted);
    // The refused event is no duplicate later.
    close(log).await;
    let log = open(folder.path());
    let again = log.append(events(accepted, 1)).await.unwrap();
    assert!(again.duplicates.is_empty());
}

#[tokio::test]
async fn batch_over_the_block_limit_is_refused_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut huge = event("huge");
    huge.product_id = "x".repeat(5 << 20);
    let refused = log.append(vec![huge]).await.unwrap_err();
    assert!(
        refused.to_string().contains("the limit is 4194304"),
        "{refused}"
    );
    log.append(events(0, 1)).await.unwrap();
    assert_eq!(ids(folder.path()), ["e0"]);
}

#[tokio::test]
async fn second_process_is_refused_by_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _log = open(folder.path());
    let refused = EventLog::open(folder.path(), limits()).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains(&folder.path().display().to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn segment_holds_one_day_of_acceptance() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut tomorrow = event("tomorrow");
    tomorrow.accepted_at = NOON + 86_400_000_000;
    log.append(events(0, 1)).await.unwrap();
    log.append(vec![tomorrow]).await.unwrap();
    let segments = Folder::new(folder.path()).segments().unwrap();
    let sealed: Vec<_> = segments.iter().map(|file| file.is_sealed).collect();
    assert_eq!(sealed, [true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_batches_are_all_acknowledged_and_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let batches = (0..200).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { log.append(events(5 * n, 5)).await.unwrap() })
    });
    for batch in batches.collect::<Vec<_>>() {
        assert!(batch.await.unwrap().duplicates.is_empty());
    }
    let mut ids = ids(folder.path());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1_000);
}
