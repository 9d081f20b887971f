use super::*;
use crate::lifecycle::event::PersistedRollout;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;

/// Random events: something that was live stays live, every answer goes to a ticket once, and what is
/// live has a state that says so.
#[test]
fn no_sequence_of_events_takes_the_last_version_down() {
    for seed in 0..500 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut roll = |sides: u32| u64::from(dice.next_u32() % sides);
        let mut stage = Stage::new();
        let (mut newest, mut was_live, mut loading) = (0, false, Vec::new());
        let (mut answered, mut asked) = (Vec::new(), 0);
        for step in 0..60 {
            stage.now = at(step);
            stage.disk = [Ok(()), Err("full".to_owned())][roll(2) as usize].clone();
            let actions = match roll(8) {
                6 => stage.tell(Event::Unreadable { why: "down".into() }),
                7 => disk_answers(&mut stage, &mut roll),
                0 => {
                    newest += 1;
                    stage.desired(&[rollout(newest, &[1 + roll(5)])])
                }
                1 => stage.desired(&[]),
                2 | 3 if !loading.is_empty() => {
                    let version = loading.swap_remove(0);
                    stage.loaded(version, load_outcome(&mut roll))
                }
                4 => {
                    asked += 1;
                    stage.propose(asked, 1 + roll(5), None)
                }
                _ => stage.actions(),
            };
            let mut actions: VecDeque<_> = actions.into();
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Load { version, .. } => loading.push(version.get()),
                    Action::Record { draft, .. } => {
                        newest += 1;
                        let record = rollout(newest, &[draft.arms[0].version.get()]);
                        actions.extend(stage.recorded(RecordOutcome::Created(record)));
                    }
                    Action::Retire { version } => {
                        let live = stage.manager.versions.live.as_ref();
                        let answers = live.and_then(RolloutRecord::all_to);
                        assert_ne!(answers, Some(version), "seed {seed}");
                        actions.extend(stage.tell(Event::Freed { version }));
                    }
                    Action::Reply { ticket, .. } => answered.push(ticket),
                    Action::Activate { .. }
                    | Action::Grow { .. }
                    | Action::Persist { .. }
                    | Action::Restore => {}
                }
            }
            let is_live = stage.live().is_some();
            assert!(!was_live || is_live, "seed {seed}: nothing is live");
            was_live = is_live;
            if let Some(live) = &stage.manager.versions.live {
                let version = live.arms[0].version.get();
                assert_eq!(stage.state(version), VersionState::Live, "seed {seed}");
            }
        }
        let total = answered.len();
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(answered.len(), total, "seed {seed}: answered twice");
    }
}

/// How a load ends: well, badly for now, badly for good, or with a golden query that fails.
fn load_outcome(roll: &mut impl FnMut(u32) -> u64) -> Result<LoadedInfo, LoadError> {
    match roll(4) {
        0 => good(),
        1 => bad(LoadErrorKind::Registry("x"), true),
        2 => bad(LoadErrorKind::Registry("y"), false),
        _ => Ok(LoadedInfo {
            manifest_sha256: None,
            resident_bytes: 1,
            golden_query_failure: Some("odd".into()),
            degraded: String::new(),
            refetched: String::new(),
        }),
    }
}

/// What the disk says once it was asked: a record, nothing, or that what it has is damaged.
fn disk_answers(stage: &mut Stage, roll: &mut impl FnMut(u32) -> u64) -> Vec<Action> {
    let record = rollout(1 + roll(3), &[1 + roll(5)]);
    let since = String::new();
    let outcome = match roll(3) {
        0 => Ok(Some(PersistedRollout { record, since })),
        1 => Ok(None),
        _ => Err("damaged".to_owned()),
    };
    if stage.errands.pop() == Some(Action::Restore) {
        stage.tell(Event::Restored { outcome })
    } else {
        stage.actions()
    }
}
