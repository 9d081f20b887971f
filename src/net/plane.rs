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
use super::service::Services;
use super::stages::Stages;
use crate::admission::QueueLimits;
use crate::metrics::Metrics;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A plane before it runs.
pub struct PlaneConfig {
    /// Label of metrics and threads: `data` or `admin`.
    pub name: &'static str,
    /// Bound already.
    pub listener: TcpListener,
    /// Threads.
    pub cores: usize,
    /// Connections open at once; more are closed.
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
    cores: Vec<oneshot::Receiver<()>>,
    acceptor: tokio::task::JoinHandle<()>,
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
                queue: config.queue,
                stages: stages.clone(),
                metrics: Arc::clone(metrics),
                jitter: fork(&mut jitter),
            };
            let (end, ended) = oneshot::channel();
            cores.push(core::start(index, core, Arc::clone(&services), end)?);
            ends.push(ended);
        }
        let acceptor = Acceptor {
            name: config.name,
            listener: config.listener,
            connections_max: config.connections_max,
            accepts_per_s_max: config.accepts_per_s_max,
            cores,
            stages: stages.clone(),
            metrics: Arc::clone(metrics),
        };
        Ok(Self {
            address,
            stages,
            cores: ends,
            acceptor: tokio::spawn(acceptor.run()),
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
    ChaCha8Rng::seed_from_u64(jitter.next_u64())
}

#[cfg(test)]
mod tests;
