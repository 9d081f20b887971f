//! Open-loop traffic to one server, each request with the phase of the demo in which it was sent.

use super::open_loop::{OpenLoop, Scheduled};
use crate::grpc::client::{Client, RecommendAsk};
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Connections that the requests are spread over.
const CONNECTIONS: usize = 4;
/// Requests in flight (chosen: a server that is this far behind has stopped).
const IN_FLIGHT_MAX: usize = 1_000;

/// What else runs while a request is sent.
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
    /// From the schedule to the response.
    pub(super) latency: Duration,
    /// The version that served it, or the error.
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
    /// Starts to send `rate` requests per second, for one user after the other.
    pub(super) fn start(to: SocketAddr, users: Vec<String>, rate: u32) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        // One thread for responses, one for the schedule: tokio's own timers are no finer than 1 ms.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("demo-traffic".to_owned())
            .spawn(move || send(&runtime, to, (&users, rate), &own))?;
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

fn send(
    runtime: &Runtime,
    to: SocketAddr,
    (users, rate): (&[String], u32),
    shared: &Arc<Shared>,
) -> anyhow::Result<()> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let client = runtime.block_on(Client::connect(&to.to_string()));
        clients.push(client.context("traffic")?);
    }
    let load = OpenLoop {
        rate,
        in_flight_max: IN_FLIGHT_MAX,
    };
    let request = |scheduled: Scheduled| {
        let client = clients[scheduled.number % CONNECTIONS].clone();
        let user_id = scheduled.user(users).to_owned();
        let shared = Arc::clone(shared);
        async move { request(&client, user_id, (&shared, scheduled.due)).await }
    };
    let is_over = |_| shared.stop.load(Ordering::Relaxed);
    let wait = |due| {
        wait_until(due);
        std::future::ready(())
    };
    runtime.block_on(load.run(wait, is_over, request));
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "this thread keeps a schedule and does nothing else"
)]
fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

async fn request(client: &Client, user_id: String, (shared, due): (&Shared, Instant)) {
    let phase = shared.phase();
    let ask = RecommendAsk {
        user_id,
        ..RecommendAsk::default()
    };
    let outcome = client.recommend(ask).await;
    let latency = due.elapsed();
    let outcome = outcome
        .map(|list| list.version)
        .map_err(|error| error.to_string());
    shared.samples().push(Sample {
        phase,
        latency,
        outcome,
    });
}
