//! One core of a listener: a thread with a current-thread runtime, its own copy of the services, and the
//! connections that the accept loop hands over.

use super::connection::serve;
use super::end::End;
use super::limits::ConnectionLimits;
use super::probe_slots::ProbeSlot;
use super::service::{Purpose, Services};
use super::stages::Stages;
use super::stream_resets::StreamResets;
use crate::admission::{FairQueue, Flow, QueueLimits};
use crate::metrics::Metrics;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

/// Connections that wait for one core to take them (chosen: as many as the kernel's own queue).
const HANDOVER_MAX: usize = 1024;

/// Runs of tasks between two looks at the sockets (chosen: with the runtime's own 61, a request that
/// comes while others are computed would not be read for milliseconds).
const LOOK_AFTER_TASKS: u32 = 4;

/// A core as the accept loop sees it.
pub(super) struct Core {
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) inbox: mpsc::Sender<Accepted>,
}

/// A connection on its way to its core.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    /// Where it may be used for probes alone.
    pub(super) probe: Option<Arc<ProbeSlot>>,
}

pub(super) struct CoreConfig {
    pub(super) name: &'static str,
    pub(super) limits: ConnectionLimits,
    pub(super) queue: QueueLimits,
    pub(super) stages: Stages,
    pub(super) metrics: Arc<Metrics>,
    pub(super) jitter: ChaCha8Rng,
}

/// Starts the thread; `ended` is cancelled when its last connection has ended, and when it panics.
///
/// # Errors
/// The system refuses a thread or a runtime.
pub(super) fn start<S: Services>(
    index: usize,
    config: CoreConfig,
    services: Arc<impl Fn() -> S + Send + Sync + 'static>,
    ended: DropGuard,
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
        let _ended = ended;
        runtime.block_on(run_core(config, services(), outbox, count));
    })?;
    Ok(Core { connections, inbox })
}

async fn run_core<S: Services>(
    mut config: CoreConfig,
    services: S,
    mut outbox: mpsc::Receiver<Accepted>,
    connections: Arc<AtomicUsize>,
) {
    let tracker = TaskTracker::new();
    let queue = FairQueue::new(config.queue);
    let resets = Arc::new(StreamResets::new(&config.metrics, config.name));
    // The accept loop drops its end of the channel when the drain begins.
    while let Some(Accepted { stream, probe }) = outbox.recv().await {
        let Some(stream) = adopt(stream) else {
            if probe.is_none() {
                connections.fetch_sub(1, Ordering::Relaxed);
            }
            continue;
        };
        let (purpose, limits) = match probe {
            None => (Purpose::Calls, config.limits()),
            Some(_) => (Purpose::Probe, config.limits.of_probes()),
        };
        let flow = Flow::new(&queue);
        let service = (services.connect(flow.clone(), purpose), flow);
        let (stages, resets) = (config.stages.clone(), Arc::clone(&resets));
        let counted = probe.is_none().then(|| Arc::clone(&connections));
        let open = Open::new(&config, counted);
        tracker.spawn(async move {
            let served = serve(stream, service, limits, stages, resets);
            let end = match &probe {
                None => Some(served.await),
                Some(slot) => slot.close.run_until_cancelled(served).await,
            };
            open.ended(end.unwrap_or(End::Evicted));
        });
    }
    tracker.close();
    tracker.wait().await;
}

/// Counts an open connection, and then the reason why it was closed.
struct Open {
    name: &'static str,
    metrics: Arc<Metrics>,
    /// `None` where it counts towards no limit.
    connections: Option<Arc<AtomicUsize>>,
    /// `panicked` until the task ends otherwise; then `None` for a graceful end.
    end: Option<&'static str>,
}

impl Open {
    fn new(config: &CoreConfig, connections: Option<Arc<AtomicUsize>>) -> Self {
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
        if let Some(connections) = &self.connections {
            connections.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(reason) = self.end {
            let refused = &traffic.connections_refused;
            refused.with_label_values(&[self.name, reason]).inc();
        }
    }
}

impl CoreConfig {
    /// With the mean age spread by a tenth either way.
    fn limits(&mut self) -> ConnectionLimits {
        let spread = f64::from(self.jitter.next_u32()) / f64::from(u32::MAX);
        ConnectionLimits {
            age: self.limits.age.mul_f64(0.9 + 0.2 * spread),
            ..self.limits.clone()
        }
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
