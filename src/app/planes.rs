//! Starts the two gRPC planes from the configuration, and drains them.

use super::AppError;
use crate::admission::QueueLimits;
use crate::config::Config;
use crate::grpc::{Health, Limits, Plane as Services, Stack};
use crate::metrics::Metrics;
use crate::net::{ConnectionLimits, Plane, PlaneConfig};
use crate::supervisor::Supervisor;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What both planes share.
pub(super) struct Starter<'a> {
    pub(super) config: &'a Config,
    pub(super) health: &'a Health,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) supervisor: &'a Supervisor,
    pub(super) jitter: ChaCha8Rng,
}

impl Starter<'_> {
    /// Starts the threads that serve one listener.
    pub(super) fn plane(
        &mut self,
        services: Services,
        listener: TcpListener,
        cores: usize,
    ) -> Result<Plane, AppError> {
        let config = self.config;
        let limits = Limits {
            message_bytes_max: config.message_bytes_max,
            calls_max: config.calls_max,
            call_timeout: match &services {
                Services::Data { .. } => config.call_timeout,
                // A reload times out by itself and answers with the state so far.
                Services::Admin(_) => config.reload_timeout + config.call_timeout,
            },
        };
        let plane = PlaneConfig {
            name: services.name(),
            listener,
            cores,
            connections_max: config.connections_max,
            accepts_per_s_max: config.accepts_per_s_max,
            limits: ConnectionLimits {
                preface_timeout: config.preface_timeout,
                frame_timeout: config.frame_timeout,
                unread_timeout: config.unread_timeout,
                idle_timeout: config.idle_timeout,
                streams_max: config.streams_max,
                header_list_bytes_max: config.header_bytes_max,
                keepalive: config.keepalive,
                age: config.connection_age,
                grace: config.drain_timeout,
            },
            queue: QueueLimits {
                delay_max: config.wait_max,
            },
            jitter: ChaCha8Rng::seed_from_u64(self.jitter.next_u64()),
        };
        let stack = Stack::new(
            services,
            self.health.clone(),
            limits,
            Arc::clone(self.metrics),
        );
        let shared = (self.metrics, self.supervisor);
        Plane::start(plane, shared, move || stack.build()).map_err(AppError::Threads)
    }
}

/// Sends GOAWAY to every peer, ends health watches, which would never finish by themselves, and waits
/// for the calls under way. Those that outlive the limit are closed.
pub(super) async fn drain([data, admin]: [Plane; 2], health: &Health, limit: Duration) {
    let stages = [data.stages.clone(), admin.stages.clone()];
    for stage in &stages {
        stage.drain.cancel();
    }
    health.end().await;
    let mut ended = pin!(async { tokio::join!(data.ended(), admin.ended()) });
    if tokio::time::timeout(limit, ended.as_mut()).await.is_ok() {
        tracing::info!("drained");
        return;
    }
    tracing::warn!(
        limit_ms = limit.as_millis(),
        "drain timed out; closing open connections"
    );
    for stage in &stages {
        stage.kill.cancel();
    }
    ended.await;
}
