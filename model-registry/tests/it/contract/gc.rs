//! The laws of removal, run against every backend.

use crate::backends::Fresh;
use crate::gc::{BY, keep, parts, rollouts_of};
use crate::replicas::state;
use crate::shop::{assert_parts_of, load, model, new_version, version};
use hotshelf_registry::{CacheDir, Fate, ReplicaVersion, UPLOAD_ABANDONED_AFTER};
use std::time::Duration;

pub(super) async fn what_nobody_needs_is_removed_and_its_number_stays_spent(fresh: Fresh) {
    let registry = &fresh.registry;
    let authors = ["ann", "bob", "cid", "dan", "eve"];
    for author in authors {
        registry
            .publish(&model(), new_version(author))
            .await
            .unwrap();
    }
    // Rollouts 1 to 3; 4 is used by a replica alone, 5 awaits its turn.
    rollouts_of(registry, &[1, 2, 3]).await;
    let mut user = state("pod-1");
    user.arms.clear();
    user.versions = vec![ReplicaVersion {
        version: version(2),
        ..user.versions[0].clone()
    }];
    registry.write_replica(&user).await.unwrap();
    let rules = keep(1);
    let planned = registry.plan_gc(&model(), &rules).await.unwrap();
    let fates: Vec<_> = planned.versions.iter().map(|v| v.fate.clone()).collect();
    let kept = registry.rollouts(&model()).await.unwrap();
    let named = kept.head().unwrap().number;
    assert_eq!(
        fates,
        [
            Fate::Unneeded,
            Fate::InUse("pod-1".parse().unwrap()),
            Fate::Named(named),
            Fate::NotRolledOut,
            Fate::NotRolledOut,
        ]
    );
    assert_eq!(planned.versions[0].size_bytes, 10_001);
    let before = parts(&fresh).await;
    assert_eq!(before.len(), 5, "a plan touches nothing");

    let done = registry.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!(
        (&done.removed, done.freed_bytes),
        (&vec![version(1)], 10_001)
    );
    let error = registry.manifest(&model(), version(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "version 1 of shop was removed by gus: no longer needed"
    );
    assert_eq!(parts(&fresh).await.len(), 4);
    if let Some(folder) = &fresh.folder {
        let folders = folder.path().join("new/registry/shop/parts");
        assert_eq!(std::fs::read_dir(folders).unwrap().count(), 4);
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path()).unwrap();
    for (number, author) in (1..).zip(authors).skip(1) {
        let manifest = registry.manifest(&model(), version(number)).await.unwrap();
        let parts = load(registry, &manifest, &cache).await.unwrap();
        assert_parts_of(author, &parts);
    }
    let next = registry
        .publish(&model(), new_version("fay"))
        .await
        .unwrap();
    assert_eq!(next.version, version(6));
    let again = registry.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!((again.removed, again.freed_bytes), (vec![], 0));
}

pub(super) async fn an_upload_that_nothing_names_goes_once_it_is_old(fresh: Fresh) {
    let registry = &fresh.registry;
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let abandoned = "0f".repeat(16);
    for part in ["als.safetensors", "users.arrow"] {
        fresh
            .put(&format!("parts/{abandoned}/{part}"), "12345")
            .await;
    }
    fresh
        .put("parts/no-upload/als.safetensors", "not ours")
        .await;
    let mut rules = keep(1);
    rules.upload_age = UPLOAD_ABANDONED_AFTER;
    let done = registry.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!(done.freed_bytes, 0);
    assert_eq!(done.plan.uploads.len(), 1);
    assert!(!done.plan.uploads[0].is_removed, "somebody may be at work");

    rules.upload_age = Duration::ZERO;
    // A record that cannot be read may name it.
    fresh
        .put("versions/000002.json", r#"{ "format": 9 }"#)
        .await;
    let done = registry.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!(done.freed_bytes, 0);
    fresh
        .put(
            "versions/000002.json",
            r#"{ "format": 1, "model": "shop", "version": 2,
                "removed": { "at": "2026-01-01T00:00:00Z", "by": "ann", "why": "junk" } }"#,
        )
        .await;
    let done = registry.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!(done.freed_bytes, 10);
    assert_eq!(done.plan.uploads[0].upload, abandoned.parse().unwrap());
    let left = parts(&fresh).await;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains("no-upload"), "{left:?}");
}
