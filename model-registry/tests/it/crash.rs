//! Every call of the store fails once, or all of them from one on: for each k.

use crate::fault_store::{Fault, FaultStore};
use crate::shop::{
    assert_parts_of, authors_of_complete_versions, load, model, new_version, over, version,
};
use hotshelf_registry::{CacheDir, Proposed, RolloutDraft};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::sync::Arc;

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// Calls that a whole publish makes, the proof of create-only included.
async fn calls_of_a_publish() -> usize {
    let counted = FaultStore::new(memory(), |_, _, _| Fault::None);
    over(counted.clone(), 1)
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    counted.calls()
}

#[tokio::test(start_paused = true)]
async fn one_failing_call_of_publish_is_made_again() {
    for k in 0..calls_of_a_publish().await {
        for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Stall] {
            let store = memory();
            let faulty =
                FaultStore::new(
                    store.clone(),
                    move |call, _, _| {
                        if call == k { fault } else { Fault::None }
                    },
                );
            let published = over(faulty, 2).publish(&model(), new_version("ann")).await;
            let published =
                published.unwrap_or_else(|error| panic!("call {k}, {fault:?}: {error}"));
            let authors = authors_of_complete_versions(&over(store, 1)).await;
            // A lost answer is recognised by its nonce: no second version appears.
            let only = [(published.version.get(), "ann".to_owned())].into();
            assert_eq!(authors, only, "call {k}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn publish_stopped_at_any_call_leaves_a_registry_that_goes_on() {
    for k in 0..calls_of_a_publish().await {
        let store = memory();
        let healthy = over(store.clone(), 1);
        let mut complete = 0;
        // Twice, so that the second is stopped over what the first left.
        for author in ["ann", "bob"] {
            let stopped = FaultStore::new(store.clone(), move |call, _, _| {
                if call >= k { Fault::Fail } else { Fault::None }
            });
            let error = over(stopped, 2)
                .publish(&model(), new_version(author))
                .await;
            assert!(error.is_err_and(|error| error.is_retryable()), "call {k}");
            complete = authors_of_complete_versions(&healthy).await.len();
        }
        let next = healthy.publish(&model(), new_version("cid")).await.unwrap();
        assert_eq!(next.version, version(complete as u64 + 1), "call {k}");
        assert_eq!(
            authors_of_complete_versions(&healthy).await.len(),
            complete + 1
        );
        assert_eq!(healthy.newest(&model()).await.unwrap(), Some(next.version));
    }
}

#[tokio::test(start_paused = true)]
async fn one_failing_call_of_fetch_is_made_again() {
    let store = memory();
    let manifest = over(store.clone(), 1)
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let counted = FaultStore::new(store.clone(), |_, _, _| Fault::None);
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    load(&over(counted.clone(), 1), &manifest, &cache)
        .await
        .unwrap();
    assert!(
        counted.calls() >= 11,
        "ten ranges and one: {}",
        counted.calls()
    );
    for k in 0..counted.calls() {
        for fault in [
            Fault::Fail,
            Fault::LoseAnswer,
            Fault::Stall,
            Fault::Truncate,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let cache = CacheDir::open(folder.path()).unwrap();
            let faulty =
                FaultStore::new(
                    store.clone(),
                    move |call, _, _| {
                        if call == k { fault } else { Fault::None }
                    },
                );
            let parts = load(&over(faulty, 2), &manifest, &cache).await;
            let parts = parts.unwrap_or_else(|error| panic!("call {k}, {fault:?}: {error}"));
            assert_parts_of("ann", &parts);
        }
    }
}

#[tokio::test]
async fn fetch_stopped_at_any_call_leaves_a_cache_that_goes_on() {
    let store = memory();
    let healthy = over(store.clone(), 1);
    let manifest = healthy.publish(&model(), new_version("ann")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for k in 0..11 {
        let cache = CacheDir::open(folder.path().join(k.to_string())).unwrap();
        let stopped = FaultStore::new(store.clone(), move |call, _, _| {
            if call >= k { Fault::Fail } else { Fault::None }
        });
        let error = over(stopped, 2).fetch(&manifest, &cache).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "call {k}");
        let parts = load(&healthy, &manifest, &CacheDir::open(cache.path()).unwrap())
            .await
            .unwrap();
        assert_parts_of("ann", &parts);
    }
}

#[tokio::test(start_paused = true)]
async fn one_failing_call_of_propose_is_made_again_and_writes_one_record() {
    for k in 0..40 {
        for fault in [Fault::Fail, Fault::LoseAnswer, Fault::Stall] {
            let store = memory();
            let log = over(store.clone(), 1).rollouts(&model()).await.unwrap();
            let faulty =
                FaultStore::new(
                    store.clone(),
                    move |call, _, _| {
                        if call == k { fault } else { Fault::None }
                    },
                );
            let registry = over(faulty, 2);
            let draft = RolloutDraft::all_to(version(1), "ann", "a test");
            let outcome = registry.propose(&log, draft).await.unwrap();
            let Proposed::Created(record) = outcome else {
                panic!("call {k}: {outcome:?}")
            };
            let log = over(store, 1).rollouts(&model()).await.unwrap();
            assert_eq!(log.chain(), [record], "call {k}, {fault:?}");
        }
    }
}
