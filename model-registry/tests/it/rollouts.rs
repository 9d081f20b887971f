//! The rollout log beyond the contract: depth, broken forebears, what is read how often.

use crate::fault_store::{Fault, FaultStore};
use crate::shop::{model, options, over, version};
use hotshelf_registry::{
    Clock, End, LogEntry, Options, Proposed, Registry, RolloutDraft, RolloutRecord,
};
use jiff::Timestamp;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

async fn propose_many(registry: &Registry, count: u64) -> Vec<RolloutRecord> {
    let mut log = registry.rollouts(&model()).await.unwrap();
    let mut records = Vec::new();
    for number in 1..=count {
        let draft = RolloutDraft::all_to(version(number), "ann", "next");
        match registry.propose(&log, draft).await.unwrap() {
            Proposed::Created(record) => records.push(record),
            Proposed::Lost(winner) => panic!("{winner:?}"),
        }
        log.poll().await.unwrap();
    }
    records
}

fn path(number: u64) -> Path {
    Path::from(format!("root/shop/rollouts/{number:06}.json"))
}

#[tokio::test]
async fn long_chain_is_verified_to_a_bounded_depth() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let records = propose_many(&over(store.clone(), 1), 100).await;
    // Old records may be cleared away.
    for number in 1..=60 {
        store.delete(&path(number)).await.unwrap();
    }
    let counted = FaultStore::new(store, |_, _, _| Fault::None);
    let log = over(counted.clone(), 1).rollouts(&model()).await.unwrap();
    assert_eq!(log.chain().len(), 32);
    assert_eq!(log.head(), records.last());
    assert!(counted.calls() <= 32 + 2, "{} calls", counted.calls());
}

#[tokio::test]
async fn history_goes_back_to_the_first_rollout_to_a_limit_or_to_what_is_broken() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let none = registry.history(&model(), 10).await.unwrap();
    assert_eq!((none.records.len(), none.end), (0, End::First));
    let mut records = propose_many(&registry, 50).await;
    records.reverse();
    let all = registry.history(&model(), 100).await.unwrap();
    assert_eq!((&all.records, &all.end), (&records, &End::First));
    let some = registry.history(&model(), 40).await.unwrap();
    assert_eq!(
        (some.records.as_slice(), some.end),
        (&records[..40], End::Limit)
    );
    store.delete(&path(5)).await.unwrap();
    let broken = registry.history(&model(), 100).await.unwrap();
    assert_eq!(broken.records, records[..45]);
    let why = "its ancestor 5 does not exist".to_owned();
    assert_eq!(broken.end, End::Broken(why));
}

#[tokio::test]
async fn what_was_desired_at_a_time_is_the_newest_record_written_by_then() {
    let seconds = Arc::new(AtomicI64::new(100));
    let now = Arc::clone(&seconds);
    let clock = Clock::from_fn(move || {
        Timestamp::from_second(now.fetch_add(10, Ordering::Relaxed)).unwrap()
    });
    let options = Options {
        clock,
        ..options(1)
    };
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store, 1).with_options(options);
    propose_many(&registry, 3).await;
    let history = registry.history(&model(), 10).await.unwrap();
    let at = |second| {
        let time = Timestamp::from_second(second).unwrap();
        history.desired_at(time).map(|record| record.number.get())
    };
    assert_eq!(
        [99, 100, 109, 110, 119, 120, 1_000].map(at),
        [None, Some(1), Some(1), Some(2), Some(2), Some(3), Some(3)]
    );
}

#[tokio::test]
async fn record_with_an_altered_ancestor_does_not_win() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let records = propose_many(&registry, 4).await;
    let mut altered = serde_json::to_value(&records[1]).unwrap();
    altered["author"] = "mallory".into();
    store
        .put(&path(2), altered.to_string().into())
        .await
        .unwrap();
    let log = registry.rollouts(&model()).await.unwrap();
    // The altered record chains itself: a writer who can overwrite it could have written it.
    assert_eq!(log.head().unwrap().number.get(), 2);
    let whys: Vec<_> = log
        .skipped()
        .iter()
        .map(|seen| match seen {
            LogEntry::Skipped { number, why } => (number.get(), why.clone()),
            entry => panic!("{entry:?}"),
        })
        .collect();
    assert_eq!(
        whys.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [4, 3]
    );
    assert!(
        whys[0]
            .1
            .contains("rollout 4 of shop does not chain: its ancestor 2"),
        "{}",
        whys[0].1
    );
    let draft = RolloutDraft::all_to(version(9), "ann", "mend");
    let Proposed::Created(refetched) = registry.propose(&log, draft).await.unwrap() else {
        panic!("lost")
    };
    assert_eq!(refetched.number.get(), 5, "spent numbers stay spent");
    assert_eq!(refetched.parent, Some(log.head().unwrap().as_parent()));
}

#[tokio::test]
async fn poll_without_news_costs_one_call() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    propose_many(&over(store.clone(), 1), 3).await;
    let counted = FaultStore::new(store.clone(), |_, _, _| Fault::None);
    let mut log = over(counted.clone(), 1).rollouts(&model()).await.unwrap();
    let calls = counted.calls();
    assert_eq!(log.poll().await.unwrap(), []);
    assert_eq!(counted.calls() - calls, 1);
    let draft = RolloutDraft::all_to(version(9), "ann", "news");
    over(store, 1).propose(&log, draft).await.unwrap();
    let calls = counted.calls();
    assert_eq!(log.poll().await.unwrap().len(), 1);
    assert_eq!(
        counted.calls() - calls,
        2,
        "the record, and that there is no other"
    );
}

#[tokio::test]
async fn records_read_before_a_failure_are_returned() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let empty = over(store.clone(), 1);
    let from = empty.rollouts(&model()).await.unwrap();
    let failing = FaultStore::new(store.clone(), |call, _, _| match call {
        // The listing and the first look; then records 1 and 2; then nothing any more.
        0..4 => Fault::None,
        4 => Fault::Fail,
        _ => Fault::None,
    });
    let mut log = over(failing, 1).rollouts(&model()).await.unwrap();
    let draft = RolloutDraft::all_to(version(1), "ann", "news");
    empty.propose(&from, draft).await.unwrap();
    propose_more(&empty, 2).await;
    assert_eq!(log.poll().await.unwrap().len(), 2);
    assert_eq!(
        log.poll().await.unwrap().len(),
        1,
        "and the rest with the next call"
    );
    assert_eq!(log.head().unwrap().number.get(), 3);
}

async fn propose_more(registry: &Registry, count: u64) {
    let mut log = registry.rollouts(&model()).await.unwrap();
    for number in 1..=count {
        let draft = RolloutDraft::all_to(version(number), "ann", "more");
        registry.propose(&log, draft).await.unwrap();
        log.poll().await.unwrap();
    }
}

#[tokio::test]
async fn draft_over_its_limits_writes_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let log = registry.rollouts(&model()).await.unwrap();
    let error = registry
        .propose(&log, RolloutDraft::all_to(version(1), "", "why"))
        .await;
    assert_eq!(error.unwrap_err().kind(), "invalid");
    let left = store.list_with_delimiter(None).await.unwrap();
    assert!(left.common_prefixes.is_empty());
}
