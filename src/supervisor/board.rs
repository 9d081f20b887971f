//! Which long-lived tasks fail, for `/livez` and status.

use hotshelf_terminal::text::one_line;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A task that has run for this long no longer counts as failing (chosen: twice the longest wait between two
/// restarts).
pub(super) const STEADY_AFTER: Duration = Duration::from_secs(60);
/// Characters of a cause that are shown.
const WHY_CHARS_MAX: usize = 200;

/// A task, as metrics, logs and status name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskName {
    /// What it does: the label of metrics.
    pub task: &'static str,
    /// The model it does that for, if for one alone.
    pub model: Option<String>,
}

impl TaskName {
    /// A task of the whole server.
    pub fn of_server(task: &'static str) -> Self {
        Self { task, model: None }
    }

    /// A task of one model.
    pub fn of_model(task: &'static str, model: &str) -> Self {
        Self {
            task,
            model: Some(model.to_owned()),
        }
    }
}

/// Every long-lived task of a server.
#[derive(Default)]
pub struct TaskBoard {
    states: Mutex<Vec<Arc<TaskState>>>,
}

/// One task's state.
pub(super) struct TaskState {
    name: TaskName,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    /// Without a run of [`STEADY_AFTER`] between them.
    in_a_row: u32,
    /// The first of them.
    since: Option<Instant>,
    why: String,
    /// `None` while it waits to be restarted.
    started: Option<Instant>,
}

impl TaskBoard {
    pub(super) fn add(&self, name: TaskName) -> Arc<TaskState> {
        let state = Arc::new(TaskState {
            name,
            failures: Mutex::default(),
        });
        locked(&self.states).push(Arc::clone(&state));
        state
    }

    /// A sentence for each failing task of this model and of the whole server.
    pub fn failing_for(&self, model: &str) -> Vec<String> {
        self.described(|state, _| {
            let of = state.name.model.as_deref();
            of.is_none_or(|of| of == model)
        })
    }

    /// A sentence for each failing task.
    pub fn failing(&self) -> Vec<String> {
        self.described(|_, _| true)
    }

    /// A sentence for each task that has failed again and again for this long.
    pub fn failing_for_longer_than(&self, limit: Duration) -> Vec<String> {
        self.described(|_, failures| failures.since.is_some_and(|since| since.elapsed() >= limit))
    }

    fn described(&self, wanted: impl Fn(&TaskState, &Failures) -> bool) -> Vec<String> {
        let states = locked(&self.states);
        let failing = states.iter().filter_map(|state| {
            let failures = locked(&state.failures);
            (failures.are_going_on() && wanted(state, &failures))
                .then(|| described(&state.name, &failures))
        });
        failing.collect()
    }
}

fn described(name: &TaskName, failures: &Failures) -> String {
    let of = name.model.as_ref();
    let of = of.map_or_else(String::new, |model| format!(" of model {model}"));
    let times = match failures.in_a_row {
        1 => "once".to_owned(),
        many => format!("{many} times in a row"),
    };
    format!("task {}{of} failed {times}: {}", name.task, failures.why)
}

impl TaskState {
    pub(super) fn name(&self) -> &TaskName {
        &self.name
    }

    pub(super) fn started(&self) {
        locked(&self.failures).started = Some(Instant::now());
    }

    /// Returns how many failures there were in a row.
    pub(super) fn failed(&self, why: &str) -> u32 {
        let mut failures = locked(&self.failures);
        if !failures.are_going_on() {
            *failures = Failures {
                since: Some(Instant::now()),
                ..Failures::default()
            };
        }
        failures.started = None;
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.why = one_line(why).chars().take(WHY_CHARS_MAX).collect();
        failures.in_a_row
    }
}

impl Failures {
    fn are_going_on(&self) -> bool {
        let started = self.started;
        let is_steady = started.is_some_and(|started| started.elapsed() >= STEADY_AFTER);
        self.in_a_row > 0 && !is_steady
    }
}

/// What these locks guard is written without a panic between, so that a poisoned one is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
