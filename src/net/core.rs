//! One core of a listener: a thread with a current-thread runtime, its own copy of the services, and the
//! connections that the accept loop hands over.

use super::connection::serve;
use super::end::End;
use super::limits::ConnectionLimits;
use super::service::Services;
use super::stages::Stages;
use super::stream_resets::StreamResets;
use crate::admission::{FairQueue, Flow, QueueLimits};
use crate::metrics::Metrics;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Connections that wait for one core to take them (chosen: as many as the kernel's own queue).
const HANDOVER_MAX: usize = 1024;

/// Runs of tasks between two looks at the sockets (chosen: with the runtime's own 61, a request that
/// comes while others are computed would not be read for milliseconds).
const LOOK_AFTER_TASKS: u32 = 4;

/// A core as the accept loop sees it.
pub(super) struct Core {
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) inbox: mpsc::Sender<TcpStream>,
}

pub(super) struct CoreConfig {
    pub(super) name: &'static str,
    pub(super) limits: ConnectionLimits,
    pub(super) queue: QueueLimits,
    pub(super) stages: Stages,
    pub(super) metrics: Arc<Metrics>,
    pub(super) jitter: ChaCha8Rng,
}

/// Starts the thread; `end` is sent when its last connection has ended.
///
/// # Errors
/// The system refuses a thread or a runtime.
pub(super) fn start<S: Services>(
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
        // Nobody waits where the process ends without a drain.
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
    let queue = FairQueue::new(config.queue);
    let resets = Arc::new(StreamResets::new(&config.metrics, config.name));
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
        let flow = Flow::new(&queue);
        let service = (services.connect(flow.clone()), flow);
        let (stages, resets) = (config.stages.clone(), Arc::clone(&resets));
        let open = Open::new(&config, Arc::clone(&connections));
        tracker.spawn(async move {
            let end = serve(stream, service, limits, stages, resets).await;
            open.ended(end);
        });
    }
    tracker.close();
    tracker.wait().await;
}

/// Counts an open connection, and then the reason why it was closed.
struct Open {
    name: &'static str,
    metrics: Arc<Metrics>,
    connections: Arc<AtomicUsize>,
    /// `panicked` until the task ends otherwise; then `None` for a graceful end.
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
