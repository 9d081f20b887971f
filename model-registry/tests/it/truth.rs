//! One newest rollout for all, whenever they started: whatever becomes of the stored records, a log that follows
//! says what a log says that is opened.

use crate::backends::Fresh;
use crate::fault_store::{Fault, FaultStore, Op};
use crate::shop::{model, options, over, version};
use hotshelf_registry::{
    Clock, LogEntry, Options, Proposed, Ramp, RampStep, Registry, RolloutDraft, RolloutLog,
    RolloutRecord, candidate_and_base,
};
use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// A store with three rollouts, and a log that has read them.
struct Stage {
    store: Arc<dyn ObjectStore>,
    registry: Registry,
    follower: RolloutLog,
    records: Vec<RolloutRecord>,
}

fn path(number: u64) -> Path {
    Path::from(format!("root/shop/rollouts/{number:06}.json"))
}

impl Stage {
    async fn of(count: u64) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let registry = over(store.clone(), 1);
        let mut follower = registry.rollouts(&model()).await.unwrap();
        let mut records = Vec::new();
        for number in 1..=count {
            records.push(decide(&registry, &mut follower, number).await);
        }
        Self {
            store,
            registry,
            follower,
            records,
        }
    }

    async fn put(&self, number: u64, bytes: &str) {
        let bytes = bytes.to_owned();
        self.store.put(&path(number), bytes.into()).await.unwrap();
    }

    async fn bytes(&self, number: u64) -> String {
        let read = self.store.get(&path(number)).await.unwrap();
        String::from_utf8(read.bytes().await.unwrap().to_vec()).unwrap()
    }

    /// The follower's head, which an opened log must share; and what the follower says at the next listing.
    async fn agreed(&mut self) -> (u64, Vec<LogEntry>) {
        let news = next_listing(&mut self.follower).await;
        let opened = self.registry.rollouts(&model()).await.unwrap();
        assert_eq!(opened.head(), self.follower.head());
        assert_eq!(opened.next_number(), self.follower.next_number());
        (head(&opened), news)
    }
}

async fn decide(registry: &Registry, log: &mut RolloutLog, number: u64) -> RolloutRecord {
    let draft = RolloutDraft::all_to(version(number), "ann", "next");
    let Proposed::Created(record) = registry.propose(log, draft).await.unwrap() else {
        panic!("lost")
    };
    log.push(record.clone());
    record
}

/// A log is listed at every fifth poll.
async fn next_listing(log: &mut RolloutLog) -> Vec<LogEntry> {
    let mut news = Vec::new();
    for _ in 0..5 {
        news.extend(log.poll().await.unwrap());
    }
    news
}

fn head(log: &RolloutLog) -> u64 {
    log.head().map_or(0, |head| head.number.get())
}

fn withdrawn(news: &[LogEntry]) -> Vec<(u64, String)> {
    let of = |entry: &LogEntry| match entry {
        LogEntry::Withdrawn { record, why } => Some((record.number.get(), why.clone())),
        LogEntry::Rollout(_) | LogEntry::Skipped { .. } => None,
    };
    news.iter().filter_map(of).collect()
}

fn said(log: &RolloutLog) -> String {
    format!("{:?}", log.skipped())
}

#[tokio::test]
async fn head_that_was_replaced_by_junk_is_withdrawn_by_all_and_said() {
    for junk in ["", "{", "null", r#"{"format": 1}"#, r#"{"format": 2}"#] {
        let mut stage = Stage::of(3).await;
        let original = stage.bytes(3).await;
        stage.put(3, junk).await;
        let (agreed, news) = stage.agreed().await;
        assert_eq!(agreed, 2, "{junk}");
        assert_eq!(withdrawn(&news)[0].0, 3, "{junk}");
        let known = said(&stage.follower);
        assert!(known.contains("withdrawn: rollout 3 (version 3"), "{known}");
        assert!(known.contains("by ann: next"), "{known}");
        // Put back, it counts again, and nobody speaks of it any more.
        stage.put(3, &original).await;
        let (agreed, news) = stage.agreed().await;
        assert_eq!((agreed, withdrawn(&news).len()), (3, 0), "{junk}");
        assert_eq!(stage.follower.skipped(), [], "{junk}");
    }
}

#[tokio::test]
async fn head_that_was_replaced_by_other_valid_bytes_is_that_record_for_all() {
    let mut stage = Stage::of(3).await;
    // The same decision, indented otherwise, is another record: a record that follows it names its digest.
    let same: serde_json::Value = serde_json::from_str(&stage.bytes(3).await).unwrap();
    stage.put(3, &same.to_string()).await;
    let (agreed, news) = stage.agreed().await;
    assert_eq!(agreed, 3);
    let (number, why) = withdrawn(&news).remove(0);
    let before = stage.records[2].sha256.to_string();
    assert!(
        number == 3 && why.ends_with(&format!("and was with {before}")),
        "{why}"
    );
    // Another decision.
    let mut other = same;
    other["arms"][0]["version"] = 9.into();
    stage.put(3, &other.to_string()).await;
    assert_eq!(stage.agreed().await.0, 3);
    let arms = &stage.follower.head().unwrap().arms;
    assert_eq!(arms[0].version, version(9));
    let next = decide(&stage.registry, &mut stage.follower, 4).await;
    assert_eq!(stage.agreed().await.0, 4);
    assert_eq!(stage.follower.head(), Some(&next));
    assert!(
        !said(&stage.follower).contains("withdrawn"),
        "there is a newer decision"
    );
}

#[tokio::test]
async fn deleted_head_is_withdrawn_by_all_and_its_number_is_free() {
    let mut stage = Stage::of(3).await;
    stage.store.delete(&path(3)).await.unwrap();
    let (agreed, news) = stage.agreed().await;
    assert_eq!(agreed, 2);
    let why = "it is no longer in the store".to_owned();
    assert_eq!(withdrawn(&news), [(3, why)]);
    let again = decide(&stage.registry, &mut stage.follower, 7).await;
    assert_eq!((again.number.get(), stage.agreed().await.0), (3, 3));
}

/// A valid record that somebody copied beyond a gap is a decision, until it is removed.
#[tokio::test]
async fn valid_stray_counts_for_all_and_its_removal_heals_all() {
    let mut stage = Stage::of(2).await;
    let mut stray = serde_json::to_value(&stage.records[1]).unwrap();
    stray["number"] = 999.into();
    stray["parent"] = serde_json::to_value(stage.records[1].as_parent()).unwrap();
    stage.put(999, &stray.to_string()).await;
    assert_eq!(stage.agreed().await.0, 999);
    stage.store.delete(&path(999)).await.unwrap();
    assert_eq!(stage.agreed().await.0, 2);
    decide(&stage.registry, &mut stage.follower, 3).await;
    assert_eq!(stage.agreed().await.0, 3);
}

/// The records above an altered one do not chain any more, and do again once it is put back.
#[tokio::test]
async fn altered_ancestor_withdraws_what_descends_from_it_for_all() {
    let mut stage = Stage::of(5).await;
    let original = stage.bytes(3).await;
    for altered in ["junk", original.trim_end()] {
        stage.put(3, altered).await;
        let (agreed, news) = stage.agreed().await;
        let expected = if altered == "junk" { 2 } else { 3 };
        assert_eq!((agreed, withdrawn(&news)[0].0), (expected, 5), "{altered}");
        stage.put(3, &original).await;
        assert_eq!(stage.agreed().await.0, 5, "{altered}");
    }
    stage.store.delete(&path(3)).await.unwrap();
    assert_eq!(stage.agreed().await.0, 2);
    let next = decide(&stage.registry, &mut stage.follower, 6).await;
    assert_eq!(next.number.get(), 3, "the first free number after the head");
    assert_eq!(stage.agreed().await.0, 3);
    assert_eq!(stage.follower.head(), Some(&next));
}

#[tokio::test]
async fn junk_in_place_of_the_only_rollout_leaves_no_head_and_the_next_is_the_first() {
    let mut stage = Stage::of(1).await;
    stage.put(1, "junk").await;
    let (agreed, news) = stage.agreed().await;
    assert_eq!((agreed, withdrawn(&news)[0].0), (0, 1));
    let next = decide(&stage.registry, &mut stage.follower, 2).await;
    assert_eq!((next.number.get(), next.parent), (2, None));
    assert_eq!(stage.agreed().await.0, 2);
}

/// All of 32 records that a log knows are altered: older ones may count.
#[tokio::test]
async fn log_that_knows_nothing_valid_any_more_reads_older_records() {
    let mut stage = Stage::of(40).await;
    for number in 9..=40 {
        stage.put(number, "junk").await;
    }
    assert_eq!(stage.agreed().await.0, 8);
}

/// Absence of everything is no evidence: an unmounted folder, a listing that is empty or cut short.
#[tokio::test]
async fn store_that_shows_nothing_or_less_withdraws_nothing() {
    let stage = Stage::of(3).await;
    let (first, newest) = (stage.bytes(1).await, stage.records[2].clone());
    let mut log = stage.registry.rollouts(&model()).await.unwrap();
    for number in 1..=3 {
        stage.store.delete(&path(number)).await.unwrap();
    }
    assert_eq!(next_listing(&mut log).await, []);
    assert_eq!((log.head(), log.is_hidden()), (Some(&newest), true));
    // Once the store shows a part of what it had, the rest is gone.
    stage.put(1, &first).await;
    assert_eq!(withdrawn(&next_listing(&mut log).await)[0].0, 3);
    assert_eq!((head(&log), log.is_hidden()), (1, false));
}

/// A listing that leaves out the newest records, which can be read.
#[tokio::test]
async fn truncated_listing_withdraws_nothing() {
    let stage = Stage::of(3).await;
    let cut = FaultStore::new(stage.store.clone(), |_, op, _| match op {
        Op::List => Fault::ListFirst,
        _ => Fault::None,
    });
    let mut log = over(cut, 1).rollouts(&model()).await.unwrap();
    assert_eq!(head(&log), 3);
    for _ in 0..3 {
        assert_eq!(withdrawn(&next_listing(&mut log).await), []);
        assert_eq!(head(&log), 3);
    }
}

/// A writer whose clock is behind does not put everybody at the last share: the store dates its record.
#[tokio::test]
async fn ramp_of_a_writer_whose_clock_is_behind_begins_when_the_store_took_it() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let hours = |hours: i64| SignedDuration::from_hours(hours);
    for (off, offset) in [(-48, Some(hours(-48))), (0, None), (2, Some(hours(2)))] {
        let clock = Clock::from_fn(move || Timestamp::now() + hours(off));
        let writer = over(store.clone(), 1).with_options(Options {
            clock,
            ..options(1)
        });
        let step = |share_bp, hold_s| RampStep { share_bp, hold_s };
        let ramp = Ramp::new(vec![step(100, 3_600), step(5_000, 3_600), step(10_000, 0)]);
        let draft = RolloutDraft {
            arms: candidate_and_base(version(2), version(1), 100),
            ramp: Some(ramp),
            salt: None,
            author: "ann".to_owned(),
            reason: "canary".to_owned(),
        };
        let log = writer.rollouts(&model()).await.unwrap();
        let Proposed::Created(created) = writer.propose(&log, draft).await.unwrap() else {
            panic!("lost")
        };
        let reader = over(store.clone(), 1);
        let read = reader.rollouts(&model()).await.unwrap();
        for record in [&created, read.head().unwrap()] {
            assert_eq!(record.first_share_at(Timestamp::now()), 100, "{off}");
            let found = record.clock_offset();
            assert_eq!(found.is_some(), offset.is_some(), "{off}");
            let differ = found
                .zip(offset)
                .map(|(found, offset)| (found - offset).abs());
            assert!(
                differ.unwrap_or_default() < SignedDuration::from_mins(1),
                "{off}"
            );
            // An hour after the store took it the second step is due, by everybody's clock.
            let later = Timestamp::now() + hours(1 + off.max(0));
            assert_eq!(record.first_share_at(later), 5_000, "{off}");
        }
    }
}

#[cfg(unix)]
mod on_disk {
    use super::*;

    fn make_fifo(path: &std::path::Path) {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    #[tokio::test]
    async fn folder_fifo_socket_or_dead_link_in_place_of_the_head_withdraws_it_for_all() {
        for kind in ["folder", "FIFO", "socket", "link"] {
            let fresh = Fresh::disk().await.unwrap();
            let registry = &fresh.registry;
            let mut follower = registry.rollouts(&model()).await.unwrap();
            for number in 1..=2 {
                decide(registry, &mut follower, number).await;
            }
            next_listing(&mut follower).await;
            let folder = fresh.folder.as_ref().unwrap().path();
            let file = folder.join("new/registry/shop/rollouts/000002.json");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            match kind {
                "folder" => std::fs::create_dir(&file).unwrap(),
                "FIFO" => make_fifo(&file),
                "socket" => drop(std::os::unix::net::UnixListener::bind(&file).unwrap()),
                _ => std::os::unix::fs::symlink("nowhere", &file).unwrap(),
            }
            let news = next_listing(&mut follower).await;
            assert_eq!(withdrawn(&news)[0].0, 2, "{kind}");
            let opened = registry.rollouts(&model()).await.unwrap();
            assert_eq!((head(&follower), head(&opened)), (1, 1), "{kind}");
            match kind {
                "folder" => std::fs::remove_dir(&file).unwrap(),
                _ => std::fs::remove_file(&file).unwrap(),
            }
            std::fs::write(&file, bytes).unwrap();
            next_listing(&mut follower).await;
            assert_eq!(
                (head(&follower), follower.skipped()),
                (2, Vec::new()),
                "{kind}"
            );
        }
    }

    /// The name, the size and the times of a file may stay: it is another file all the same.
    #[tokio::test]
    async fn head_that_was_replaced_by_a_file_of_its_size_and_times_is_read_again() {
        let fresh = Fresh::disk().await.unwrap();
        let registry = &fresh.registry;
        let mut follower = registry.rollouts(&model()).await.unwrap();
        decide(registry, &mut follower, 1).await;
        decide(registry, &mut follower, 2).await;
        next_listing(&mut follower).await;
        let folder = fresh.folder.as_ref().unwrap().path();
        let file = folder.join("new/registry/shop/rollouts/000002.json");
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let other = folder.join("other");
        std::fs::write(&other, text.replace("\"ann\"", "\"eve\"")).unwrap();
        let handle = std::fs::File::options().write(true).open(&other).unwrap();
        handle.set_modified(modified).unwrap();
        std::fs::rename(&other, &file).unwrap();
        next_listing(&mut follower).await;
        assert_eq!(follower.head().unwrap().author, "eve");
    }
}
