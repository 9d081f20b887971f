//! One model of this server as a member of the fleet: what it reports, and what it observes of the others.

use super::identity::Identity;
use super::view::{Assessor, FleetView, History, ReplicaView, other_manifest, own_state};
use crate::error::with_causes;
use crate::lifecycle::{ModelHandle, ModelStatus, sentences};
use arc_swap::ArcSwap;
use hotshelf_registry::{Registry, ReplicaFile, ReplicaState, Reported};
use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long one read of the others' files is reused (chosen: any number of watchers costs the store one read
/// a second).
const FRESH: Duration = Duration::from_secs(1);

/// Longest read of the others' files (chosen: a healthy store takes a hundredth; people wait for this).
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// One model of this server in the fleet.
pub struct Member {
    pub(super) handle: ModelHandle,
    pub(super) registry: Registry,
    identity: Identity,
    lost_after: Duration,
    /// Why this replica writes no heartbeat; empty where it does.
    not_reporting: ArcSwap<String>,
    /// When another process under this replica's name was seen last, and how it is described.
    conflict: Mutex<Option<(Instant, String)>>,
    history: Mutex<History>,
    observed: Mutex<Observed>,
    /// Held by the one who reads the others' files; concurrent callers share the result.
    reading: Semaphore,
    jitter: Mutex<ChaCha8Rng>,
}

/// What has become of another process under this replica's name.
pub(super) enum Namesake {
    /// It is there, and who it is.
    Appeared(String),
    /// It was not seen any more for some time.
    Gone,
}

/// The newest read of all replicas' files.
#[derive(Clone, Default)]
struct Observed {
    /// When it was tried last, with or without success.
    tried: Option<Instant>,
    /// As of the last success, and when that was.
    files: Arc<Vec<ReplicaFile>>,
    read: Option<Instant>,
    /// Why the last try failed; empty where it did not.
    trouble: String,
}

impl Member {
    pub(super) fn new(
        handle: ModelHandle,
        registry: Registry,
        identity: Identity,
        lost_after: Duration,
        jitter: ChaCha8Rng,
    ) -> Self {
        Self {
            handle,
            registry,
            identity,
            lost_after,
            not_reporting: ArcSwap::from_pointee("no heartbeat was written yet".to_owned()),
            conflict: Mutex::default(),
            history: Mutex::default(),
            observed: Mutex::default(),
            reading: Semaphore::new(1),
            jitter: Mutex::new(jitter),
        }
    }

    /// What this replica has to report now.
    pub(super) fn state(&self) -> ReplicaState {
        self.state_of(&self.handle.status.load())
    }

    fn state_of(&self, status: &ModelStatus) -> ReplicaState {
        let names = (&self.handle.slot.name, &self.identity);
        let mut state = own_state(names, status, &mut locked(&self.history));
        state.is_name_conflict = self.has_namesake();
        state.degraded = self.handle.degraded(status);
        state
    }

    /// Whether another process reports under this replica's name.
    pub(super) fn has_namesake(&self) -> bool {
        locked(&self.conflict).is_some()
    }

    /// A generator for one task or call.
    pub(super) fn new_jitter(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(locked(&self.jitter).next_u64())
    }

    pub(super) fn set_not_reporting(&self, why: &str) {
        if self.not_reporting.load().as_str() != why {
            self.not_reporting.store(Arc::new(why.to_owned()));
        }
    }

    /// Looks whether the file of this replica, which it has written before, is now another process's; then
    /// one name stands for both until the other has been away for as long as a lost replica. Returns what has
    /// changed. Costs one small read.
    pub(super) async fn look_for_namesake(&self) -> Option<Namesake> {
        let (model, replica) = (&self.handle.slot.name, &self.identity.replica);
        // A file that cannot be read is written again in a moment.
        let found = self.registry.replica(model, replica).await.ok().flatten();
        let other = match found {
            Some(Reported::State(state)) if state.instance != Some(self.identity.instance) => {
                Some(state).filter(|state| !state.is_stopped)
            }
            _ => None,
        };
        let mut conflict = locked(&self.conflict);
        let was = conflict.is_some();
        if let Some(other) = other {
            let why = format!(
                "another process reports as replica {replica} (address {}, started at {}); give each server \
                 a name and a cache folder of its own",
                other.address, other.started_at
            );
            *conflict = Some((Instant::now(), why.clone()));
            return (!was).then_some(Namesake::Appeared(why));
        }
        let is_over = |(seen, _): &mut (Instant, String)| seen.elapsed() > self.lost_after;
        conflict.take_if(is_over).map(|_| Namesake::Gone)
    }

    /// Why this replica writes no heartbeat, or shares its name with another process; else empty.
    pub fn not_reporting(&self) -> String {
        match &*locked(&self.conflict) {
            Some((_, why)) => why.clone(),
            None => self.not_reporting.load().as_ref().clone(),
        }
    }

    /// This replica as it knows itself, without a read of the store.
    pub fn own(&self) -> ReplicaView {
        let status = self.handle.status.load();
        self.assessor(&status).own(self.state_of(&status))
    }

    fn assessor<'a>(&self, status: &'a ModelStatus) -> Assessor<'a> {
        Assessor {
            desired: status.manager.desired.as_ref(),
            lost_after: self.lost_after,
            now: Timestamp::now(),
        }
    }

    /// All replicas. Costs what [`Registry::replicas`] does, at most once a second for all callers
    /// together; takes five seconds at most. Where the store does not answer, the others are shown as of
    /// the last read, with their ages growing, and the view says why.
    pub async fn view(&self) -> FleetView {
        let observed = self.observe().await;
        let status = self.handle.status.load_full();
        let assessor = self.assessor(&status);
        let own = assessor.own(self.state_of(&status));
        let passed = observed.read.map_or(Duration::ZERO, |read| read.elapsed());
        let others = observed.files.iter();
        let others = others.filter(|file| file.replica != own.replica);
        let others = others.filter_map(|file| {
            let mut file = file.clone();
            file.age += passed;
            assessor.other(file)
        });
        let others = others.map(|mut other| {
            let states = own.state.as_ref().zip(other.state.as_ref());
            let said = states.and_then(|(own, other)| other_manifest(own, other));
            other.held_back_by = sentences([other.held_back_by, said.unwrap_or_default()]);
            other
        });
        let mut replicas: Vec<ReplicaView> = others.collect();
        replicas.push(own);
        replicas.sort_by(|a, b| a.replica.cmp(&b.replica));
        FleetView {
            replicas,
            trouble: observed.trouble,
            not_reporting: self.not_reporting(),
        }
    }

    async fn observe(&self) -> Observed {
        // Dropped with the read, and never closed.
        let _permit = self.reading.acquire().await;
        let known = locked(&self.observed).clone();
        if known.tried.is_some_and(|at| at.elapsed() < FRESH) {
            return known;
        }
        let reading = self.registry.replicas(&self.handle.slot.name);
        let trouble = match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(Ok(files)) => {
                let now = Instant::now();
                let observed = Observed {
                    tried: Some(now),
                    files: Arc::new(files),
                    read: Some(now),
                    trouble: String::new(),
                };
                *locked(&self.observed) = observed.clone();
                return observed;
            }
            Ok(Err(error)) => with_causes(&error),
            Err(_) => format!("no answer within {} s", READ_TIMEOUT.as_secs()),
        };
        let mut observed = locked(&self.observed);
        observed.tried = Some(Instant::now());
        observed.trouble = trouble;
        observed.clone()
    }
}

/// What these locks guard is replaced as a whole, so that a poisoned one is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
