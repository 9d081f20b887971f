//! The laws of rollouts, run against every backend.

use crate::backends::Fresh;
use crate::fault_store::{Fault, FaultStore, Op};
use crate::shop::{model, options, version};
use futures::future::join_all;
use hotshelf_registry::{LogEntry, Proposed, Registry, RolloutDraft, RolloutLog};

fn draft(number: u64, author: &str) -> RolloutDraft {
    RolloutDraft::all_to(version(number), author, "a test")
}

async fn propose(registry: &Registry, log: &RolloutLog, author: &str) -> Proposed {
    registry.propose(log, draft(1, author)).await.unwrap()
}

pub(super) async fn a_rollout_names_its_parent_and_that_ones_stored_bytes(fresh: Fresh) {
    let registry = &fresh.registry;
    let mut log = registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(registry, &log, "ann").await else {
        panic!("lost")
    };
    assert_eq!((first.number.get(), first.parent), (1, None));
    assert_eq!(
        log.poll().await.unwrap(),
        [LogEntry::Rollout(first.clone())]
    );
    let Proposed::Created(second) = propose(registry, &log, "bob").await else {
        panic!("lost")
    };
    assert_eq!(second.parent, Some(first.as_parent()));
    assert_ne!(first.salt, second.salt, "drawn afresh where none was given");
    let log = registry.rollouts(&model()).await.unwrap();
    assert_eq!(log.chain(), [second, first]);
}

pub(super) async fn of_racing_proposers_one_creates_and_all_others_see_it(fresh: Fresh) {
    for round in 1..=5 {
        let log = fresh.registry.rollouts(&model()).await.unwrap();
        let racers = (0..16).map(|racer| {
            let registry = fresh.registry.clone().with_options(options(30));
            let log = log.clone();
            let author = format!("racer {racer}");
            tokio::spawn(async move { registry.propose(&log, draft(1, &author)).await })
        });
        let (mut created, mut lost) = (Vec::new(), Vec::new());
        for outcome in join_all(racers).await {
            match outcome.unwrap().unwrap() {
                Proposed::Created(record) => created.push(record),
                Proposed::Lost(winner) => lost.push(winner),
            }
        }
        assert_eq!((created.len(), lost.len()), (1, 15));
        assert!(lost.iter().all(|winner| *winner == created[0]));
        assert_eq!(created[0].number.get(), round);
    }
}

pub(super) async fn the_chain_never_forks(fresh: Fresh) {
    let writers = (0..4).map(|writer| {
        let registry = fresh.registry.clone().with_options(options(30));
        tokio::spawn(async move {
            let mut log = registry.rollouts(&model()).await.unwrap();
            let mut written = 0;
            while written < 6 {
                log.poll().await.unwrap();
                let outcome = propose(&registry, &log, &format!("writer {writer}")).await;
                written += usize::from(matches!(outcome, Proposed::Created(_)));
            }
        })
    });
    join_all(writers)
        .await
        .into_iter()
        .for_each(|writer| writer.unwrap());
    let log = fresh.registry.rollouts(&model()).await.unwrap();
    assert_eq!(
        log.chain().len(),
        24,
        "every record that was created is in the one chain"
    );
    for pair in log.chain().windows(2) {
        assert_eq!(pair[0].parent, Some(pair[1].as_parent()));
    }
    assert_eq!(log.skipped(), []);
}

pub(super) async fn junk_is_skipped_reported_and_never_reused(fresh: Fresh) {
    let registry = &fresh.registry;
    let log = registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(registry, &log, "ann").await else {
        panic!("lost")
    };
    let mut follower = registry.rollouts(&model()).await.unwrap();
    let before_junk = follower.clone();
    let mut stranger = serde_json::to_value(&first).unwrap();
    stranger["number"] = 3.into();
    stranger["parent"] = serde_json::json!({ "number": 1, "sha256": "00".repeat(32) });
    fresh.put("rollouts/000002.json", "{").await;
    fresh
        .put("rollouts/000003.json", &stranger.to_string())
        .await;
    fresh.put("rollouts/000004.json", r#"{"format": 2}"#).await;
    fresh.put("rollouts/000005.json", &" ".repeat(70_000)).await;
    fresh.put("rollouts/readme.json", "not one of ours").await;

    let whys: Vec<_> = follower
        .poll()
        .await
        .unwrap()
        .into_iter()
        .map(|seen| match seen {
            LogEntry::Skipped { number, why } => (number.get(), why),
            entry => panic!("{entry:?}"),
        })
        .collect();
    let said = [
        "not a record",
        "does not chain",
        "format 2",
        "the limit is 65536",
    ];
    for ((number, why), (at, said)) in whys.iter().zip(said.iter().enumerate()) {
        assert_eq!(*number, at as u64 + 2);
        assert!(why.contains(said), "{why}");
    }
    assert_eq!(follower.head(), Some(&first));

    let next = propose(registry, &before_junk, "bob").await;
    let Proposed::Created(next) = next else {
        panic!("{next:?}")
    };
    assert_eq!(
        next.number.get(),
        6,
        "a proposer that has not seen them passes over them too"
    );
    assert_eq!(next.parent, Some(first.as_parent()));
    let opened = registry.rollouts(&model()).await.unwrap();
    assert_eq!(opened.chain(), [next, first]);
}

pub(super) async fn a_log_follows_without_listing(fresh: Fresh) {
    let store = fresh.store.clone();
    let blind = FaultStore::new(store, |_, op, _| match op {
        Op::List => Fault::Fail,
        _ => Fault::None,
    });
    let mut log = fresh.registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(&fresh.registry, &log, "ann").await else {
        panic!("lost")
    };
    log.poll().await.unwrap();
    let registry = Registry::with_store(blind, fresh.root.clone()).with_options(options(1));
    assert_eq!(
        registry.rollouts(&model()).await.unwrap_err().kind(),
        "unavailable"
    );
    let Proposed::Created(second) = propose(&registry, &log, "bob").await else {
        panic!("lost")
    };
    assert_eq!(
        log.poll().await.unwrap(),
        [LogEntry::Rollout(second.clone())]
    );
    assert_eq!(log.chain(), [second, first]);
    assert_eq!(log.poll().await.unwrap(), []);
}
