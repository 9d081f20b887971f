//! What runs beside the lifecycle and the gRPC planes: readiness, and what the HTTP pages show.

use crate::grpc::Health;
use crate::jitter::jittered;
use crate::metrics::Metrics;
use crate::net::http_plane::Pages;
use crate::readiness::Readiness;
use crate::supervisor::{Supervised, Supervisor, TaskBoard, TaskName};
use hotshelf_registry::Registry;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A task that has failed again and again for this long, by half more or less, fails `/livez` (chosen: a
/// kubelet that restarts the container for it forgets its own backoff after ten minutes, so that a cause
/// which no restart heals costs a serving replica seconds an hour, and the fleet not all at once).
const NOT_ALIVE_AFTER: Duration = Duration::from_secs(20 * 60);

/// One supervised task, and how it is ended.
pub(super) struct Background {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Background {
    pub(super) fn start(
        supervisor: &Supervisor,
        name: &'static str,
        task: impl Supervised,
    ) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let name = TaskName::of_server(name);
        supervisor.spawn(&mut tasks, name, stop.clone(), task);
        Self { tasks, stop }
    }

    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Reports readiness once every model is live.
pub(super) struct BecomeReady {
    /// Of each model.
    pub(super) lives: Vec<watch::Receiver<bool>>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) registry: Registry,
    pub(super) health: Health,
}

impl Supervised for BecomeReady {
    async fn run(&mut self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = all_live(&mut self.lives) => {}
            () = self.readiness.follow_published(&self.registry) => {}
        }
        self.readiness.set_ready();
        self.health.set_ready(true).await;
        tracing::info!("ready");
        stop.cancelled().await;
    }
}

async fn all_live(lives: &mut [watch::Receiver<bool>]) {
    for live in lives {
        // A driver that has ended means shutdown.
        let _ = live.wait_for(|is_live| *is_live).await;
    }
}

/// What the HTTP plane shows.
pub(super) fn pages(
    (readiness, metrics): (&Arc<Readiness>, &Arc<Metrics>),
    board: Arc<TaskBoard>,
    jitter: &mut ChaCha8Rng,
) -> Pages {
    let readiness = Arc::clone(readiness);
    let limit = jittered(NOT_ALIVE_AFTER, jitter);
    Pages {
        live: Arc::new(move || match board.failing_for_longer_than(limit) {
            lasting if lasting.is_empty() => Ok(board.failing()),
            lasting => Err(lasting),
        }),
        metrics: Arc::clone(metrics),
        ready: Arc::new(move || readiness.check()),
    }
}
