//! What a store says wrongly while reading: nothing, half of it, something else.

use crate::fault_store::{Fault, FaultStore, Op};
use crate::shop::{load, load_mending, model, new_version, over, version};
use hotshelf_registry::{CacheDir, Registry, RolloutDraft};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// A store with `count` versions and as many rollouts.
async fn used_store(count: u64) -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let mut log = registry.rollouts(&model()).await.unwrap();
    for number in 1..=count {
        registry
            .publish(&model(), new_version(&format!("v{number}")))
            .await
            .unwrap();
        let draft = RolloutDraft::all_to(version(number), "ann", "next");
        registry.propose(&log, draft).await.unwrap();
        log.poll().await.unwrap();
    }
    store
}

fn told(store: &Arc<dyn ObjectStore>, op: Op, fault: Fault) -> Registry {
    let told = FaultStore::new(store.clone(), move |_, asked, _| {
        if *asked == op { fault } else { Fault::None }
    });
    over(told, 2)
}

#[tokio::test]
async fn empty_listing_misleads_no_reader() {
    for count in [1, 2, 3, 7, 40] {
        let store = used_store(count).await;
        let misled = told(&store, Op::List, Fault::ListNothing);
        let log = misled.rollouts(&model()).await.unwrap();
        assert_eq!(
            log.head().unwrap().number.get(),
            count,
            "not an older one, not none"
        );
        assert_eq!(misled.newest(&model()).await.unwrap(), Some(version(count)));
        let published = misled.publish(&model(), new_version("ann")).await.unwrap();
        assert_eq!(published.version, version(count + 1));
    }
}

#[tokio::test]
async fn failed_listing_is_an_error_and_no_empty_log() {
    let store = used_store(2).await;
    let failing = told(&store, Op::List, Fault::Fail);
    assert!(failing.rollouts(&model()).await.unwrap_err().is_retryable());
    assert!(failing.newest(&model()).await.unwrap_err().is_retryable());
    assert!(failing.versions(&model()).await.unwrap_err().is_retryable());
    assert!(failing.publish(&model(), new_version("ann")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn log_keeps_its_head_whatever_the_store_does() {
    let store = used_store(3).await;
    let is_down = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let down = is_down.clone();
    let flaky = FaultStore::new(store.clone(), move |call, _, _| {
        match (down.load(std::sync::atomic::Ordering::SeqCst), call % 2) {
            (false, _) => Fault::None,
            (true, 0) => Fault::Fail,
            (true, _) => Fault::Stall,
        }
    });
    let mut log = over(flaky, 2).rollouts(&model()).await.unwrap();
    is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(log.poll().await.unwrap_err().is_retryable());
    assert_eq!(log.head().unwrap().number.get(), 3);
    is_down.store(false, std::sync::atomic::Ordering::SeqCst);
    // Everything is gone: the absence of records is no order either.
    for number in 1..=3 {
        store
            .delete(&Path::from(format!(
                "root/shop/rollouts/00000{number}.json"
            )))
            .await
            .unwrap();
    }
    assert_eq!(log.poll().await.unwrap(), []);
    assert_eq!(log.head().unwrap().number.get(), 3);
}

#[tokio::test]
async fn wrong_bytes_are_refused_naming_part_expected_and_found() {
    let store = used_store(1).await;
    let manifest = over(store.clone(), 1)
        .manifest(&model(), version(1))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    let lying = told(&store, Op::Get(Some(4_096)), Fault::Flip);
    let error = load_mending(&lying, &manifest, &cache).await.unwrap_err();
    assert_eq!(error.kind(), "corrupt");
    assert!(!error.is_retryable(), "the store has it so");
    let said = error.to_string();
    let expected = manifest.parts[0].sha256.to_string();
    assert!(
        said.contains("part als.safetensors of version 1 of shop"),
        "{said}"
    );
    assert!(
        said.contains(&format!("expected sha256 {expected}, found ")),
        "{said}"
    );
    // The damaged file is gone: the same cache loads it from a store that does not lie.
    load(&over(store, 1), &manifest, &cache).await.unwrap();
}

#[tokio::test]
async fn missing_and_truncated_parts_are_refused_by_name() {
    let store = used_store(1).await;
    let registry = over(store.clone(), 1);
    let manifest = registry.manifest(&model(), version(1)).await.unwrap();
    let part = |name: &str| Path::from(format!("root/shop/parts/{}/{name}", manifest.upload));
    for (name, expected) in [("als.safetensors", 10_000), ("users.arrow", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(folder.path()).unwrap();
        let whole = store.get(&part(name)).await.unwrap().bytes().await.unwrap();
        for found in [expected / 2, 2 * expected] {
            let bytes = whole
                .iter()
                .copied()
                .cycle()
                .take(found)
                .collect::<bytes::Bytes>();
            store.put(&part(name), bytes.into()).await.unwrap();
            let error = registry.fetch(&manifest, &cache).await.unwrap_err();
            assert_eq!(error.kind(), "corrupt", "{error}");
            let said = format!(
                "{name} of version 1 of shop is corrupt: expected {expected} bytes, the store has {found}"
            );
            assert!(error.to_string().contains(&said), "{error}");
        }
        store.delete(&part(name)).await.unwrap();
        let error = registry
            .fetch(&manifest, &cache)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!(
                "{name} of version 1 of shop is corrupt: it is missing"
            )),
            "{error}"
        );
        store.put(&part(name), whole.into()).await.unwrap();
    }
}
