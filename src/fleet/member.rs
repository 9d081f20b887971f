//! This server as a member of the fleet: one [`Member`] a model, which tells of itself and looks at the
//! others.

use super::heartbeat::{LAST_WORD_TIMEOUT, Teller};
use super::identity::Identity;
use super::view::{FleetView, History, Judge, ReplicaView, own_state};
use crate::error::with_causes;
use crate::lifecycle::{ModelHandle, ModelStatus};
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use hotshelf_registry::{Registry, ReplicaState, SeenReplica};
use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long what was read of the others is shown again (chosen: many who watch cost the store one look a
/// second).
const FRESH: Duration = Duration::from_secs(1);

/// What a fleet needs.
pub struct FleetConfig {
    /// Every model by name.
    pub handles: Arc<BTreeMap<String, ModelHandle>>,
    /// What all of them follow.
    pub registry: Registry,
    /// Counts what could not be told.
    pub metrics: Arc<Metrics>,
    /// Who this server is.
    pub identity: Identity,
    /// Mean time between two writes of what has not changed.
    pub interval: Duration,
    /// Age of a file beyond which its replica is lost.
    pub lost_after: Duration,
    /// Spreads replicas.
    pub jitter: ChaCha8Rng,
}

/// Longest wait for what the others tell (chosen: a healthy store takes a hundredth; people wait for this).
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// All models of this server. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    members: Arc<BTreeMap<String, Arc<Member>>>,
}

/// The tasks of a fleet, for whoever ends it.
pub struct Telling {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// One model's part in it.
pub struct Member {
    pub(super) handle: ModelHandle,
    pub(super) registry: Registry,
    identity: Identity,
    lost_after: Duration,
    /// Why nothing is written; empty where it is.
    silent: ArcSwap<String>,
    history: Mutex<History>,
    seen: Mutex<Seen>,
    /// Whoever reads the others' files; those who ask meanwhile wait for what he finds.
    looking: Semaphore,
    jitter: Mutex<ChaCha8Rng>,
}

/// What was read last of all replicas.
#[derive(Clone, Default)]
struct Seen {
    /// When somebody looked, with or without success.
    looked: Option<Instant>,
    /// As of the last success, and when that was.
    files: Arc<Vec<SeenReplica>>,
    read: Option<Instant>,
    /// Why the last look failed; empty where it did not.
    trouble: String,
}

impl Fleet {
    /// Starts one task per model on the current runtime.
    pub fn start(mut config: FleetConfig) -> (Self, Telling) {
        let (mut members, mut tasks) = (BTreeMap::new(), JoinSet::new());
        let stop = CancellationToken::new();
        for (name, handle) in config.handles.iter() {
            let member = Arc::new(Member {
                handle: handle.clone(),
                registry: config.registry.clone(),
                identity: config.identity.clone(),
                lost_after: config.lost_after,
                silent: ArcSwap::from_pointee("nothing was written yet".to_owned()),
                history: Mutex::default(),
                seen: Mutex::default(),
                looking: Semaphore::new(1),
                jitter: Mutex::new(ChaCha8Rng::seed_from_u64(config.jitter.next_u64())),
            });
            let jitter = member.new_jitter();
            let metrics = Arc::clone(&config.metrics);
            let teller = Teller::new(Arc::clone(&member), metrics, config.interval, jitter);
            tasks.spawn(teller.run(stop.clone()));
            members.insert(name.clone(), member);
        }
        let fleet = Self {
            members: Arc::new(members),
        };
        (fleet, Telling { stop, tasks })
    }

    /// This model's part; `None` where it is not served here.
    pub fn member(&self, model: &str) -> Option<&Arc<Member>> {
        self.members.get(model)
    }
}

impl Telling {
    /// Lets every model's replica say that it has stopped, for two seconds at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORD_TIMEOUT, all).await.is_err() {
            tracing::warn!("the registry did not take this replica's last word in time");
        }
    }
}

impl Member {
    /// What there is to tell now.
    pub(super) fn state(&self) -> ReplicaState {
        self.state_of(&self.handle.status.load())
    }

    fn state_of(&self, status: &ModelStatus) -> ReplicaState {
        let names = (&self.handle.slot.name, &self.identity);
        own_state(names, status, &mut locked(&self.history))
    }

    /// A generator of its own for each who waits.
    pub(super) fn new_jitter(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(locked(&self.jitter).next_u64())
    }

    pub(super) fn set_silent(&self, why: &str) {
        if self.silent.load().as_str() != why {
            self.silent.store(Arc::new(why.to_owned()));
        }
    }

    /// Why this replica writes no file; empty where it does.
    pub fn silent(&self) -> String {
        self.silent.load().as_ref().clone()
    }

    /// This replica by what it knows, without a look at the store.
    pub fn own(&self) -> ReplicaView {
        let status = self.handle.status.load();
        self.judge(&status).own(self.state_of(&status))
    }

    fn judge<'a>(&self, status: &'a ModelStatus) -> Judge<'a> {
        Judge {
            desired: status.manager.desired.as_ref(),
            lost_after: self.lost_after,
            now: Timestamp::now(),
        }
    }

    /// All replicas. Costs what [`Registry::replicas`] does, about once a second however many ask; takes
    /// five seconds at most. Where the store does not answer, the others are as they were seen last and
    /// grow older, and the view says why.
    pub async fn view(&self) -> FleetView {
        let seen = self.look().await;
        let status = self.handle.status.load_full();
        let judge = self.judge(&status);
        let own = judge.own(self.state_of(&status));
        let passed = seen.read.map_or(Duration::ZERO, |read| read.elapsed());
        let others = seen.files.iter().filter(|file| file.replica != own.replica);
        let others = others.filter_map(|file| {
            let mut file = file.clone();
            file.age += passed;
            judge.other(file)
        });
        let mut replicas: Vec<ReplicaView> = others.collect();
        replicas.push(own);
        replicas.sort_by(|a, b| a.replica.cmp(&b.replica));
        FleetView {
            replicas,
            trouble: seen.trouble,
            silent: self.silent(),
        }
    }

    async fn look(&self) -> Seen {
        // Dropped with the look, and never closed.
        let _turn = self.looking.acquire().await;
        let known = locked(&self.seen).clone();
        if known.looked.is_some_and(|at| at.elapsed() < FRESH) {
            return known;
        }
        let reading = self.registry.replicas(&self.handle.slot.name);
        let trouble = match tokio::time::timeout(LOOK_TIMEOUT, reading).await {
            Ok(Ok(files)) => {
                let now = Instant::now();
                let seen = Seen {
                    looked: Some(now),
                    files: Arc::new(files),
                    read: Some(now),
                    trouble: String::new(),
                };
                *locked(&self.seen) = seen.clone();
                return seen;
            }
            Ok(Err(error)) => with_causes(&error),
            Err(_) => format!("no answer within {} s", LOOK_TIMEOUT.as_secs()),
        };
        let mut seen = locked(&self.seen);
        seen.looked = Some(Instant::now());
        seen.trouble = trouble;
        seen.clone()
    }
}

/// What is behind these locks is replaced as a whole, so that a poisoned one is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
