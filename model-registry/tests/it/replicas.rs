//! Replicas' files where only some stores can tell: by whose clock they age, and what a failing store does.

use crate::fault_store::{Fault, FaultStore, Op};
use crate::shop::{model, new_version, options, over, version};
use hotshelf_registry::{
    Arm, Clock, Options, REPLICA_GONE_AFTER, Registry, ReplicaState, ReplicaVersion, Reported,
    S3Options,
};
use object_store::memory::InMemory;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3_600);

/// Of a replica that serves version 1 of the tests' model.
pub(crate) fn state(replica: &str) -> ReplicaState {
    let at = "2026-11-24T02:00:00Z".to_owned();
    ReplicaState {
        format: 1,
        model: model(),
        replica: replica.parse().unwrap(),
        address: "127.0.0.1:50051".to_owned(),
        build: "0.1.0".to_owned(),
        started_at: at.clone(),
        written_at: at.clone(),
        is_stopped: false,
        instance: None,
        is_name_conflict: false,
        observed: None,
        live: None,
        arms: vec![Arm {
            name: "main".to_owned(),
            version: version(1),
            share_bp: 10_000,
            manifest_sha256: None,
        }],
        versions: vec![ReplicaVersion {
            version: version(1),
            state: "live".to_owned(),
            since: at,
            reason: String::new(),
        }],
        degraded: String::new(),
        registry_trouble: String::new(),
    }
}

/// What all replicas tell; every file has to be readable.
pub(crate) async fn states(registry: &Registry) -> Vec<ReplicaState> {
    let seen = registry.replicas(&model()).await.unwrap();
    let told = seen.into_iter().map(|seen| match seen.reported {
        Reported::State(state) => *state,
        other => panic!("{}: {other:?}", seen.replica),
    });
    told.collect()
}

/// The same store by a clock that is wrong by this much; negative = behind.
fn with_clock(registry: &Registry, wrong_hours: i64) -> Registry {
    let clock = Clock::from_fn(move || {
        jiff::Timestamp::now() + jiff::SignedDuration::from_hours(wrong_hours)
    });
    let options = Options {
        clock,
        ..options(1)
    };
    registry.clone().with_options(options)
}

async fn ages(registry: &Registry) -> Vec<Duration> {
    let seen = registry.replicas(&model()).await.unwrap();
    seen.into_iter().map(|seen| seen.age).collect()
}

/// A registry on disk with one version, whose files' times a test can set.
async fn on_disk(folder: &Path) -> Registry {
    let url = format!("file://{}/registry", folder.display());
    let registry = Registry::open(&url, &S3Options::default()).unwrap();
    let registry = registry.with_options(options(1));
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    registry
}

fn set_age(folder: &Path, replica: &str, age: Duration) {
    let path = folder.join(format!("registry/shop/replicas/{replica}.json"));
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[tokio::test]
async fn wrong_clock_ages_no_replica_once_it_has_written() {
    let store = Arc::new(InMemory::new());
    let right = over(store, 1);
    right.publish(&model(), new_version("ann")).await.unwrap();
    let (ahead, behind) = (with_clock(&right, 2), with_clock(&right, -2));
    ahead.write_replica(&state("ahead")).await.unwrap();
    right.write_replica(&state("right")).await.unwrap();
    behind.write_replica(&state("behind")).await.unwrap();
    for registry in [&ahead, &right, &behind] {
        assert!(ages(registry).await.iter().all(|age| *age < HOUR));
    }
    // Who has written nothing can be told by nobody that its clock is ahead.
    let reader = with_clock(&right, 2);
    assert!(ages(&reader).await.iter().all(|age| *age > HOUR));
    let reader = with_clock(&right, -2);
    assert!(ages(&reader).await.iter().all(|age| *age < HOUR));
}

#[tokio::test]
async fn age_is_by_the_stores_clock_and_files_over_a_day_old_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let registry = on_disk(folder.path()).await;
    for replica in ["gone", "lost", "young"] {
        // Whatever a replica's own clock says, by years.
        let registry = with_clock(&registry, -24 * 365);
        registry.write_replica(&state(replica)).await.unwrap();
    }
    set_age(folder.path(), "lost", HOUR * 3 / 2);
    set_age(folder.path(), "gone", REPLICA_GONE_AFTER + HOUR);
    std::fs::write(
        folder.path().join("registry/shop/replicas/gone.json"),
        "nobody looks",
    )
    .unwrap();
    set_age(folder.path(), "gone", REPLICA_GONE_AFTER + HOUR);
    let seen = registry.replicas(&model()).await.unwrap();
    let [gone, lost, young] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(gone.reported, Reported::Gone);
    assert!(lost.age >= HOUR && lost.age < 2 * HOUR, "{lost:?}");
    assert!(young.age < HOUR / 2, "{young:?}");
    assert!(matches!(lost.reported, Reported::State(_)));
    // A reader that is behind the store does not make the old young.
    let behind = ages(&with_clock(&registry, -2)).await;
    assert!(behind[1] >= HOUR && behind[2] < HOUR / 2, "{behind:?}");
}

#[tokio::test]
async fn replica_writes_nothing_into_a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    let registry = on_disk(folder.path()).await;
    registry.write_replica(&state("pod-1")).await.unwrap();
    let (here, away) = (folder.path().join("registry"), folder.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let refused = registry.write_replica(&state("pod-1")).await.unwrap_err();
    assert_eq!(refused.kind(), "not_found", "{refused}");
    assert!(!here.exists(), "a look makes nothing");
    std::fs::rename(&away, &here).unwrap();
    registry.write_replica(&state("pod-1")).await.unwrap();
}

#[tokio::test]
async fn store_that_fails_or_refuses_is_an_error_and_never_an_empty_fleet() {
    let store = Arc::new(InMemory::new());
    let healthy = over(store.clone(), 1);
    healthy.publish(&model(), new_version("ann")).await.unwrap();
    healthy.write_replica(&state("pod-1")).await.unwrap();
    for op in [Op::List, Op::Get(None)] {
        let failing = FaultStore::new(store.clone(), move |_, asked, _| {
            if *asked == op {
                Fault::Fail
            } else {
                Fault::None
            }
        });
        let error = over(failing, 2).replicas(&model()).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable");
    }
    let denying = FaultStore::new(store, |_, asked, _| match asked {
        Op::Put => Fault::Deny,
        _ => Fault::None,
    });
    let error = over(denying, 2).write_replica(&state("pod-2")).await;
    assert_eq!(error.unwrap_err().kind(), "read_only");
    assert_eq!(states(&healthy).await.len(), 1);
}
