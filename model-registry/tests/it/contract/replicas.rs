//! The laws of replicas' files, run against every backend.

use crate::backends::Fresh;
use crate::replicas::{state, states};
use crate::shop::{model, new_version, options};
use hotshelf_registry::{REPLICA_GONE_AFTER, Reported};

pub(super) async fn a_replica_overwrites_its_own_file_and_no_other(fresh: Fresh) {
    let registry = &fresh.registry;
    assert_eq!(registry.replicas(&model()).await.unwrap(), []);
    // Where there is no model, a replica leaves no trace of itself.
    let refused = registry.write_replica(&state("pod-1")).await.unwrap_err();
    assert_eq!(refused.kind(), "not_found", "{refused}");
    assert_eq!(registry.models().await.unwrap(), []);
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    for (replica, note) in [("pod-2", "first"), ("pod-1", "other"), ("pod-2", "second")] {
        let mut state = state(replica);
        state.degraded = note.to_owned();
        registry.write_replica(&state).await.unwrap();
    }
    // Another process reads the same.
    let reader = registry.clone().with_options(options(30));
    for registry in [registry, &reader] {
        let told = states(registry).await;
        let told: Vec<_> = told
            .iter()
            .map(|state| (state.replica.as_str(), state.degraded.as_str()))
            .collect();
        assert_eq!(told, [("pod-1", "other"), ("pod-2", "second")]);
        let seen = registry.replicas(&model()).await.unwrap();
        assert!(seen.iter().all(|seen| seen.age < REPLICA_GONE_AFTER));
    }
}

pub(super) async fn a_replica_that_cannot_be_read_is_an_entry(fresh: Fresh) {
    let registry = &fresh.registry;
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    registry.write_replica(&state("pod-5")).await.unwrap();
    let other = serde_json::to_string(&states(registry).await[0]).unwrap();
    fresh.put("replicas/pod-1.json", "{").await;
    fresh.put("replicas/pod-2.json", r#"{ "format": 9 }"#).await;
    fresh
        .put("replicas/pod-3.json", &" ".repeat(256 * 1_024 + 1))
        .await;
    // Another's words under a name that is not theirs.
    fresh.put("replicas/pod-4.json", &other).await;
    fresh.put("replicas/notes.txt", "not one of ours").await;
    fresh.put("replicas/Pod.json", "nor this").await;
    fresh.put("replicas/deeper/pod-6.json", "nor this").await;
    let seen = registry.replicas(&model()).await.unwrap();
    let kinds: Vec<_> = seen
        .iter()
        .map(|seen| match &seen.reported {
            Reported::State(state) => (seen.replica.as_str(), state.replica.as_str()),
            Reported::Unreadable { kind, .. } => (seen.replica.as_str(), *kind),
            Reported::Gone => (seen.replica.as_str(), "gone"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("pod-1", "corrupt"),
            ("pod-2", "unsupported_format"),
            ("pod-3", "too_large"),
            ("pod-4", "corrupt"),
            ("pod-5", "pod-5"),
        ]
    );
}
