//! Long-lived tasks: restarted with backoff where one panics or ends by itself, and seen while it fails.
//!
//! ```text
//! run ─▶ `stop` was cancelled: over
//!  ▲  └▶ panicked, or ended before that: counted, logged, shown ─▶ wait 0.1 s, 0.2 s, … 30 s ─┐
//!  └──────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Every long-lived task of the server is spawned here, which a test on the repository checks. Serving threads
//! are no tasks: their connections cannot be moved, so that the process ends when one of them does
//! (`crate::app`).

mod board;

pub use board::{TaskBoard, TaskName};

use crate::jitter::doubled;
use board::TaskState;
use futures::FutureExt;
use prometheus::IntCounterVec;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Wait before the first restart (chosen: short for people, and far longer than a restart takes).
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between two restarts (chosen: a cause that has gone is noticed within half a minute).
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A task that is to run for as long as the process.
pub trait Supervised: Send + 'static {
    /// Runs until `stop`. A task that has nothing more to do waits for it: one that ends earlier has failed
    /// and is run again. What must outlive a run is in `self`, and may be in any state that safe code
    /// leaves behind.
    fn run(&mut self, stop: &CancellationToken) -> impl Future<Output = ()> + Send;
}

/// Starts long-lived tasks. Clones share the board.
#[derive(Clone)]
pub struct Supervisor {
    board: Arc<TaskBoard>,
    restarts: IntCounterVec,
}

impl Supervisor {
    /// Counts in `restarts`, by `task`.
    pub fn new(restarts: IntCounterVec) -> Self {
        Self {
            board: Arc::default(),
            restarts,
        }
    }

    /// Which tasks fail.
    pub fn board(&self) -> &Arc<TaskBoard> {
        &self.board
    }

    /// Runs a task on the current runtime until `stop`, whatever becomes of its runs. `tasks` joins it.
    pub fn spawn(
        &self,
        tasks: &mut JoinSet<()>,
        name: TaskName,
        stop: CancellationToken,
        task: impl Supervised,
    ) {
        let restarts = self.restarts.clone();
        // A series that appears with the first failure has no increase to alert on.
        restarts.with_label_values(&[name.task]).inc_by(0);
        let state = self.board.add(name);
        tasks.spawn(supervise(task, state, restarts, stop));
    }
}

async fn supervise(
    mut task: impl Supervised,
    state: Arc<TaskState>,
    restarts: IntCounterVec,
    stop: CancellationToken,
) {
    let name = state.name();
    loop {
        state.started();
        let ended = AssertUnwindSafe(task.run(&stop)).catch_unwind().await;
        if stop.is_cancelled() {
            return;
        }
        let why = ended.map_or_else(|panic| panic_text(&*panic), |()| "it ended".to_owned());
        let failures = state.failed(&why);
        let pause = pause(failures);
        restarts.with_label_values(&[name.task]).inc();
        tracing::error!(
            task = name.task,
            model = name.model.as_deref(),
            why,
            failures,
            restart_in_ms = pause.as_millis(),
            "task failed; restarting it"
        );
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Before the restart after so many failures in a row.
fn pause(failures: u32) -> Duration {
    doubled(PAUSE_FIRST, failures.saturating_sub(1), PAUSE_MAX)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("not a text"))
}

#[cfg(test)]
mod tests;
