//! A listener and the threads behind it.
//!
//! ```text
//! accept loop ──▶ core 0: current-thread runtime, its own copy of the services
//! (control       core 1: …
//!  runtime)      the core with the fewest connections gets the next one
//! ```
//!
//! A connection stays on its core: no locks between cores, no migration of tasks.

use super::accept::Acceptor;
use super::core::{self, CoreConfig};
use super::limits::ConnectionLimits;
use super::probe_slots::ProbeSlots;
use super::service::Services;
use super::stages::Stages;
use crate::admission::QueueLimits;
use crate::metrics::Metrics;
use crate::supervisor::{Supervisor, TaskName};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections beyond the limit that are open at once, for health checks (chosen: at the default accept rate
/// each has a tenth of a second, however many others come).
pub const PROBES_MAX: usize = 128;

/// A plane before it runs.
pub struct PlaneConfig {
    /// Label of metrics and threads: `data` or `admin`.
    pub name: &'static str,
    /// Bound already.
    pub listener: TcpListener,
    /// Threads.
    pub cores: usize,
    /// Connections open at once; more serve health checks alone, for a second or two.
    pub connections_max: usize,
    /// Connections accepted in a second, at least 1; more wait in the system's queue.
    pub accepts_per_s_max: u32,
    /// Of each connection; `age` is the mean, spread by a tenth either way.
    pub limits: ConnectionLimits,
    /// Of each core's fair queue.
    pub queue: QueueLimits,
    /// Spreads ages.
    pub jitter: ChaCha8Rng,
}

/// A running plane.
pub struct Plane {
    /// Where it listens.
    pub address: SocketAddr,
    /// To drain and to end it.
    pub stages: Stages,
    /// Cancelled when a core's thread ends.
    cores: Vec<CancellationToken>,
    acceptor: JoinSet<()>,
}

impl Plane {
    /// Starts the threads and the accept loop. `services` is called once on every core.
    ///
    /// # Errors
    /// The system refuses a thread or a runtime.
    pub fn start<S: Services>(
        config: PlaneConfig,
        (metrics, supervisor): (&Arc<Metrics>, &Supervisor),
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
                queue: config.queue,
                stages: stages.clone(),
                metrics: Arc::clone(metrics),
                jitter: fork(&mut jitter),
            };
            let ended = CancellationToken::new();
            ends.push(ended.clone());
            let guard = ended.drop_guard();
            cores.push(core::start(index, core, Arc::clone(&services), guard)?);
        }
        let accepting = Acceptor {
            name: config.name,
            listener: config.listener,
            connections_max: config.connections_max,
            accepts_per_s_max: config.accepts_per_s_max,
            cores,
            probes: ProbeSlots::new(PROBES_MAX),
            metrics: Arc::clone(metrics),
        };
        let name = match config.name {
            "admin" => "accept_admin",
            _ => "accept_data",
        };
        let mut acceptor = JoinSet::new();
        let name = TaskName::of_server(name);
        supervisor.spawn(&mut acceptor, name, stages.drain.clone(), accepting);
        Ok(Self {
            address,
            stages,
            cores: ends,
            acceptor,
        })
    }

    /// Resolves when a core's thread ends. Before the drain that is a panic, and the core's connections
    /// are lost with it.
    pub async fn core_ended(&self) {
        let cores = self.cores.iter();
        let ends = cores.map(|core| Box::pin(core.cancelled()));
        futures::future::select_all(ends).await;
    }

    /// Waits until every connection is over; after `drain` they end by themselves, after `kill` now.
    pub async fn ended(mut self) {
        while self.acceptor.join_next().await.is_some() {}
        for core in self.cores {
            core.cancelled().await;
        }
    }
}

fn fork(jitter: &mut ChaCha8Rng) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(jitter.next_u64())
}

#[cfg(test)]
mod tests;
