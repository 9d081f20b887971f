//! Open-loop traffic: requests leave when the schedule says so, whether or not earlier ones have been
//! answered, and latency counts from the schedule. A server that stalls cannot hide it.

use crate::grpc::client::{Client, RecommendAsk};
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Connections that the requests are spread over.
const CONNECTIONS: u32 = 4;
/// Tasks on each connection; a schedule that they cannot keep shows as latency.
const TASKS_PER_CONNECTION: u32 = 8;

/// What is going on while a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing but traffic.
    Steady,
    /// A model is being trained on all cores.
    Training,
    /// From the call of ReloadModel to a second after its answer.
    Swap,
    /// The new version, nothing but traffic.
    After,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Steady, Self::Training, Self::Swap, Self::After];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Training => "training",
            Self::Swap => "swap",
            Self::After => "after",
        }
    }
}

/// One request as its sender saw it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) phase: Phase,
    /// From the schedule to the answer.
    pub(super) latency: Duration,
    /// The version that answered, or why none did.
    pub(super) outcome: Result<u64, String>,
}

#[derive(Default)]
struct Shared {
    phase: AtomicU8,
    stop: AtomicBool,
    samples: Mutex<Vec<Sample>>,
}

impl Shared {
    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    fn samples(&self) -> std::sync::MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Running traffic, on a thread of its own.
pub(super) struct Traffic {
    shared: Arc<Shared>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Traffic {
    /// Begins to send `rate` requests per second, for one user after the other.
    pub(super) fn start(to: SocketAddr, users: Vec<String>, rate: u32) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("demo-traffic".to_owned())
            .spawn(move || runtime.block_on(send(to, Arc::new(users), rate.max(1), own)))?;
        Ok(Self { shared, thread })
    }

    /// Requests scheduled from now on belong to this phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Samples of one phase so far.
    pub(super) fn so_far(&self, phase: Phase) -> Vec<Sample> {
        self.shared
            .samples()
            .iter()
            .filter(|sample| sample.phase == phase)
            .cloned()
            .collect()
    }

    /// Stops sending and returns all samples.
    pub(super) fn finish(self) -> anyhow::Result<Vec<Sample>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow::anyhow!("the traffic thread panicked"))??;
        Ok(std::mem::take(&mut *self.shared.samples()))
    }
}

async fn send(
    to: SocketAddr,
    users: Arc<Vec<String>>,
    rate: u32,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let tasks = CONNECTIONS * TASKS_PER_CONNECTION;
    let period = Duration::from_secs(1) * tasks / rate;
    let mut running = tokio::task::JoinSet::new();
    let began = Instant::now();
    for connection in 0..CONNECTIONS {
        let client = Client::connect(&to.to_string()).await.context("traffic")?;
        for task in 0..TASKS_PER_CONNECTION {
            let index = connection * TASKS_PER_CONNECTION + task;
            let first = began + period * index / tasks;
            let (client, users) = (client.clone(), Arc::clone(&users));
            let sender = Sender {
                client,
                users,
                shared: Arc::clone(&shared),
            };
            running.spawn(sender.run(first, period, index as usize));
        }
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

struct Sender {
    client: Client,
    users: Arc<Vec<String>>,
    shared: Arc<Shared>,
}

impl Sender {
    async fn run(self, first: Instant, period: Duration, index: usize) {
        // A stride without a common factor with most sizes visits every user in turn.
        let (mut due, mut turn) = (first, index * 7_919);
        while !self.shared.stop.load(Ordering::Relaxed) {
            tokio::time::sleep_until(due.into()).await;
            let phase = self.shared.phase();
            let user_id = self.users[turn % self.users.len()].clone();
            let asked = self.client.recommend(RecommendAsk {
                user_id,
                ..RecommendAsk::default()
            });
            let outcome = asked.await;
            let latency = due.elapsed();
            let outcome = outcome
                .map(|list| list.version)
                .map_err(|error| error.to_string());
            self.shared.samples().push(Sample {
                phase,
                latency,
                outcome,
            });
            due += period;
            turn += 104_729;
        }
    }
}
