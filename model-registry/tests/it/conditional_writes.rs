//! The self-test: a store that does not honour conditional writes is found out, and reading goes on.

use crate::backends::Fresh;
use crate::fault_store::{Fault, FaultStore, Op};
use crate::faulty_s3::{Fault as S3Fault, FaultyS3};
use crate::s3_map::Careless;
use crate::shop::{model, new_version, over};
use hotshelf_registry::{Error, Options, Registry, RolloutDraft};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::Duration;

/// A store with one version and one rollout in it.
async fn used_store() -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let manifest = registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let log = registry.rollouts(&model()).await.unwrap();
    let draft = RolloutDraft::all_to(manifest.version, "ann", "first");
    registry.propose(&log, draft).await.unwrap();
    store
}

/// Every write is refused with `kind` and words that say `said`; reading goes on.
async fn assert_only_reads(registry: &Registry, kind: &str, said: &str) {
    let log = registry.rollouts(&model()).await.unwrap();
    let newest = registry.newest(&model()).await.unwrap().unwrap();
    assert_eq!(
        registry.manifest(&model(), newest).await.unwrap().author,
        "ann"
    );
    let published = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap_err();
    let draft = RolloutDraft::all_to(newest, "bob", "mine");
    let proposed = registry.propose(&log, draft).await.unwrap_err();
    for error in [published, proposed] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(registry.versions(&model()).await.unwrap().len(), 1);
    assert_eq!(registry.rollouts(&model()).await.unwrap().chain().len(), 1);
}

#[tokio::test]
async fn store_that_ignores_create_only_is_never_written_to() {
    let store = FaultStore::new(used_store().await, |_, op, _| match op {
        Op::Put => Fault::IgnoreCreate,
        _ => Fault::None,
    });
    assert_only_reads(&over(store, 3), "no_create_only", "was created again").await;
}

#[tokio::test]
async fn store_that_checks_and_then_writes_is_never_written_to() {
    let store = FaultStore::new(used_store().await, |_, op, _| match op {
        Op::Put => Fault::CheckThenWrite,
        _ => Fault::None,
    });
    assert_only_reads(
        &over(store, 3),
        "no_create_only",
        "creates of one object won",
    )
    .await;
}

#[tokio::test]
async fn read_only_credentials_only_read() {
    let store = FaultStore::new(used_store().await, |_, op, _| match op {
        Op::Put | Op::Upload | Op::Delete => Fault::Deny,
        _ => Fault::None,
    });
    assert_only_reads(
        &over(store, 3),
        "read_only",
        "the registry is read-only here",
    )
    .await;
}

#[tokio::test]
async fn store_that_cannot_be_reached_is_tested_again() {
    let store = FaultStore::new(used_store().await, |call, _, _| match call {
        0 => Fault::Fail,
        _ => Fault::None,
    });
    let registry = over(store, 1);
    let error = registry.verify_conditional_writes().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    registry.verify_conditional_writes().await.unwrap();
}

#[tokio::test]
async fn write_probe_runs_once_and_leaves_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let counted = FaultStore::new(store.clone(), |_, _, _| Fault::None);
    let registry = over(counted.clone(), 1);
    registry.verify_conditional_writes().await.unwrap();
    let calls = counted.calls();
    assert!(calls <= 23, "{calls} calls");
    registry.clone().verify_conditional_writes().await.unwrap();
    assert_eq!(counted.calls(), calls, "clones share it");
    let left = store.list_with_delimiter(None).await.unwrap();
    assert!(left.objects.is_empty() && left.common_prefixes.is_empty());
}

#[tokio::test]
async fn deleting_may_be_forbidden_where_writing_is_not() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let keeping = FaultStore::new(store.clone(), |_, op, _| match op {
        Op::Delete => Fault::Deny,
        _ => Fault::None,
    });
    over(keeping, 1)
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let path = Path::from("root/shop/versions/000001.json");
    assert!(store.head(&path).await.is_ok());
}

/// What the self-test says, tried `times` times, of a server that keeps no condition.
async fn found_out_over_http(careless: Careless, times: usize) -> Vec<Error> {
    let server = FaultyS3::start().await;
    server.plan(move |_, _| S3Fault::Careless(careless));
    let mut errors = Vec::new();
    for _ in 0..times {
        let registry = Fresh::in_bucket(&server.endpoint(), "careless").registry;
        let registry = registry.with_options(Options::default());
        errors.extend(registry.verify_conditional_writes().await.err());
    }
    assert!(
        errors.iter().all(|error| error.kind() == "no_create_only"),
        "{errors:?}"
    );
    errors
}

#[tokio::test]
async fn server_that_ignores_the_condition_is_detected_over_http() {
    assert_eq!(found_out_over_http(Careless::Ignores, 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[allow(clippy::print_stdout, reason = "figures, shown with --nocapture")]
async fn server_that_checks_and_then_writes_is_detected_over_http() {
    const TIMES: usize = 10;
    for window in [0, 100].map(Duration::from_micros) {
        let found = found_out_over_http(Careless::ChecksFirst(window), TIMES).await;
        println!("window {window:?}: {} of {TIMES} found out", found.len());
        if !window.is_zero() {
            assert_eq!(found.len(), TIMES);
        }
    }
}
