//! A listener and the threads behind it.
//!
//! ```text
//! accept loop ──▶ core 0: current-thread runtime, its own copy of the services
//! (control       core 1: …
//!  runtime)      the core with the fewest connections gets the next one
//! ```
//!
//! A connection stays on its core: no locks between cores, no migration of tasks.

use super::accept::accept;
use super::call_tracking::HttpService;
use super::connection::{ConnectionLimits, End, Stages, serve};
use crate::admission::{self, Line, LineLimits};
use crate::metrics::Metrics;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Connections that wait for one core to take them (chosen: as many as the kernel's own queue).
const HANDOVER_MAX: usize = 1024;

/// Runs of tasks between two looks at the sockets (chosen: with the runtime's own 61, a request that
/// comes while others are computed would not be read for milliseconds).
const LOOK_AFTER_TASKS: u32 = 4;

/// What a core serves with, once it has been made there.
pub trait Services: 'static {
    /// What a connection is served with.
    type Service: HttpService;

    /// What serves a new connection with this place in the core's line of calls.
    fn connect(&self, line: Line) -> Self::Service;
}

/// A plane before it runs.
pub struct PlaneConfig {
    /// Label of metrics and threads: `data` or `admin`.
    pub name: &'static str,
    /// Bound already.
    pub listener: TcpListener,
    /// Threads.
    pub cores: usize,
    /// Connections open at once; more are closed at once.
    pub connections_max: usize,
    /// Connections accepted in a second, at least 1; more wait in the system's queue.
    pub accepts_per_s_max: u32,
    /// Of each connection; `age` is the mean, spread by a tenth either way.
    pub limits: ConnectionLimits,
    /// Of each core's line of calls.
    pub line: LineLimits,
    /// Spreads ages.
    pub jitter: ChaCha8Rng,
}

/// A running plane.
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    /// To drain and to end it.
    pub stages: Stages,
    cores: Vec<oneshot::Receiver<()>>,
    acceptor: tokio::task::JoinHandle<()>,
}

/// A core as the accept loop sees it.
pub(super) struct Core {
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) inbox: mpsc::Sender<TcpStream>,
}

struct CoreConfig {
    name: &'static str,
    limits: ConnectionLimits,
    line: LineLimits,
    stages: Stages,
    metrics: Arc<Metrics>,
    jitter: ChaCha8Rng,
}

impl Plane {
    /// Starts the threads and the accept loop. `services` is called once on every core.
    ///
    /// # Errors
    /// The system refuses a thread or a runtime.
    pub fn start<S: Services>(
        config: PlaneConfig,
        metrics: &Arc<Metrics>,
        services: impl Fn() -> S + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let services = Arc::new(services);
        let address = config.listener.local_addr()?;
        let stages = Stages::default();
        let mut jitter = config.jitter.clone();
        let (mut cores, mut ends) = (Vec::new(), Vec::new());
        for index in 0..config.cores {
            let core = CoreConfig {
                name: config.name,
                limits: config.limits.clone(),
                line: config.line,
                stages: stages.clone(),
                metrics: Arc::clone(metrics),
                jitter: fork(&mut jitter),
            };
            let (end, ended) = oneshot::channel();
            cores.push(start_core(index, core, Arc::clone(&services), end)?);
            ends.push(ended);
        }
        let accept = accept(config, cores, stages.clone(), Arc::clone(metrics));
        Ok(Self {
            address,
            stages,
            cores: ends,
            acceptor: tokio::spawn(accept),
        })
    }

    /// Waits until every connection is over; after `drain` they end by themselves, after `kill` now.
    pub async fn ended(self) {
        // A panicked accept loop or core has ended too.
        let _ = self.acceptor.await;
        for core in self.cores {
            let _ = core.await;
        }
    }
}

fn fork(jitter: &mut ChaCha8Rng) -> ChaCha8Rng {
    use rand_core::SeedableRng;
    ChaCha8Rng::seed_from_u64(jitter.next_u64())
}

fn start_core<S: Services>(
    index: usize,
    config: CoreConfig,
    services: Arc<impl Fn() -> S + Send + Sync + 'static>,
    end: oneshot::Sender<()>,
) -> io::Result<Core> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(LOOK_AFTER_TASKS)
        .build()?;
    let connections = Arc::new(AtomicUsize::new(0));
    let (inbox, outbox) = mpsc::channel(HANDOVER_MAX);
    let count = Arc::clone(&connections);
    let name = format!("hotshelf-{}-{index}", config.name);
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(run_core(config, services(), outbox, count));
        // Nobody waits any more where the process is ending at once.
        let _ = end.send(());
    })?;
    Ok(Core { connections, inbox })
}

async fn run_core<S: Services>(
    mut config: CoreConfig,
    services: S,
    mut outbox: mpsc::Receiver<TcpStream>,
    connections: Arc<AtomicUsize>,
) {
    let tracker = TaskTracker::new();
    let core = admission::Core::new(config.line);
    // The accept loop drops its end of the channel when the drain begins.
    while let Some(stream) = outbox.recv().await {
        let Some(stream) = adopt(stream) else {
            connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        };
        let limits = ConnectionLimits {
            age: config.age(),
            ..config.limits.clone()
        };
        let line = Line::new(&core);
        let service = (services.connect(line.clone()), line);
        let stages = config.stages.clone();
        let open = Open::new(&config, Arc::clone(&connections));
        tracker.spawn(async move {
            let end = serve(stream, service, limits, stages).await;
            open.ended(end);
        });
    }
    tracker.close();
    tracker.wait().await;
}

/// Counts a connection for as long as it is open, and then why it was closed.
struct Open {
    name: &'static str,
    metrics: Arc<Metrics>,
    connections: Arc<AtomicUsize>,
    /// Until its task ends in another way: then `None` where all was in good order.
    end: Option<&'static str>,
}

impl Open {
    fn new(config: &CoreConfig, connections: Arc<AtomicUsize>) -> Self {
        let (name, metrics) = (config.name, Arc::clone(&config.metrics));
        let open = &metrics.traffic.connections;
        open.with_label_values(&[name]).inc();
        Self {
            name,
            metrics,
            connections,
            end: Some("panicked"),
        }
    }

    fn ended(mut self, end: End) {
        self.end = end.reason();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let traffic = &self.metrics.traffic;
        traffic.connections.with_label_values(&[self.name]).dec();
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(reason) = self.end {
            let refused = &traffic.connections_refused;
            refused.with_label_values(&[self.name, reason]).inc();
        }
    }
}

impl CoreConfig {
    /// The mean age, spread by a tenth either way.
    fn age(&mut self) -> Duration {
        let spread = f64::from(self.jitter.next_u32()) / f64::from(u32::MAX);
        self.limits.age.mul_f64(0.9 + 0.2 * spread)
    }
}

/// Moves a socket from the accept loop's runtime to this one.
fn adopt(stream: TcpStream) -> Option<TcpStream> {
    let moved = stream.into_std().and_then(TcpStream::from_std);
    // Small answers must not wait for the peer's delayed acknowledgements.
    let ready = moved.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    ready
        .inspect_err(|error| tracing::debug!(%error, "connection lost at hand-over"))
        .ok()
}

#[cfg(test)]
mod tests;
