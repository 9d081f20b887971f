use super::*;
use hotshelf_registry::{BASE, CANDIDATE, Ramp, RampStep, candidate_and_base};

/// When every record of these tests was made.
const MADE: u64 = 1_767_225_600;

fn steps(of: &[(u16, u64)]) -> Ramp {
    let step = |(share_bp, hold_s): &(u16, u64)| RampStep {
        share_bp: *share_bp,
        hold_s: *hold_s,
    };
    Ramp::new(of.iter().map(step).collect())
}

fn usual() -> Ramp {
    steps(&[(100, 600), (500, 600), (10_000, 0)])
}

/// Version 2 beside version 1, made at `MADE`.
fn ramping(number: u64, ramp: &Ramp) -> RolloutRecord {
    RolloutRecord {
        arms: candidate_and_base(v(2), v(1), ramp.first_share()),
        ramp: Some(ramp.clone()),
        ..rollout(number, &[1])
    }
}

/// So many seconds after the records were made.
fn after(seconds: u64) -> Now {
    Now {
        monotonic: Duration::from_secs(seconds),
        wall: UNIX_EPOCH + Duration::from_secs(MADE + seconds),
    }
}

impl Stage {
    /// Version 1 was live for everybody, and version 2 came in as a candidate.
    fn with_candidate(ramp: &Ramp) -> Self {
        let mut stage = Self::new();
        stage.now = after(0);
        stage.desired(&[rollout(1, &[1])]);
        stage.loaded(1, good());
        stage.desired(&[ramping(2, ramp), rollout(1, &[1])]);
        let actions = stage.loaded(2, good());
        assert!(
            matches!(actions[..], [Action::Activate { .. }]),
            "{actions:?}"
        );
        stage
    }

    /// Version 1 was live for everybody, then version 2, and the first is kept.
    fn with_previous() -> Self {
        let mut stage = Self::with(Policy {
            keeps_previous: true,
            ..policy()
        });
        stage.desired(&[rollout(1, &[1])]);
        stage.loaded(1, good());
        let second = rollout(2, &[2]);
        stage.desired(&[second.clone(), rollout(1, &[1])]);
        assert_eq!(stage.loaded(2, good()), [activate(&second)]);
        assert_eq!(stage.state(1), VersionState::Ready);
        stage
    }

    fn change(&mut self, ticket: Ticket, change: Change) -> Vec<Action> {
        self.ask(ticket, change, None)
    }

    /// The draft that this change comes to; all its versions are in memory.
    fn draft_of(&mut self, change: Change) -> hotshelf_registry::RolloutDraft {
        match self.change(1, change).pop() {
            Some(Action::Record { draft, .. }) => draft,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, change: Change) -> String {
        match self.change(1, change).pop() {
            Some(Action::Reply {
                reply: Reply::Impossible(why),
                ..
            }) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn start(version: u64) -> Change {
    Change::Start {
        version: v(version),
        ramp: usual(),
    }
}

#[test]
fn candidate_is_loaded_before_its_record_is_written() {
    let mut stage = Stage::with_one_live();
    assert_eq!(stage.change(7, start(2)), [load(2, true)]);
    let actions = stage.loaded(2, good());
    let [Action::Record { draft, over }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(draft.arms, candidate_and_base(v(2), v(1), 100));
    assert_eq!((draft.ramp.clone(), &draft.salt), (Some(usual()), &None));
    assert_eq!(over.unwrap().number.get(), 1);
    let record = ramping(2, &usual());
    let actions = stage.recorded(RecordOutcome::Created(record.clone()));
    assert_eq!(actions, [activate(&record), reply(7, changed(2, 2))]);
}

#[test]
fn candidate_that_cannot_serve_never_becomes_desired_state() {
    let mut stage = Stage::with_one_live();
    stage.change(7, start(2));
    let actions = stage.loaded(2, bad(LoadErrorKind::Registry("corrupt"), false));
    assert!(
        matches!(
            &actions[..],
            [Action::Reply {
                reply: Reply::Refused(_),
                ..
            }]
        ),
        "{actions:?}"
    );
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn candidate_grows_at_the_time_of_its_step() {
    let mut stage = Stage::with_candidate(&usual());
    assert_eq!(
        stage.wakeup(),
        Some(Duration::from_secs(1)),
        "looked at each second"
    );
    stage.now = after(599);
    assert_eq!(stage.actions(), []);
    stage.now = after(600);
    assert_eq!(stage.actions(), [Action::Grow { candidate_bp: 500 }]);
    stage.now = after(1_200);
    assert_eq!(
        stage.actions(),
        [Action::Grow {
            candidate_bp: 10_000
        }]
    );
    assert_eq!(stage.wakeup(), None, "nothing grows any more");
}

#[test]
fn share_never_falls_within_one_record_whatever_the_clock_says() {
    let mut stage = Stage::with_candidate(&usual());
    stage.now = after(700);
    assert_eq!(stage.actions(), [Action::Grow { candidate_bp: 500 }]);
    for second in [0, 599, 1_199] {
        stage.now.wall = after(second).wall;
        assert_eq!(stage.actions(), []);
        assert_eq!(stage.manager.status().candidate_bp, 500);
    }
    // What is written now goes on from what is served, and not from what the clock says.
    stage.now.wall = after(0).wall;
    let draft = stage.draft_of(Change::Pause);
    assert_eq!(draft.arms, candidate_and_base(v(2), v(1), 500));
}

#[test]
fn every_record_of_a_ramp_has_its_salt_and_a_new_candidate_a_fresh_one() {
    let salt = Some("s".to_owned());
    let paused = Ramp {
        is_paused: true,
        ..usual()
    };
    for (ramp, change, arms) in [
        (
            usual(),
            Change::Set {
                ramp: Ramp::held(2_500),
            },
            2,
        ),
        (usual(), Change::Pause, 2),
        (paused, Change::Resume, 2),
        (usual(), Change::Promote { arm: None }, 1),
        (usual(), Change::Abort, 1),
        (usual(), Change::Rollback, 1),
    ] {
        let draft = Stage::with_candidate(&ramp).draft_of(change.clone());
        assert_eq!(
            (draft.salt, draft.arms.len()),
            (salt.clone(), arms),
            "{change:?}"
        );
    }
}

#[test]
fn paused_ramp_holds_and_resumes_at_its_share() {
    let mut stage = Stage::with_candidate(&usual());
    stage.now = after(700);
    let draft = stage.draft_of(Change::Pause);
    let ramp = draft.ramp.unwrap();
    assert_eq!((ramp.is_paused, ramp.elapsed_s), (true, 700));
    let paused = ramping(3, &ramp);
    stage.recorded(RecordOutcome::Created(paused));
    assert_eq!(stage.manager.status().candidate_bp, 500);
    stage.now = after(100_000);
    assert_eq!(stage.actions(), []);
    assert_eq!(stage.wakeup(), None);
    assert_eq!(stage.change(2, Change::Pause), [reply(2, Reply::Unchanged)]);
    let resumed = stage.draft_of(Change::Resume).ramp.unwrap();
    assert_eq!((resumed.is_paused, resumed.elapsed_s), (false, 700));
}

#[test]
fn promote_abort_and_rollback_end_in_one_version() {
    let all = |change| {
        let draft = Stage::with_candidate(&usual()).draft_of(change);
        (draft.arms[0].version.get(), draft.arms[0].share_bp)
    };
    assert_eq!(all(Change::Promote { arm: None }), (2, 10_000));
    assert_eq!(
        all(Change::Promote {
            arm: Some(BASE.to_owned())
        }),
        (1, 10_000)
    );
    assert_eq!(all(Change::Abort), (1, 10_000));
    assert_eq!(all(Change::Rollback), (1, 10_000));
}

/// A chain is remembered 32 records back; a ramp may have more.
#[test]
fn rollback_reaches_the_base_however_many_records_a_ramp_has() {
    for change in [Change::Abort, Change::Rollback] {
        let mut stage = Stage::with_candidate(&usual());
        let long: Vec<_> = (2..=40).rev().map(|n| ramping(n, &usual())).collect();
        stage.desired(&long);
        assert_eq!(stage.live(), Some(40));
        let draft = stage.draft_of(change);
        assert_eq!(draft.arms[0].version, v(1));
    }
}

#[test]
fn rollback_skips_versions_that_never_had_all_traffic() {
    let mut stage = Stage::with_candidate(&usual());
    let promoted = rollout(3, &[2]);
    let chain = [promoted, ramping(2, &usual()), rollout(1, &[1])];
    stage.desired(&chain);
    assert_eq!(stage.live(), Some(3));
    stage.tell(Event::Freed { version: v(1) });
    let actions = stage.change(1, Change::Rollback);
    assert!(
        actions.contains(&load(1, true)),
        "it was freed: {actions:?}"
    );
}

#[test]
fn previous_version_stays_resident_until_another_is_loaded() {
    let mut stage = Stage::with_previous();
    // Going back takes no load.
    let draft = stage.draft_of(Change::Rollback);
    assert_eq!(draft.arms[0].version, v(1));
    let back = [rollout(3, &[1]), rollout(2, &[2]), rollout(1, &[1])];
    let actions = stage.recorded(RecordOutcome::Created(back[0].clone()));
    assert_eq!(actions[0], activate(&back[0]));
    assert_eq!(
        stage.state(2),
        VersionState::Ready,
        "it is the previous one now"
    );
    // Another version takes its place, and only once its memory is free.
    assert_eq!(stage.change(8, start(3)), [retire(2)]);
    assert_eq!(stage.tell(Event::Freed { version: v(2) }), [load(3, true)]);
}

#[test]
fn previous_version_is_unloaded_when_another_model_needs_memory() {
    let mut stage = Stage::with_previous();
    let short = |is_short| Event::Shortage { is_short };
    assert_eq!(stage.tell(short(true)), [retire(1)]);
    stage.tell(Event::Freed { version: v(1) });
    // And nothing stays while that lasts.
    let chain = [rollout(3, &[3]), rollout(2, &[2]), rollout(1, &[1])];
    stage.desired(&chain);
    assert_eq!(stage.loaded(3, good()), [activate(&chain[0]), retire(2)]);
}

#[test]
fn conflicting_changes_name_the_current_rollout() {
    let mut stage = Stage::with_candidate(&usual());
    let why = stage.refused(start(3));
    assert!(
        why.contains("rollout 2 (version 2 at 100 bp, version 1 at 9900 bp; by ann: why)"),
        "{why}"
    );
    let why = stage.refused(Change::Promote {
        arm: Some("third".into()),
    });
    assert!(
        why.contains("arm: \"third\" is not an arm; name one of candidate, base"),
        "{why}"
    );
    let mut alone = Stage::with_one_live();
    for change in [
        Change::Set { ramp: usual() },
        Change::Pause,
        Change::Resume,
        Change::Promote { arm: None },
        Change::Abort,
    ] {
        let why = alone.refused(change.clone());
        assert!(
            why.contains("rollout 1 (version 1 at 10000 bp"),
            "{change:?}: {why}"
        );
    }
    let why = alone.refused(start(1));
    assert!(why.contains("version: 1 has all traffic already"), "{why}");
    let why = alone.refused(Change::Rollback);
    assert!(why.contains("no other version had all traffic"), "{why}");
    let why = {
        let mut empty = Stage::new();
        empty.desired(&[]);
        empty.refused(start(1))
    };
    assert!(why.contains("there is no rollout yet"), "{why}");
}

#[test]
fn of_two_concurrent_candidates_the_loser_learns_who_won() {
    let mut stage = Stage::with_one_live();
    stage.change(7, start(3));
    stage.loaded(3, good());
    let winner = ramping(2, &usual());
    let actions = stage.recorded(RecordOutcome::Lost(winner.clone()));
    let aborted = Reply::Aborted {
        winner: Box::new(winner),
    };
    assert_eq!(actions[0], reply(7, aborted));
}

#[test]
fn aborts_that_race_all_succeed() {
    let mut stage = Stage::with_candidate(&usual());
    stage.change(7, Change::Abort);
    let theirs = rollout(3, &[1]);
    let actions = stage.recorded(RecordOutcome::Lost(theirs));
    let done = changed(1, 3);
    assert!(actions.contains(&reply(7, done)), "{actions:?}");
}

#[test]
fn arms_of_a_ramp_are_named_as_the_registry_names_them() {
    let record = ramping(2, &usual());
    let names: Vec<&str> = record.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(names, [CANDIDATE, BASE]);
}
