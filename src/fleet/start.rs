//! All models of this server as members of the fleet, and the tasks that report them.

use super::heartbeat::{FINAL_HEARTBEAT_TIMEOUT, Heartbeat};
use super::identity::Identity;
use super::member::Member;
use crate::lifecycle::ModelHandle;
use crate::metrics::Metrics;
use crate::supervisor::{Supervisor, TaskName};
use hotshelf_registry::Registry;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a fleet needs.
pub struct FleetConfig {
    /// Every model by name.
    pub handles: Arc<BTreeMap<String, ModelHandle>>,
    /// The registry that all of them follow.
    pub registry: Registry,
    /// Counts failed heartbeats.
    pub metrics: Arc<Metrics>,
    /// Who this server is.
    pub identity: Identity,
    /// Mean time between two heartbeats without a change.
    pub interval: Duration,
    /// Age of a heartbeat beyond which its replica is lost.
    pub lost_after: Duration,
    /// Spreads replicas.
    pub jitter: ChaCha8Rng,
    /// Restarts what fails.
    pub supervisor: Supervisor,
}

/// All models of this server. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    members: Arc<BTreeMap<String, Arc<Member>>>,
}

/// The heartbeat tasks, one a model.
pub struct Heartbeats {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// Starts one task per model on the current runtime.
    pub fn start(mut config: FleetConfig) -> (Self, Heartbeats) {
        let (mut members, mut tasks) = (BTreeMap::new(), JoinSet::new());
        let stop = CancellationToken::new();
        for (name, handle) in config.handles.iter() {
            let member = Arc::new(Member::new(
                handle.clone(),
                config.registry.clone(),
                config.identity.clone(),
                config.lost_after,
                ChaCha8Rng::seed_from_u64(config.jitter.next_u64()),
            ));
            let metrics = Arc::clone(&config.metrics);
            let heartbeat = Heartbeat::new(Arc::clone(&member), metrics, config.interval);
            let task = TaskName::of_model("heartbeat", name);
            let supervisor = &config.supervisor;
            supervisor.spawn(&mut tasks, task, stop.clone(), heartbeat);
            members.insert(name.clone(), member);
        }
        let fleet = Self {
            members: Arc::new(members),
        };
        (fleet, Heartbeats { stop, tasks })
    }

    /// This model as a member; `None` where it is not served here.
    pub fn member(&self, model: &str) -> Option<&Arc<Member>> {
        self.members.get(model)
    }
}

impl Heartbeats {
    /// Reports every model of this replica as stopped, for two seconds at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FINAL_HEARTBEAT_TIMEOUT, all)
            .await
            .is_err()
        {
            tracing::warn!("final heartbeat timed out");
        }
    }
}
