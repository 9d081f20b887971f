use super::*;
use hotshelf_registry::RolloutDraft;

#[test]
fn reload_loads_before_it_records() {
    let mut stage = Stage::with_one_live();
    assert_eq!(stage.propose(7, 2, None), [load(2, true)]);
    let actions = stage.loaded(2, good());
    let over = Some(rollout(1, &[1]).as_parent());
    let draft = RolloutDraft::all_to(v(2), "bob", "better");
    assert_eq!(actions, [Action::Record { draft, over }]);
    assert_eq!(stage.live(), Some(1), "not live before it is recorded");
    let second = rollout(2, &[2]);
    let actions = stage.recorded(RecordOutcome::Created(second.clone()));
    let done = reply(7, changed(2, 2));
    assert_eq!(actions, [activate(&second), done, retire(1)]);
}

#[test]
fn bad_version_never_becomes_desired_state() {
    let mut stage = Stage::with_one_live();
    stage.propose(7, 2, None);
    let error = LoadError {
        kind: LoadErrorKind::Model("not_finite"),
        message: "it is not_finite".into(),
        is_retryable: false,
    };
    assert_eq!(
        stage.loaded(2, bad(LoadErrorKind::Model("not_finite"), false)),
        [reply(7, Reply::Refused(error))]
    );
    let odd = Ok(LoadedInfo {
        manifest_sha256: None,
        resident_bytes: 1,
        golden_query_failure: Some("odd".into()),
        degraded: String::new(),
        refetched: String::new(),
    });
    stage.propose(8, 2, None);
    let actions = stage.loaded(2, odd);
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::Record { .. })),
        "{actions:?}"
    );
    assert!(actions.contains(&retire(2)));
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn reload_of_what_is_live_changes_nothing() {
    let mut stage = Stage::with_one_live();
    assert_eq!(stage.propose(7, 1, None), [reply(7, Reply::Unchanged)]);
}

#[test]
fn concurrent_reloads_of_one_target_are_one_load_and_one_record() {
    let mut stage = Stage::with_one_live();
    assert_eq!(stage.propose(1, 2, None), [load(2, true)]);
    assert_eq!(stage.propose(2, 2, None), []);
    assert_eq!(stage.propose(3, 2, None), []);
    assert_eq!(stage.loaded(2, good()).len(), 1);
    let actions = stage.recorded(RecordOutcome::Created(rollout(2, &[2])));
    for ticket in 1..=3 {
        assert!(actions.contains(&reply(ticket, changed(2, 2))));
    }
}

#[test]
fn rollout_with_several_arms_is_replaced_only_by_expected_rollout() {
    let mut stage = Stage::with_one_live();
    let split = rollout(2, &[1, 2]);
    stage.desired(&[split.clone(), rollout(1, &[1])]);
    stage.loaded(2, good());
    let refused = Reply::NotExpected {
        newest: Some(Box::new(split)),
    };
    assert_eq!(stage.propose(7, 2, None), [reply(7, refused.clone())]);
    assert_eq!(stage.propose(8, 2, Some(1)), [reply(8, refused)]);
    let actions = stage.propose(9, 2, Some(2));
    assert!(
        matches!(actions[..], [Action::Record { .. }]),
        "{actions:?}"
    );
}

#[test]
fn lost_race_for_the_same_target_is_success_and_for_another_is_aborted() {
    let mut stage = Stage::with_one_live();
    stage.propose(7, 2, None);
    stage.loaded(2, good());
    let same = rollout(2, &[2]);
    let actions = stage.recorded(RecordOutcome::Lost(same.clone()));
    let done = reply(7, changed(2, 2));
    assert_eq!(actions, [activate(&same), done, retire(1)]);

    stage.propose(8, 3, None);
    stage.loaded(3, good());
    let other = rollout(3, &[4]);
    let actions = stage.recorded(RecordOutcome::Lost(other.clone()));
    let aborted = reply(
        8,
        Reply::Aborted {
            winner: Box::new(other),
        },
    );
    assert_eq!(actions, [aborted, retire(3), load(4, true)]);
    assert_eq!(stage.live(), Some(2));
}

#[test]
fn rollout_that_came_while_loading_aborts_the_proposal_made_before_it() {
    let mut stage = Stage::with_one_live();
    stage.propose(7, 2, None);
    let other = rollout(2, &[3]);
    assert_eq!(stage.desired(&[other.clone(), rollout(1, &[1])]), []);
    let actions = stage.loaded(2, good());
    let aborted = reply(
        7,
        Reply::Aborted {
            winner: Box::new(other),
        },
    );
    assert_eq!(actions, [aborted, retire(2), load(3, true)]);
}

#[test]
fn failed_write_of_a_record_leaves_the_old_version_live() {
    let mut stage = Stage::with_one_live();
    stage.propose(7, 2, None);
    stage.loaded(2, good());
    let outcome = RecordOutcome::Failed {
        is_retryable: false,
        message: "read-only".into(),
    };
    let not_recorded = Reply::NotRecorded {
        is_retryable: false,
        message: "read-only".into(),
    };
    assert_eq!(stage.recorded(outcome), [reply(7, not_recorded), retire(2)]);
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn proposals_are_bounded() {
    let mut stage = Stage::with_one_live();
    for ticket in 0..4 {
        stage.propose(ticket, 2 + ticket, None);
    }
    assert_eq!(
        stage.propose(9, 9, None),
        [reply(9, Reply::TooMany { limit: 4 })]
    );
}

#[test]
fn proposal_waits_for_the_first_read_of_the_registry() {
    let mut stage = Stage::new();
    assert_eq!(stage.propose(7, 3, None), []);
    let split = rollout(4, &[1, 2]);
    let actions = stage.desired(std::slice::from_ref(&split));
    let refused = Reply::NotExpected {
        newest: Some(Box::new(split)),
    };
    assert_eq!(actions, [reply(7, refused), load(1, false)]);
}

#[test]
fn refused_version_is_not_loaded_again_before_its_memory_is_free() {
    let mut stage = Stage::with_one_live();
    let odd = || {
        Ok(LoadedInfo {
            manifest_sha256: None,
            resident_bytes: 1,
            golden_query_failure: Some("odd".into()),
            degraded: String::new(),
            refetched: String::new(),
        })
    };
    stage.propose(7, 2, None);
    assert!(stage.loaded(2, odd()).contains(&retire(2)));
    assert_eq!(stage.propose(8, 2, None), []);
    assert_eq!(stage.tell(Event::Freed { version: v(2) }), [load(2, true)]);
}

#[test]
fn proposal_at_a_cold_start_is_recorded_despite_an_equal_older_rollout() {
    let mut stage = Stage::new();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    // Version 1 is loaded for the proposal, beside version 2 that everybody wants.
    stage.propose(7, 1, None);
    stage.loaded(2, bad(LoadErrorKind::Registry("corrupt"), false));
    let actions = stage.loaded(1, good());
    assert_eq!(
        actions[0],
        activate(&rollout(1, &[1])),
        "it is what can be served"
    );
    assert!(
        matches!(&actions[1..], [Action::Record { draft, .. }] if draft.arms[0].version == v(1)),
        "{actions:?}"
    );
    let third = rollout(3, &[1]);
    let actions = stage.recorded(RecordOutcome::Created(third.clone()));
    let done = Reply::Changed {
        previous: None,
        version: v(1),
        rollout: third.number,
        phases: Vec::new(),
    };
    assert_eq!(actions, [activate(&third), reply(7, done)]);
}

impl Stage {
    /// The newest record was withdrawn, and these are left.
    fn withdrawn(&mut self, was: &RolloutRecord, records: &[RolloutRecord]) -> Vec<Action> {
        self.tell(Event::Desired {
            chain: records.to_vec(),
            withdrawn: Some(was.as_parent()),
        })
    }
}

/// An older record takes the place of the newest one only where the store shows that that one is gone.
#[test]
fn withdrawn_rollout_gives_way_to_the_one_before_it() {
    let mut stage = Stage::with_one_live();
    let (one, two) = (rollout(1, &[1]), rollout(2, &[2]));
    stage.desired(&[two.clone(), one.clone()]);
    stage.loaded(2, good());
    stage.tell(Event::Freed { version: v(1) });
    assert_eq!(stage.live(), Some(2));
    assert_eq!(stage.desired(std::slice::from_ref(&one)), [], "no evidence");
    let other = rollout(3, &[3]);
    assert_eq!(
        stage.withdrawn(&other, std::slice::from_ref(&one)),
        [],
        "of another record"
    );
    let actions = stage.withdrawn(&two, std::slice::from_ref(&one));
    assert!(actions.contains(&load(1, true)), "{actions:?}");
    stage.loaded(1, good());
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn withdrawn_rollout_serves_on_where_no_other_counts_and_the_next_may_have_any_number() {
    let mut stage = Stage::with_one_live();
    let two = rollout(2, &[2]);
    stage.desired(std::slice::from_ref(&two));
    stage.loaded(2, good());
    stage.tell(Event::Freed { version: v(1) });
    assert_eq!(stage.withdrawn(&two, &[]), []);
    let status = stage.manager.status();
    assert_eq!((status.desired, stage.live()), (None, Some(2)));
    assert!(
        status.degraded.starts_with("rollout 2 was withdrawn"),
        "{}",
        status.degraded
    );
    // The first free number of a store that has no record which counts.
    let actions = stage.desired(&[rollout(1, &[1])]);
    assert!(actions.contains(&load(1, true)), "{actions:?}");
    stage.loaded(1, good());
    assert_eq!(
        (stage.live(), stage.manager.status().degraded.as_str()),
        (Some(1), "")
    );
}
