//! The start without a registry, and what is written down for it.

use super::*;
use crate::lifecycle::event::PersistedRollout;

fn unreadable() -> Event {
    Event::Unreadable {
        why: "connection refused".into(),
    }
}

fn remembered(record: &RolloutRecord) -> Event {
    recalled(Ok(Some(PersistedRollout {
        record: record.clone(),
        since: "2026-02-01T00:00:00Z".into(),
    })))
}

fn recalled(outcome: Result<Option<PersistedRollout>, String>) -> Event {
    Event::Restored { outcome }
}

fn load_from_cache(version: u64) -> Action {
    Action::Load {
        version: v(version),
        is_paced: false,
        supply: Supply::Cache,
        named: None,
    }
}

fn degraded(stage: &Stage) -> String {
    stage.manager.status().degraded
}

/// Rollout 3 with version 3 is live from the disk.
fn served_from_disk() -> Stage {
    let mut stage = Stage::new();
    stage.tell(unreadable());
    stage.tell(remembered(&rollout(3, &[3])));
    stage.loaded(3, good());
    assert_eq!(stage.live(), Some(3));
    stage
}

#[test]
fn live_set_is_read_only_when_the_registry_is_unreadable() {
    let mut stage = Stage::new();
    assert_eq!(stage.actions(), []);
    assert_eq!(stage.errands, [], "the registry was not tried yet");
    stage.tell(unreadable());
    stage.tell(unreadable());
    assert_eq!(stage.errands, [Action::Restore], "once");

    let mut stage = Stage::new();
    stage.desired(&[rollout(1, &[1])]);
    stage.loaded(1, bad(LoadErrorKind::Registry("unavailable"), true));
    stage.tell(unreadable());
    assert_eq!(stage.errands, [], "its rollouts are known");
}

#[test]
fn live_set_is_loaded_from_the_cache_alone_and_served_degraded_with_reasons() {
    let mut stage = Stage::new();
    let third = rollout(3, &[3]);
    stage.tell(unreadable());
    assert_eq!(stage.tell(remembered(&third)), [load_from_cache(3)]);
    assert_eq!(
        degraded(&stage),
        "the registry cannot be read; loading rollout 3 persisted on disk since \
         2026-02-01T00:00:00Z, because connection refused"
    );
    assert_eq!(stage.loaded(3, good()), [activate(&third)]);
    assert_eq!(
        degraded(&stage),
        "the registry cannot be read; serving rollout 3 persisted on disk since \
         2026-02-01T00:00:00Z, because connection refused"
    );
    assert_eq!(stage.errands, [Action::Restore], "it is on disk already");
}

#[test]
fn registry_that_comes_back_is_followed_and_ends_the_degradation() {
    let mut stage = served_from_disk();
    let same = rollout(3, &[3]);
    assert_eq!(stage.desired(std::slice::from_ref(&same)), []);
    assert_eq!(degraded(&stage), "");

    let mut stage = served_from_disk();
    let next = rollout(4, &[4]);
    let chain = [next.clone(), same];
    assert_eq!(stage.desired(&chain), [load(4, true)]);
    assert_eq!(stage.live(), Some(3), "until the newer one is there");
    assert_eq!(stage.loaded(4, good()), [activate(&next), retire(3)]);
    assert_eq!(degraded(&stage), "");
    let kept = Action::Persist { record: next };
    assert_eq!(stage.errands, [Action::Restore, kept]);
}

#[test]
fn record_of_the_same_number_from_another_registry_is_not_the_persisted_one() {
    let mut stage = served_from_disk();
    let mut other = rollout(3, &[7]);
    other.sha256 = "7".repeat(64).parse().unwrap();
    assert_eq!(stage.desired(std::slice::from_ref(&other)), [load(7, true)]);
    assert_eq!(stage.loaded(7, good()), [activate(&other), retire(3)]);
}

#[test]
fn failed_load_from_the_cache_is_retried_with_backoff_and_says_why() {
    let mut stage = Stage::new();
    stage.tell(unreadable());
    stage.tell(remembered(&rollout(3, &[3])));
    let mut due = 0;
    for pause in [1, 2, 4, 8, 8] {
        assert_eq!(
            stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), true)),
            []
        );
        due += pause;
        assert_eq!(stage.wakeup(), Some(Duration::from_secs(due)));
        assert_eq!(
            degraded(&stage),
            "the registry cannot be read; rollout 3 persisted on disk since \
             2026-02-01T00:00:00Z cannot be served (version 3 was refused: it is corrupt); \
             serving nothing, because connection refused"
        );
        stage.now = at(due);
        assert_eq!(stage.actions(), [load_from_cache(3)]);
    }
}

#[test]
fn parts_missing_in_the_cache_are_fetched_once_the_registry_is_back() {
    let mut stage = Stage::new();
    let third = rollout(3, &[3]);
    stage.tell(unreadable());
    stage.tell(remembered(&third));
    stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), true));
    assert_eq!(
        stage.desired(std::slice::from_ref(&third)),
        [load(3, false)]
    );
    assert_eq!(stage.loaded(3, good()), [activate(&third)]);
}

#[test]
fn failed_load_from_the_cache_does_not_fall_back_once_the_registry_is_back() {
    let mut stage = Stage::new();
    let third = rollout(3, &[3]);
    stage.tell(unreadable());
    stage.tell(remembered(&third));
    assert_eq!(stage.desired(&[third, rollout(2, &[2])]), []);
    assert_eq!(
        stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), true)),
        [load(3, false)]
    );
    assert_eq!(
        stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), false)),
        [load(2, false)]
    );
}

#[test]
fn unreadable_live_set_is_reported_and_read_again() {
    let mut stage = Stage::new();
    stage.tell(unreadable());
    stage.tell(recalled(Err("it is corrupt".into())));
    assert_eq!(
        degraded(&stage),
        "the registry cannot be read; the persisted live set cannot be used (it is corrupt); \
         serving nothing, because connection refused"
    );
    for (asked, due) in [(2, 1), (3, 3)] {
        assert_eq!(stage.wakeup(), Some(Duration::from_secs(due)));
        stage.now = at(due);
        stage.actions();
        assert_eq!(stage.errands.len(), asked);
        stage.tell(recalled(Err("it is corrupt".into())));
    }
}

#[test]
fn missing_live_set_is_reported_and_not_read_again() {
    let mut stage = Stage::new();
    stage.tell(unreadable());
    stage.tell(recalled(Ok(None)));
    assert_eq!(
        degraded(&stage),
        "the registry cannot be read; nothing is persisted on disk; serving nothing, because \
         connection refused"
    );
    assert_eq!(stage.wakeup(), None);
}

#[test]
fn empty_registry_does_not_unload_the_live_set() {
    let mut stage = served_from_disk();
    assert_eq!(stage.desired(&[]), []);
    assert_eq!(stage.live(), Some(3));
    let said = "the registry has no rollout; serving rollout 3 persisted on disk since \
                2026-02-01T00:00:00Z";
    assert_eq!(degraded(&stage), said);

    let mut stage = Stage::new();
    stage.desired(&[]);
    assert_eq!(stage.errands, [Action::Restore]);
    assert_eq!(
        stage.tell(remembered(&rollout(3, &[3]))),
        [load_from_cache(3)]
    );
    stage.loaded(3, good());
    assert_eq!(degraded(&stage), said);

    let mut stage = Stage::new();
    stage.desired(&[]);
    stage.tell(recalled(Ok(None)));
    assert_eq!(degraded(&stage), "", "a new registry lacks nothing");
}

#[test]
fn reload_over_an_empty_registry_is_fetched_from_it() {
    let mut stage = Stage::new();
    stage.desired(&[]);
    stage.tell(remembered(&rollout(3, &[3])));
    stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), true));
    assert_eq!(stage.propose(1, 3, None), [load(3, false)]);
}

#[test]
fn arms_of_the_live_set_stay_loaded_while_another_is_retried() {
    let mut stage = Stage::new();
    let split = rollout(3, &[3, 4]);
    stage.tell(unreadable());
    assert_eq!(stage.tell(remembered(&split)), [load_from_cache(3)]);
    assert_eq!(stage.loaded(3, good()), [load_from_cache(4)]);
    assert_eq!(
        stage.loaded(4, bad(LoadErrorKind::Registry("corrupt"), true)),
        []
    );
    stage.now = at(1);
    assert_eq!(stage.actions(), [load_from_cache(4)]);
    assert_eq!(stage.loaded(4, good()), [activate(&split)]);
}

#[test]
fn every_activation_is_persisted_once() {
    let mut stage = Stage::with_one_live();
    stage.actions();
    let keep = |record: RolloutRecord| Action::Persist { record };
    assert_eq!(stage.errands, [keep(rollout(1, &[1]))]);
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(2, good());
    stage.actions();
    assert_eq!(stage.errands[1..], [keep(rollout(2, &[2]))]);
}

#[test]
fn failed_persist_is_reported_retried_and_unloads_nothing() {
    let mut stage = Stage::new();
    stage.disk = Err("no space left".into());
    stage.desired(&[rollout(1, &[1])]);
    stage.loaded(1, good());
    assert_eq!(stage.live(), Some(1));
    let said = "rollout 1 is not persisted, so a restart needs the registry: no space left";
    assert_eq!(degraded(&stage), said);
    assert_eq!(stage.errands.len(), 1);
    assert_eq!(stage.wakeup(), Some(Duration::from_secs(1)));
    stage.now = at(1);
    stage.actions();
    assert_eq!(stage.wakeup(), Some(Duration::from_secs(3)));
    stage.disk = Ok(());
    stage.now = at(3);
    stage.actions();
    assert_eq!((stage.errands.len(), degraded(&stage)), (3, String::new()));
    assert_eq!(stage.wakeup(), None);
}
