//! One simulated server: the real manager and the real watch over the real registry; loads, disk and memory
//! are stood in for. It has the driver's part, and checks what the driver relies on.

use super::store::{Sky, SkyStore, Weather};
use crate::lifecycle::event::{Action, Event, PersistedRollout, Reply, Supply, Ticket};
use crate::lifecycle::handle::{Input, WatchReport};
use crate::lifecycle::manager::{ModelManager, Now, Policy};
use crate::lifecycle::state::{LoadError, LoadErrorKind, LoadedInfo, VersionState};
use crate::lifecycle::watch::{RecordRequest, Watch};
use crate::lifecycle::{Gate, Proposal};
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
use futures::FutureExt;
use futures::future::BoxFuture;
use hotshelf_registry::{
    Clock, Limits, ModelName, Options, Registry, RolloutRecord, Sha256Digest, Version,
};
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Versions in memory at most, those being loaded and on their way out among them (measured: 5 in 10,000
/// sequences; 2 live, 2 wanted, and one that makes way).
const RESIDENT_MAX: usize = 5;

/// Who asks at every step.
const KEYS: [&str; 4] = ["u1", "u2", "u3", "u4"];

/// What every replica shares.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) model: ModelName,
    pub(super) store: SkyStore,
    pub(super) metrics: Arc<Metrics>,
    /// Versions whose parts are damaged at the moment.
    pub(super) corrupt: Arc<Mutex<BTreeSet<u64>>>,
    pub(super) began: Instant,
}

/// A version for which no load ever succeeds.
pub(super) const BAD: u64 = 5;

/// A wall clock that is off by `skew_s` seconds.
#[derive(Clone, Default)]
pub(super) struct WallClock {
    skew_s: Arc<AtomicI64>,
}

impl WallClock {
    pub(super) fn set(&self, skew_s: i64) {
        self.skew_s.store(skew_s, Relaxed);
    }

    fn now(&self, began: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(began.elapsed()).unwrap();
        let skew = SignedDuration::from_secs(self.skew_s.load(Relaxed));
        // The year 2100: the store dates its objects by the real clock, which must not be ahead.
        Timestamp::from_second(4_102_444_800).unwrap() + passed + skew
    }
}

/// What outlives a crash.
#[derive(Default)]
pub(super) struct Disk {
    remembered: Option<RolloutRecord>,
    /// Versions whose parts are there, by their manifests.
    held: BTreeMap<Version, Sha256Digest>,
}

type Load = (Version, BoxFuture<'static, Result<LoadedInfo, LoadError>>);

pub(super) struct Replica {
    manager: ModelManager,
    watch: BoxFuture<'static, ()>,
    inputs: mpsc::Receiver<Input>,
    records: mpsc::Sender<RecordRequest>,
    registry: Registry,
    ground: Ground,
    pub(super) sky: Sky,
    pub(super) clock: WallClock,
    pub(super) disk: Disk,
    began: Instant,
    loads: Vec<Load>,
    resident: BTreeSet<Version>,
    leaving: Vec<Version>,
    keeping: Option<RolloutRecord>,
    is_recalling: bool,
    /// An event came since the last check.
    is_told: bool,
    /// When there was nothing to do.
    idle_at: Option<Now>,
    pub(super) live: Option<(RolloutRecord, u16)>,
    pub(super) replies: Vec<(Ticket, Reply)>,
}

fn policy() -> Policy {
    Policy {
        gate_at_start: Gate::Serve,
        retry_first: Duration::from_secs(1),
        retry_max: Duration::from_secs(30),
        proposals_max: 4,
        keeps_previous: true,
        follow_delay: Duration::from_secs(1),
    }
}

impl Replica {
    pub(super) fn start(ground: &Ground, (clock, disk): (WallClock, Disk), seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let sky = Sky::new(ChaCha8Rng::seed_from_u64(dice.next_u64()));
        let store = SkyStore {
            sky: sky.clone(),
            ..ground.store.clone()
        };
        let mut secret = [0; 32];
        dice.fill_bytes(&mut secret);
        let (wall, began) = (clock.clone(), ground.began);
        let options = Options {
            limits: Limits {
                race_rounds: 1,
                ..Limits::default()
            },
            seed: Some(secret),
            clock: Clock::from_fn(move || wall.now(began)),
        };
        let registry = Registry::with_store(Arc::new(store), Path::from("r")).with_options(options);
        let (sender, inputs) = mpsc::channel(256);
        let (records, requests) = mpsc::channel(1);
        let mut watch = Watch {
            model: ground.model.clone(),
            registry: registry.clone(),
            interval: Duration::from_secs(2),
            metrics: Arc::clone(&ground.metrics),
            inputs: sender,
            requests,
            repeat: Arc::default(),
            is_recording: false,
            jitter: dice,
        };
        let watch = async move { watch.run(&CancellationToken::new()).await };
        Self {
            manager: ModelManager::new(policy()),
            watch: watch.boxed(),
            inputs,
            records,
            registry,
            ground: ground.clone(),
            sky,
            clock,
            disk,
            began: Instant::now(),
            loads: Vec::new(),
            resident: BTreeSet::new(),
            leaving: Vec::new(),
            keeping: None,
            is_recalling: false,
            is_told: false,
            idle_at: None,
            live: None,
            replies: Vec::new(),
        }
    }

    /// Everything but the disk and the clock is lost.
    pub(super) fn crash(self, seed: u64) -> Self {
        let Self {
            ground,
            clock,
            disk,
            ..
        } = self;
        Self::start(&ground, (clock, disk), seed)
    }

    fn now(&self) -> Now {
        let wall = self.clock.now(self.ground.began);
        Now {
            monotonic: self.began.elapsed(),
            wall: UNIX_EPOCH
                + Duration::try_from(wall.duration_since(Timestamp::UNIX_EPOCH)).unwrap(),
        }
    }

    pub(super) fn propose(&mut self, ticket: Ticket, proposal: Proposal) -> Result<(), String> {
        self.tell(Event::Propose { ticket, proposal })
    }

    fn tell(&mut self, event: Event) -> Result<(), String> {
        self.manager.handle(event, self.now());
        self.is_told = true;
        self.settle()
    }

    /// One turn of the watch and of every load, and what they told.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        if turn(&mut self.watch).is_some() {
            return Err("the watch ended".to_owned());
        }
        while let Ok(input) = self.inputs.try_recv() {
            match input {
                Input::Event(event) => self.tell(event)?,
                Input::Report(WatchReport { registry_error, .. }) if !registry_error.is_empty() => {
                    let why = registry_error;
                    self.tell(Event::Unreadable { why })?;
                }
                _ => {}
            }
        }
        let mut loads = std::mem::take(&mut self.loads);
        let mut ended = Vec::new();
        loads.retain_mut(|(version, load)| match turn(load) {
            Some(outcome) => {
                ended.push((*version, outcome));
                false
            }
            None => true,
        });
        self.loads = loads;
        for (version, outcome) in ended {
            if let Ok(info) = &outcome {
                self.resident.insert(version);
                self.disk
                    .held
                    .extend(info.manifest_sha256.map(|digest| (version, digest)));
            }
            let phases = Vec::new();
            self.tell(Event::Loaded {
                version,
                outcome,
                phases,
            })?;
        }
        self.settle()
    }

    /// What a disk and a thread that frees do in their own time.
    pub(super) fn errands(&mut self, is_lucky: bool) -> Result<(), String> {
        if let Some(record) = self.keeping.take() {
            let rollout = record.number;
            let outcome = if is_lucky {
                self.disk.remembered = Some(record);
                Ok(())
            } else {
                Err("the disk is full".to_owned())
            };
            self.tell(Event::Persisted { rollout, outcome })?;
        }
        if std::mem::take(&mut self.is_recalling) {
            let since = String::new();
            let found = self.disk.remembered.clone();
            let outcome = match is_lucky {
                true => Ok(found.map(|record| PersistedRollout { record, since })),
                false => Err("the disk cannot be read".to_owned()),
            };
            self.tell(Event::Restored { outcome })?;
        }
        while let Some(version) = self.leaving.pop() {
            self.tell(Event::Freed { version })?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        let mut has_changed = std::mem::take(&mut self.is_told);
        let now = self.now();
        // Actions depend on what was told and on the clocks alone.
        if !has_changed && self.idle_at == Some(now) {
            return Ok(());
        }
        while let Some(action) = self.manager.next_action(now) {
            has_changed = true;
            self.perform(action)?;
        }
        self.idle_at = Some(now);
        // Most turns are idle, and a status costs more than they do.
        match has_changed {
            true => self.check(),
            false => Ok(()),
        }
    }

    fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Load {
                version, supply, ..
            } => self.load(version, supply),
            Action::Restore => self.is_recalling = true,
            Action::Persist { record } => self.keeping = Some(record),
            Action::Record { draft, over } => {
                let sent = self.records.try_send(RecordRequest { draft, over });
                sent.map_err(|_| "two records at a time".to_owned())?;
            }
            Action::Activate {
                record,
                candidate_bp,
            } => self.activate(record, candidate_bp)?,
            Action::Grow { candidate_bp } => {
                let (_, served) = self.live.as_mut().ok_or("grows with nothing live")?;
                if candidate_bp <= *served {
                    return Err(format!("a share fell from {served} to {candidate_bp}"));
                }
                *served = candidate_bp;
            }
            Action::Retire { version } => {
                self.resident.remove(&version);
                self.leaving.push(version);
            }
            Action::Reply { ticket, reply } => self.replies.push((ticket, reply)),
        }
        Ok(())
    }

    fn activate(&mut self, record: RolloutRecord, candidate_bp: u16) -> Result<(), String> {
        if let Some((past, served)) = &self.live {
            let desired = self.manager.status().desired;
            if desired.map(|desired| desired.number) != Some(record.number) {
                return Err(format!("went to {} and not to the newest", record.number));
            }
            if past.number > record.number {
                return Err(format!(
                    "went back from {} to {}",
                    past.number, record.number
                ));
            }
            if past.as_parent() == record.as_parent() && candidate_bp < *served {
                return Err("a share fell by activating the same record anew".to_owned());
            }
        }
        self.live = Some((record, candidate_bp));
        Ok(())
    }

    fn load(&mut self, version: Version, supply: Supply) {
        let (registry, ground) = (self.registry.clone(), self.ground.clone());
        let held = self.disk.held.get(&version).copied();
        let failed = |kind: LoadErrorKind, is_retryable| LoadError {
            kind,
            message: kind.as_str().to_owned(),
            is_retryable,
        };
        let load = async move {
            let manifest_sha256 = match supply {
                Supply::Cache => held.ok_or_else(|| failed(LoadErrorKind::Cache, false))?,
                Supply::Registry => {
                    let read = registry.manifest(&ground.model, version).await;
                    read.map_err(|error| LoadError::from(&error))?.sha256
                }
            };
            if version.get() == BAD {
                return Err(failed(LoadErrorKind::Model("not_finite"), false));
            }
            if ground.corrupt.lock().unwrap().contains(&version.get()) {
                return Err(failed(LoadErrorKind::Registry("unavailable"), true));
            }
            Ok(LoadedInfo {
                manifest_sha256: Some(manifest_sha256),
                resident_bytes: 1,
                golden_query_failure: None,
                degraded: String::new(),
                refetched: String::new(),
            })
        };
        self.loads.push((version, load.boxed()));
    }

    /// What holds at any moment.
    fn check(&self) -> Result<(), String> {
        if self.loads.len() > 1 {
            return Err("two loads at a time".to_owned());
        }
        let held = self.resident.len() + self.leaving.len() + self.loads.len();
        if held > RESIDENT_MAX {
            return Err(format!("{held} versions in memory"));
        }
        let Some((live, candidate_bp)) = &self.live else {
            return match self.manager.status().live {
                Some(_) => Err("the manager has something live that is not".to_owned()),
                None => Ok(()),
            };
        };
        let keys = if live.arms.len() > 1 { &KEYS[..] } else { &[] };
        for key in keys {
            live.arm_for(key, *candidate_bp)
                .ok_or("a key without arm")?;
        }
        let missing = live
            .arms
            .iter()
            .find(|arm| !self.resident.contains(&arm.version));
        if let Some(arm) = missing {
            return Err(format!("arm {} is not in memory", arm.name));
        }
        let status = self.manager.status();
        if status.live.as_ref().map(|live| live.number) != Some(live.number) {
            return Err("the status speaks of another rollout".to_owned());
        }
        let is_live = |version| status.version(version).map(|entry| entry.state);
        let wrong = live
            .arms
            .iter()
            .find(|arm| is_live(arm.version) != Some(VersionState::Live));
        wrong.map_or(Ok(()), |arm| {
            Err(format!("version {} is not shown as live", arm.version))
        })
    }

    /// Does it hold what it should, and nothing beside? Its share may be ahead of the clock's where clocks
    /// have jumped: what was given is not taken back.
    pub(super) fn is_settled_on(&self, head: &RolloutRecord, may_be_ahead: bool) -> bool {
        let is_live = self.live.as_ref().is_some_and(|(live, candidate_bp)| {
            let share = head.first_share_at(self.clock.now(self.ground.began));
            let is_due = *candidate_bp == share || (may_be_ahead && *candidate_bp > share);
            live.as_parent() == head.as_parent() && is_due
        });
        is_live && self.resident.len() <= head.arms.len() + 1
    }

    /// For messages.
    pub(super) fn described(&self) -> String {
        let status = self.manager.status();
        format!(
            "live {:?}, wanted {:?}, in memory {:?}, {:?}, {}",
            self.live.as_ref().map(|(live, bp)| (live.number, *bp)),
            status.desired.map(|desired| desired.number),
            self.resident,
            status
                .versions
                .iter()
                .map(|(v, entry)| (v.get(), entry.state))
                .collect::<Vec<_>>(),
            status.degraded
        )
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.sky.set(weather);
    }
}

/// One turn of a future that may be polled again later.
fn turn<T>(future: &mut BoxFuture<'static, T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
