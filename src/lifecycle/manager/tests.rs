mod live_set;
mod proposals;
mod ramps;
mod sequences;

use super::versions::PAST_VERSIONS_MAX;
use super::*;
use crate::lifecycle::change::Change;
use crate::lifecycle::event::{Proposal, RecordOutcome, Supply, Ticket};
use hotshelf_registry::{Arm, RolloutNumber};
use std::time::UNIX_EPOCH;

fn at(seconds: u64) -> Now {
    let monotonic = Duration::from_secs(seconds);
    Now {
        monotonic,
        wall: UNIX_EPOCH + monotonic,
    }
}

fn v(number: u64) -> Version {
    Version::new(number).unwrap()
}

/// A record with one arm a version, in equal shares.
fn rollout(number: u64, versions: &[u64]) -> RolloutRecord {
    let share_bp = 10_000 / u16::try_from(versions.len()).unwrap();
    let json = serde_json::json!({
        "format": 1, "model": "home", "number": number, "parent": null, "nonce": "0".repeat(32),
        "arms": [{ "name": "main", "version": 1, "share_bp": 10_000 }], "salt": "s",
        "author": "ann", "reason": "why", "created_at": "2026-01-01T00:00:00Z",
    });
    let mut record = RolloutRecord::parse(json.to_string().as_bytes()).unwrap();
    let arm = |version: &u64| Arm {
        name: format!("arm{version}"),
        version: v(*version),
        share_bp,
        manifest_sha256: None,
    };
    record.arms = versions.iter().map(arm).collect();
    record
}

fn policy() -> Policy {
    Policy {
        gate_at_start: Gate::Serve,
        retry_first: Duration::from_secs(1),
        retry_max: Duration::from_secs(8),
        proposals_max: 4,
        keeps_previous: false,
        follow_delay: Duration::ZERO,
    }
}

fn good() -> Result<LoadedInfo, LoadError> {
    Ok(LoadedInfo {
        manifest_sha256: None,
        resident_bytes: 100,
        golden_query_failure: None,
        degraded: String::new(),
        refetched: String::new(),
    })
}

fn bad(kind: LoadErrorKind, is_retryable: bool) -> Result<LoadedInfo, LoadError> {
    Err(LoadError {
        kind,
        message: format!("it is {}", kind.as_str()),
        is_retryable,
    })
}

/// A manager, and a disk whose errands most tests do not look at.
struct Stage {
    manager: ModelManager,
    now: Now,
    /// What was asked of the disk.
    errands: Vec<Action>,
    /// What the disk says to a write.
    disk: Result<(), String>,
}

impl Stage {
    fn new() -> Self {
        Self::with(policy())
    }

    fn with(policy: Policy) -> Self {
        Self {
            manager: ModelManager::new(policy),
            now: at(0),
            errands: Vec::new(),
            disk: Ok(()),
        }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        self.manager.handle(event, self.now);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(mut action) = self.manager.next_action(self.now) {
            match &mut action {
                Action::Persist { record } => {
                    let rollout = record.number;
                    self.errands.push(action);
                    let outcome = self.disk.clone();
                    let kept = Event::Persisted { rollout, outcome };
                    self.manager.handle(kept, self.now);
                    continue;
                }
                Action::Restore => {
                    self.errands.push(action);
                    continue;
                }
                Action::Reply {
                    reply: Reply::Changed { phases, .. },
                    ..
                } => phases.clear(),
                _ => {}
            }
            actions.push(action);
        }
        actions
    }

    fn desired(&mut self, records: &[RolloutRecord]) -> Vec<Action> {
        self.tell(Event::Desired {
            chain: records.to_vec(),
            withdrawn: None,
        })
    }

    fn loaded(&mut self, version: u64, outcome: Result<LoadedInfo, LoadError>) -> Vec<Action> {
        self.tell(Event::Loaded {
            version: v(version),
            outcome,
            phases: Vec::new(),
        })
    }

    fn propose(&mut self, ticket: Ticket, version: u64, expected: Option<u64>) -> Vec<Action> {
        self.ask(ticket, Change::All(v(version)), expected)
    }

    fn ask(&mut self, ticket: Ticket, change: Change, expected: Option<u64>) -> Vec<Action> {
        let proposal = Proposal {
            change,
            expected_rollout: expected,
            author: "bob".into(),
            reason: "better".into(),
        };
        self.tell(Event::Propose { ticket, proposal })
    }

    fn recorded(&mut self, outcome: RecordOutcome) -> Vec<Action> {
        let took = Duration::ZERO;
        self.tell(Event::Recorded { outcome, took })
    }

    /// Rollout 1 with version 1 is live.
    fn with_one_live() -> Self {
        let mut stage = Self::new();
        stage.desired(&[rollout(1, &[1])]);
        stage.loaded(1, good());
        assert_eq!(stage.live(), Some(1));
        stage
    }

    fn wakeup(&self) -> Option<Duration> {
        self.manager.next_wakeup(self.now)
    }

    fn live(&self) -> Option<u64> {
        self.manager
            .versions
            .live
            .as_ref()
            .map(|record| record.number.get())
    }

    fn state(&self, version: u64) -> VersionState {
        self.manager.status().version(v(version)).unwrap().state
    }
}

fn load(version: u64, is_paced: bool) -> Action {
    Action::Load {
        version: v(version),
        is_paced,
        supply: Supply::Registry,
        named: None,
    }
}

fn activate(record: &RolloutRecord) -> Action {
    Action::Activate {
        record: record.clone(),
        candidate_bp: record.arms[0].share_bp,
    }
}

/// Version 1 was live before; phases are left out.
fn changed(version: u64, rollout: u64) -> Reply {
    let rollout = RolloutNumber::new(rollout).unwrap();
    Reply::Changed {
        previous: Some(v(1)),
        version: v(version),
        rollout,
        phases: Vec::new(),
    }
}

fn retire(version: u64) -> Action {
    Action::Retire {
        version: v(version),
    }
}

fn reply(ticket: Ticket, reply: Reply) -> Action {
    Action::Reply { ticket, reply }
}

#[test]
fn first_rollout_is_loaded_at_full_speed_and_activated() {
    let mut stage = Stage::new();
    assert_eq!(stage.desired(&[]), [], "an empty registry asks for nothing");
    let first = rollout(1, &[1]);
    assert_eq!(
        stage.desired(std::slice::from_ref(&first)),
        [load(1, false)]
    );
    assert_eq!(stage.loaded(1, good()), [activate(&first)]);
    assert_eq!(stage.state(1), VersionState::Live);
}

#[test]
fn new_rollout_retires_the_old_version_only_after_the_new_one_is_live() {
    let mut stage = Stage::with_one_live();
    let second = rollout(2, &[2]);
    assert_eq!(
        stage.desired(&[second.clone(), rollout(1, &[1])]),
        [load(2, true)]
    );
    assert_eq!(stage.live(), Some(1));
    assert_eq!(stage.loaded(2, good()), [activate(&second), retire(1)]);
    assert_eq!(stage.state(1), VersionState::Draining);
    stage.tell(Event::Freed { version: v(1) });
    assert_eq!(stage.state(1), VersionState::Retired);
}

#[test]
fn fleet_wide_loads_are_spread_and_a_callers_reload_starts_at_once() {
    let spread = Policy {
        follow_delay: Duration::from_secs(3),
        ..policy()
    };
    let mut stage = Stage::with(spread);
    let first = rollout(1, &[1]);
    let at_once = stage.desired(std::slice::from_ref(&first));
    assert_eq!(at_once, [load(1, false)], "nothing is live yet");
    stage.loaded(1, good());
    stage.now = at(10);
    let chain = [rollout(2, &[2]), first];
    assert_eq!(stage.desired(&chain), []);
    assert_eq!(stage.wakeup(), Some(Duration::from_secs(13)));
    stage.now = at(12);
    assert_eq!(
        stage.desired(&chain),
        [],
        "heard again, and not put off again"
    );
    stage.now = at(13);
    assert_eq!(stage.actions(), [load(2, true)]);
    stage.loaded(2, good());
    stage.desired(&[rollout(3, &[3]), rollout(2, &[2]), rollout(1, &[1])]);
    assert_eq!(stage.propose(7, 4, None), [load(4, true)]);
}

#[test]
fn empty_or_older_chain_changes_nothing() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(2, good());
    assert_eq!(stage.desired(&[]), []);
    assert_eq!(stage.desired(&[rollout(1, &[1])]), []);
    assert_eq!(stage.live(), Some(2));
}

#[test]
fn failed_load_keeps_previous_version_live_and_is_retried_with_growing_pauses() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    let mut due = 0;
    for pause in [1, 2, 4, 8, 8] {
        assert_eq!(
            stage.loaded(2, bad(LoadErrorKind::Registry("unavailable"), true)),
            []
        );
        assert_eq!(stage.live(), Some(1));
        due += pause;
        assert_eq!(stage.wakeup(), Some(Duration::from_secs(due)));
        stage.now = at(due);
        assert_eq!(stage.actions(), [load(2, true)]);
        assert_eq!(stage.wakeup(), None, "a load under way needs no clock");
    }
    assert!(
        stage
            .manager
            .status()
            .degraded
            .contains("desired rollout 2, serving rollout 1")
    );
}

#[test]
fn load_refused_for_memory_is_retried_when_memory_is_freed() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(2, bad(LoadErrorKind::MemoryBudget, true));
    assert_eq!(stage.actions(), []);
    assert_eq!(stage.tell(Event::MemoryFreed), [load(2, true)]);
    stage.loaded(2, bad(LoadErrorKind::Registry("unavailable"), true));
    assert_eq!(
        stage.tell(Event::MemoryFreed),
        [],
        "other failures wait for their time"
    );
    stage.now = at(10);
    assert_eq!(stage.actions(), [load(2, true)]);
    stage.loaded(2, bad(LoadErrorKind::MemoryBudget, false));
    assert_eq!(stage.tell(Event::MemoryFreed), [], "it would never fit");
}

#[test]
fn memory_freed_before_the_refusal_arrives_is_not_waited_for() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    assert_eq!(stage.tell(Event::MemoryFreed), [], "a load is under way");
    let again = stage.loaded(2, bad(LoadErrorKind::MemoryBudget, true));
    assert_eq!(again, [load(2, true)]);
    let again = stage.loaded(2, bad(LoadErrorKind::MemoryBudget, true));
    assert_eq!(again, [], "nothing was freed since");
    assert_eq!(stage.wakeup(), Some(Duration::from_secs(2)));
    stage.now = at(2);
    assert_eq!(stage.actions(), [load(2, true)]);
    stage.tell(Event::MemoryFreed);
    let waits = stage.loaded(2, bad(LoadErrorKind::Registry("unavailable"), true));
    assert_eq!(waits, [], "what was freed is no remedy for this");
}

#[test]
fn abandoned_version_is_not_retried_when_memory_is_freed() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(2, bad(LoadErrorKind::Registry("unavailable"), true));
    stage.desired(&[rollout(3, &[3]), rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(3, good());
    assert_eq!(stage.live(), Some(3));
    assert_eq!(stage.wakeup(), None);
}

#[test]
fn permanent_failure_is_not_retried() {
    let mut stage = Stage::with_one_live();
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    stage.loaded(2, bad(LoadErrorKind::Model("not_finite"), false));
    assert_eq!(stage.wakeup(), None);
    stage.now = at(1_000_000);
    assert_eq!(stage.actions(), []);
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn cold_start_falls_back_to_the_newest_servable_rollout() {
    let mut stage = Stage::new();
    let older = rollout(2, &[2]);
    let chain = [rollout(3, &[3]), older.clone(), rollout(1, &[1])];
    assert_eq!(stage.desired(&chain), [load(3, false)]);
    assert_eq!(
        stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), false)),
        [load(2, false)]
    );
    assert_eq!(stage.loaded(2, good()), [activate(&older)]);
    let degraded = stage.manager.status().degraded;
    assert!(
        degraded.contains("desired rollout 3, serving rollout 2"),
        "{degraded}"
    );
    assert!(
        degraded.contains("version 3 was refused: it is corrupt"),
        "{degraded}"
    );
}

#[test]
fn cold_start_does_not_fall_back_past_a_rollout_that_is_loading() {
    let mut stage = Stage::new();
    stage.propose(7, 1, None);
    let second = rollout(2, &[2]);
    let chain = [second, rollout(1, &[1])];
    assert_eq!(stage.desired(&chain), [load(1, false)], "the proposal's");
    let actions = stage.loaded(1, good());
    assert!(
        matches!(actions[..], [Action::Record { .. }, Action::Load { .. }]),
        "{actions:?}"
    );
    assert_eq!(stage.live(), None);
}

#[test]
fn arm_that_does_not_fit_makes_room_for_the_fallback() {
    let mut stage = Stage::new();
    let (split, older) = (rollout(2, &[2, 3]), rollout(1, &[1]));
    stage.desired(&[split, older.clone()]);
    assert_eq!(stage.loaded(2, good()), [load(3, false)]);
    assert_eq!(
        stage.loaded(3, bad(LoadErrorKind::MemoryBudget, true)),
        [retire(2), load(1, false)]
    );
    assert_eq!(stage.loaded(1, good()), [activate(&older)]);
}

#[test]
fn running_replica_that_cannot_follow_keeps_its_version() {
    let mut stage = Stage::with_one_live();
    let chain = [rollout(3, &[3]), rollout(2, &[2]), rollout(1, &[1])];
    assert_eq!(stage.desired(&chain), [load(3, true)]);
    assert_eq!(
        stage.loaded(3, bad(LoadErrorKind::Registry("corrupt"), false)),
        [],
        "rollout 2 is not tried"
    );
    assert_eq!(stage.live(), Some(1));
}

#[test]
fn failed_golden_queries_alone_do_not_stop_a_cold_start() {
    let odd = || {
        Ok(LoadedInfo {
            manifest_sha256: None,
            resident_bytes: 1,
            golden_query_failure: Some("probe 1 differs".into()),
            degraded: String::new(),
            refetched: String::new(),
        })
    };
    let mut stage = Stage::new();
    stage.desired(&[rollout(1, &[1])]);
    stage.loaded(1, odd());
    assert_eq!(stage.live(), Some(1));
    assert!(stage.manager.status().degraded.contains("probe 1 differs"));
    stage.desired(&[rollout(2, &[2]), rollout(1, &[1])]);
    assert_eq!(
        stage.loaded(2, odd()),
        [retire(2)],
        "beside a live version they do"
    );
    assert_eq!(stage.live(), Some(1));

    let strict = Policy {
        gate_at_start: Gate::Refuse,
        ..policy()
    };
    let mut stage = Stage::with(strict);
    stage.desired(&[rollout(1, &[1])]);
    assert_eq!(stage.loaded(1, odd()), [retire(1)]);
    assert_eq!(stage.live(), None);
}

#[test]
fn rollout_of_several_arms_goes_live_when_all_of_them_are_loaded() {
    let mut stage = Stage::with_one_live();
    let split = rollout(2, &[1, 2]);
    assert_eq!(
        stage.desired(&[split.clone(), rollout(1, &[1])]),
        [load(2, true)]
    );
    assert_eq!(stage.loaded(2, good()), [activate(&split)]);
    assert_eq!(stage.state(1), VersionState::Live);
}

#[test]
fn past_versions_are_listed_up_to_a_limit() {
    let mut stage = Stage::with_one_live();
    for number in 2..60 {
        stage.desired(&[rollout(number, &[number])]);
        stage.loaded(number, good());
        stage.tell(Event::Freed {
            version: v(number - 1),
        });
    }
    assert_eq!(stage.manager.status().versions.len(), 1 + PAST_VERSIONS_MAX);
}
