use super::*;
use crate::fleet::Standing;
use hotshelf_registry::ReplicaState;
use serde_json::json;

fn rollout(number: u64) -> Parent {
    Parent {
        number: number.try_into().unwrap(),
        sha256: "0a".repeat(32).parse().unwrap(),
    }
}

/// A replica that serves this rollout; the first is the one asked.
fn replica(name: &str, standing: Standing, live: u64) -> ReplicaView {
    let state: ReplicaState = serde_json::from_value(json!({
        "format": 1, "model": "shop", "replica": name, "address": "10.0.0.7:50051",
        "build": "0.1.0", "started_at": "2026-11-24T02:00:00Z", "written_at": "2026-11-24T02:01:00Z",
        "heard": null, "live": rollout(live), "degraded": "", "registry_trouble": ""
    }))
    .unwrap();
    ReplicaView {
        replica: name.parse().unwrap(),
        standing,
        is_own: name == "own",
        state: Some(state),
        age: Duration::ZERO,
        lag: None,
        held_back_by: String::new(),
    }
}

fn waited(replicas: Vec<ReplicaView>, quorum: Quorum, trouble: &str) -> Waited {
    let view = FleetView {
        replicas,
        trouble: trouble.to_owned(),
        not_reporting: String::new(),
    };
    Waited::of(view, rollout(31), quorum)
}

#[test]
fn wait_ends_when_its_quorum_serves_the_rollout_or_a_newer_one() {
    let own = |live| replica("own", Standing::Serving, live);
    let other = |standing, live| replica("other", standing, live);
    let unread = ReplicaView {
        state: None,
        ..other(Standing::Unreadable, 31)
    };
    for (replicas, own_is, two_are, all_are) in [
        (
            vec![own(30), other(Standing::Serving, 31)],
            false,
            false,
            false,
        ),
        (vec![own(31)], true, false, true),
        (
            vec![own(31), other(Standing::Loading, 30)],
            true,
            false,
            false,
        ),
        (
            vec![own(31), other(Standing::Failed, 30)],
            true,
            false,
            false,
        ),
        (vec![own(31), unread], true, false, false),
        (vec![own(31), other(Standing::Lost, 30)], true, false, true),
        // Its file says so, and no heartbeat came since.
        (vec![own(31), other(Standing::Lost, 31)], true, false, true),
        (
            vec![own(31), other(Standing::Stopped, 31)],
            true,
            false,
            true,
        ),
        (
            vec![own(32), other(Standing::Serving, 31)],
            true,
            true,
            true,
        ),
    ] {
        let is_met = |quorum| waited(replicas.clone(), quorum, "").is_met;
        assert_eq!(is_met(Quorum::Own), own_is, "{replicas:?}");
        assert_eq!(is_met(Quorum::Count(2)), two_are, "{replicas:?}");
        assert_eq!(is_met(Quorum::All), all_are, "{replicas:?}");
        let waited = waited(replicas.clone(), Quorum::All, "");
        assert_eq!(waited.serving.len() + waited.missing.len(), replicas.len());
    }
}

#[test]
fn replica_that_cannot_read_the_fleet_reports_no_quorum() {
    let own = vec![replica("own", Standing::Serving, 31)];
    assert!(!waited(own.clone(), Quorum::All, "no answer").is_met);
    assert!(waited(own.clone(), Quorum::Own, "no answer").is_met);
    assert!(waited(own, Quorum::Count(1), "no answer").is_met);
}
