use super::*;
use hotshelf_registry::RolloutRecord;
use serde_json::json;

const LOST: Duration = Duration::from_secs(180);

/// Version 12 at 100 %, desired for 40 s.
fn desired() -> RolloutRecord {
    let record = json!({
        "format": 1, "model": "shop", "number": 31, "parent": null, "nonce": "cd".repeat(16),
        "salt": "s", "author": "ann", "reason": "fresher", "created_at": "2026-11-24T02:00:00Z",
        "arms": [{ "name": "main", "version": 12, "share_bp": 10_000 }]
    });
    RolloutRecord::parse(record.to_string().as_bytes()).unwrap()
}

fn assess(state: ReplicaState, age_s: u64) -> ReplicaView {
    let desired = desired();
    let assessor = Assessor {
        desired: Some(&desired),
        lost_after: LOST,
        now: "2026-11-24T02:00:40Z".parse().unwrap(),
    };
    let seen = ReplicaFile {
        replica: "pod-7".parse().unwrap(),
        age: Duration::from_secs(age_s),
        reported: Reported::State(Box::new(state)),
    };
    assessor.other(seen).unwrap()
}

/// Rollout 30 is live, 31 heard of, version 12 in this state.
fn state(of_version: &str, reason: &str) -> ReplicaState {
    let parent = |number: u64| json!({ "number": number, "sha256": "0a".repeat(32) });
    let mut state: ReplicaState = serde_json::from_value(json!({
        "format": 1, "model": "shop", "replica": "pod-7", "address": "10.0.0.7:50051",
        "build": "0.1.0", "started_at": "2026-11-24T02:00:00Z", "written_at": "2026-11-24T02:01:00Z",
        "heard": parent(31), "live": parent(30), "degraded": "", "registry_trouble": "",
        "versions": [{ "version": 12, "state": of_version, "since": "2026-11-24T02:00:09Z",
                       "reason": reason }]
    }))
    .unwrap();
    state.observed = Some(desired().as_parent());
    state
}

fn live(number: u64) -> ReplicaState {
    let mut state = state("live", "");
    let live = state.live.as_mut().unwrap();
    *live = desired().as_parent();
    live.number = number.try_into().unwrap();
    if number > 31 {
        state.observed = state.live;
    }
    state
}

#[test]
fn replica_state_follows_its_reports_and_their_age() {
    let with = |change: fn(&mut ReplicaState), mut state: ReplicaState| {
        change(&mut state);
        state
    };
    let unobserved = with(|s| s.observed = s.live, state("ready", ""));
    let deaf = with(
        |s| {
            s.observed = None;
            s.registry_trouble = "connection refused".to_owned();
        },
        state("ready", ""),
    );
    let degraded = with(|s| s.degraded = "probes differ".to_owned(), live(31));
    let cases: [(ReplicaState, u64, Standing, &str); 11] = [
        (live(31), 1, Standing::Serving, ""),
        (live(32), 1, Standing::Serving, ""),
        (degraded, 1, Standing::Serving, "probes differ"),
        (live(30), 1, Standing::Loading, ""),
        (
            state("verifying", ""),
            1,
            Standing::Loading,
            "version 12 is verifying",
        ),
        (
            unobserved,
            1,
            Standing::Loading,
            "newest rollout it has observed is 30",
        ),
        (
            deaf,
            1,
            Standing::Loading,
            "has not observed a rollout; cannot read the registry: connection refused",
        ),
        (
            state("failed", "part als.safetensors is corrupt"),
            180,
            Standing::Failed,
            "version 12: part als.safetensors is corrupt",
        ),
        (live(31), 181, Standing::Lost, "no heartbeat for 181 s"),
        (
            with(|s| s.is_name_conflict = true, live(31)),
            1,
            Standing::NameConflict,
            "several processes report under its name",
        ),
        (
            with(|s| s.is_stopped = true, live(31)),
            400,
            Standing::Stopped,
            "",
        ),
    ];
    for (state, age_s, standing, said) in cases {
        let view = assess(state.clone(), age_s);
        assert_eq!(view.standing, standing, "{state:?}");
        assert_eq!(view.held_back_by, said, "{state:?}");
        let is_served = state.live.unwrap().number.get() >= 31;
        let lag = (!is_served).then_some(Duration::from_secs(40));
        assert_eq!(view.lag, lag, "{state:?}");
    }
}

/// What it has live was withdrawn: it goes back, as everybody.
#[test]
fn live_rollout_beyond_the_newest_that_a_replica_names_is_not_served() {
    let mut behind = live(32);
    behind.observed = Some(desired().as_parent());
    assert_eq!(assess(behind, 1).standing, Standing::Loading);
}

#[test]
fn replicas_that_serve_two_manifests_under_one_number_are_shown() {
    let serving = |digit: &str| {
        let mut state = live(31);
        state.arms = serde_json::from_value(json!([
            { "name": "main", "version": 12, "share_bp": 10_000, "manifest_sha256": digit.repeat(64) }
        ]))
        .unwrap();
        state
    };
    let said = other_manifest(&serving("a"), &serving("b")).unwrap();
    assert!(
        said.contains("version 12 with manifest sha256 bbb"),
        "{said}"
    );
    assert_eq!(other_manifest(&serving("a"), &serving("a")), None);
    assert_eq!(other_manifest(&serving("a"), &live(31)), None, "no digest");
    assert_eq!(other_manifest(&serving("a"), &live(30)), None);
}

/// A number alone does not tell a rollout of this registry from one of another.
#[test]
fn rollout_of_the_same_number_and_another_digest_is_not_served() {
    let mut other = live(31);
    other.live = state("live", "").live;
    other.live.as_mut().unwrap().number = 31.try_into().unwrap();
    assert_eq!(assess(other, 1).standing, Standing::Loading);
}

#[test]
fn without_a_rollout_every_replica_with_a_live_version_is_serving() {
    let assessor = Assessor {
        desired: None,
        lost_after: LOST,
        now: Timestamp::UNIX_EPOCH,
    };
    let mut nothing = state("ready", "");
    (nothing.observed, nothing.live) = (None, None);
    let view = assessor.own(nothing);
    assert_eq!(view.standing, Standing::Loading);
    assert_eq!(
        (view.held_back_by.as_str(), view.lag),
        ("there is no rollout", None)
    );
    assert_eq!(assessor.own(live(3)).standing, Standing::Serving);
}

#[test]
fn unreadable_replica_file_becomes_lost_and_then_disappears() {
    let desired = desired();
    let assessor = Assessor {
        desired: Some(&desired),
        lost_after: LOST,
        now: Timestamp::UNIX_EPOCH,
    };
    let seen = |reported: Reported, age_s| ReplicaFile {
        replica: "pod-7".parse().unwrap(),
        age: Duration::from_secs(age_s),
        reported,
    };
    let problem = || Reported::Unreadable {
        kind: "corrupt",
        why: "it is not a record of this kind".to_owned(),
    };
    let view = assessor.other(seen(problem(), 180)).unwrap();
    assert_eq!(view.standing, Standing::Unreadable);
    assert_eq!(view.held_back_by, "it is not a record of this kind");
    // A proposer's clock that is ahead makes no negative lag.
    assert_eq!(view.lag, Some(Duration::ZERO));
    let lost = assessor.other(seen(problem(), 181)).unwrap();
    assert_eq!(lost.standing, Standing::Lost);
    assert_eq!(assessor.other(seen(Reported::Gone, 90_000)), None);
}

#[test]
fn version_states_tell_since_when() {
    use crate::lifecycle::VersionEntry;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let version = Version::new(12).unwrap();
    let status = |state| {
        let mut status = ModelStatus::default();
        let mut entry = VersionEntry::discovered();
        entry.state = state;
        status.manager.versions = vec![(version, entry)];
        status
    };
    let mut history = History::default();
    let mut since = |state, now| history.since(&status(state), at(now))[&version].clone();
    let first = "2026-11-24T02:00:00.000Z";
    assert_eq!(since(VersionState::Loading, first), first);
    assert_eq!(since(VersionState::Loading, "2026-11-24T02:00:01Z"), first);
    let second = "2026-11-24T02:00:02.000Z";
    assert_eq!(since(VersionState::Ready, second), second);
}

/// 10,000 replicas with long notes: a response stays small, and no standing is lost.
#[test]
fn response_about_a_huge_fleet_is_bounded_and_says_what_it_leaves_out() {
    let mut state = live(31);
    state.degraded = "d".repeat(4_000);
    let other = |at: usize| {
        let mut view = assess(state.clone(), 1);
        view.replica = format!("pod-{at}").parse().unwrap();
        view
    };
    let mut replicas: Vec<ReplicaView> = (0..10_000).map(other).collect();
    replicas[9_998].standing = Standing::Failed;
    replicas[9_999].is_own = true;
    let view = FleetView {
        replicas,
        trouble: String::new(),
        not_reporting: String::new(),
    };
    assert_eq!(view.counts().serving, 9_999);
    let bounded = view.bounded();
    assert_eq!(bounded.replicas.len(), 1_000);
    assert_eq!(
        bounded.trouble,
        "9000 more replicas are counted and not listed"
    );
    let is_there = |name: &str| {
        bounded
            .replicas
            .iter()
            .any(|one| one.replica.as_str() == name)
    };
    assert!(is_there("pod-9998") && is_there("pod-9999"));
    let texts = bounded.replicas.iter().map(|one| {
        one.held_back_by.len() + one.state.as_ref().map_or(0, |state| state.degraded.len())
    });
    assert!(texts.sum::<usize>() < 2 << 20);
}
