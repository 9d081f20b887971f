//! The server as a whole: [`App::bind`] takes what it needs, [`App::run`] serves until told to stop.

use crate::admission::QueueLimits;
use crate::config::{Config, memory_budget_bytes};
use crate::fleet::{Fleet, FleetConfig, Heartbeats, Identity, IdentityError};
use crate::grpc::{Health, Limits, Operations, Plane as Services, Stack};
use crate::lifecycle::{Lifecycle, LifecycleConfig, MemoryBudget, Models, Policy, Source};
use crate::metrics::Metrics;
use crate::net::http_plane::{self, Pages};
use crate::net::{self, ConnectionLimits, Plane, PlaneConfig};
use crate::serving::DataPath;
use crate::serving::cache::{CacheLimits, ResponseCache};
use hotshelf_registry::{CacheDir, Registry};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Callers of `ReloadModel` that may wait at once for one model.
const PROPOSALS_MAX: usize = 64;

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// An address is taken or not ours.
    #[error("{setting}: cannot listen on {address}")]
    Bind {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// The registry's address is not one.
    #[error("registry")]
    Registry(#[source] hotshelf_registry::Error),
    /// The cache folder cannot be used.
    #[error("cache_dir")]
    Cache(#[source] hotshelf_registry::Error),
    /// No model is configured.
    #[error("models: none is named")]
    NoModel,
    /// The system has no randomness to give.
    #[error("randomness")]
    Randomness(#[source] getrandom::Error),
    /// This replica has no name.
    #[error("replica")]
    Identity(#[source] IdentityError),
    /// The system refuses threads.
    #[error("cannot start the serving threads")]
    Threads(#[source] io::Error),
}

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// gRPC, recommendations.
    pub data: SocketAddr,
    /// gRPC, operators.
    pub admin: SocketAddr,
    /// HTTP, probes and metrics.
    pub http: SocketAddr,
}

/// A server that has its sockets and folders and does nothing yet.
pub struct App {
    config: Config,
    addresses: Addresses,
    listeners: [TcpListener; 3],
    models: Arc<Models>,
    source: Source,
    identity: Identity,
    jitter: ChaCha8Rng,
}

impl App {
    /// Opens the registry and the cache folder and binds all three listeners. Makes no request to
    /// the store: one that is down is waited for while running.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn bind(config: Config) -> Result<Self, AppError> {
        let registry = Registry::open(&config.registry, &config.s3).map_err(AppError::Registry)?;
        let cache = CacheDir::open(&config.cache_dir).map_err(AppError::Cache)?;
        let models = Models::new(&config.models).ok_or(AppError::NoModel)?;
        let metrics = Metrics::new().expect("the families have distinct names; a test makes them");
        let data = bind("data_addr", config.data_addr)?;
        let admin = bind("admin_addr", config.admin_addr)?;
        let http = bind("http_addr", config.http_addr)?;
        let addresses = Addresses {
            data: local(&data, config.data_addr),
            admin: local(&admin, config.admin_addr),
            http: local(&http, config.http_addr),
        };
        let named = (config.replica.clone(), config.advertise_addr.as_str());
        let identity = Identity::find(named, &config.cache_dir, addresses.data);
        // Spreads replicas that start together; nothing that must be the same twice depends on it.
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(AppError::Randomness)?;
        let jitter = ChaCha8Rng::from_seed(seed);
        let budget = budget(&config, &metrics);
        let source = Source {
            registry,
            origin: config.origin().into(),
            cache: Arc::new(cache),
            budget,
            metrics: Arc::new(metrics),
        };
        Ok(Self {
            config,
            addresses,
            listeners: [data, admin, http],
            models: Arc::new(models),
            source,
            identity: identity.map_err(AppError::Identity)?,
            jitter,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown`, then says NOT_SERVING, waits for callers to turn away, lets what is
    /// under way finish, and returns. What is not finished by `drain_timeout` is closed.
    ///
    /// # Errors
    /// The system refuses threads.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), AppError> {
        let health = Health::new().await;
        let metrics = Arc::clone(&self.source.metrics);
        let lifecycle = self.lifecycle();
        let (fleet, telling) = self.fleet(&lifecycle);
        let data_path = Arc::new(self.data_path());
        let [data, admin, http] = self.listeners;
        let operations = Operations {
            models: Arc::clone(&lifecycle.handles),
            default_model: self
                .config
                .models
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            registry: self.source.registry.clone(),
            fleet,
            reload_timeout: self.config.reload_timeout,
        };
        let mut starter = Starter {
            config: &self.config,
            health: &health,
            metrics: &metrics,
            jitter: self.jitter,
        };
        let data = starter.plane(Services::Data(data_path), data, self.config.data_threads)?;
        let admin = starter.plane(Services::Admin(operations), admin, 1)?;
        let is_ready = Arc::new(AtomicBool::new(false));
        let pages = Pages {
            metrics: Arc::clone(&metrics),
            is_ready: Arc::clone(&is_ready),
        };
        let stop_http = CancellationToken::new();
        let http = tokio::spawn(http_plane::serve(http, pages, stop_http.clone()));
        let addresses = self.addresses;
        tracing::info!(data = %addresses.data, admin = %addresses.admin, http = %addresses.http,
            replica = %self.identity.replica, version = env!("CARGO_PKG_VERSION"), "listening");

        let serving = async {
            lifecycle.all_live().await;
            is_ready.store(true, Ordering::Relaxed);
            health.set_ready(true).await;
            tracing::info!("ready");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = serving => {}
        }

        tracing::info!("shutting down");
        is_ready.store(false, Ordering::Relaxed);
        health.set_ready(false).await;
        // Beside all that follows, so that it takes time of its own only where nothing else does.
        let told = tokio::spawn(telling.stop());
        tokio::time::sleep(self.config.drain_delay).await;
        // Before the drain, so that callers who wait for a reload are answered and not waited for.
        lifecycle.stop().await;
        drain([data, admin], &health, self.config.drain_timeout).await;
        // A panic has been logged, and leaves nothing to wait for.
        let _ = told.await;
        stop_http.cancel();
        // A panicked HTTP plane has ended too.
        let _ = http.await;
        Ok(())
    }

    fn data_path(&mut self) -> DataPath {
        let limits = CacheLimits {
            bytes_max: self.config.cache_bytes_max,
            ttl: self.config.cache_ttl,
            seed: self.jitter.next_u64(),
        };
        let metrics = &self.source.metrics;
        let cache = ResponseCache::new(limits, Arc::clone(metrics)).map(Arc::new);
        let shown = cache.clone();
        metrics
            .show_cache_bytes(move || shown.as_ref().map_or(0.0, |cache| cache.bytes() as f64))
            .expect("an app has one cache, and shows it once");
        DataPath {
            models: Arc::clone(&self.models),
            cache,
            may_pin: self.config.may_pin,
        }
    }

    fn fleet(&mut self, lifecycle: &Lifecycle) -> (Fleet, Heartbeats) {
        Fleet::start(FleetConfig {
            handles: Arc::clone(&lifecycle.handles),
            registry: self.source.registry.clone(),
            metrics: Arc::clone(&self.source.metrics),
            identity: self.identity.clone(),
            interval: self.config.replica_interval,
            lost_after: self.config.replica_lost,
            jitter: ChaCha8Rng::seed_from_u64(self.jitter.next_u64()),
        })
    }

    fn lifecycle(&mut self) -> Lifecycle {
        let part = f64::from(self.jitter.next_u32()) / f64::from(u32::MAX);
        Lifecycle::start(LifecycleConfig {
            models: Arc::clone(&self.models),
            source: self.source.clone(),
            policy: Policy {
                gate_at_start: self.config.gate_at_start,
                retry_first: self.config.retry_first,
                retry_max: self.config.retry_max,
                proposals_max: PROPOSALS_MAX,
                keeps_previous: self.config.keeps_previous,
                follow_delay: self.config.download_spread.mul_f64(part),
            },
            guardrails: self.config.guardrails.clone(),
            replica: self.identity.replica.clone(),
            watch_interval: self.config.watch_interval,
            jitter: ChaCha8Rng::seed_from_u64(self.jitter.next_u64()),
        })
    }
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    net::listen(address).map_err(|source| AppError::Bind {
        setting,
        address,
        source,
    })
}

fn budget(config: &Config, metrics: &Metrics) -> Arc<MemoryBudget> {
    let limit_bytes = memory_budget_bytes(config.memory_bytes_max);
    let lifecycle = &metrics.lifecycle;
    let shown = i64::try_from(limit_bytes).unwrap_or(i64::MAX);
    lifecycle.memory_budget_bytes.set(shown);
    MemoryBudget::new(limit_bytes, lifecycle.memory_reserved_bytes.clone())
}

fn local(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// What both planes share.
struct Starter<'a> {
    config: &'a Config,
    health: &'a Health,
    metrics: &'a Arc<Metrics>,
    jitter: ChaCha8Rng,
}

impl Starter<'_> {
    fn plane(
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
                Services::Data(_) => config.call_timeout,
                // A reload ends its wait by itself, with the state so far.
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
        Plane::start(plane, self.metrics, move || stack.build()).map_err(AppError::Threads)
    }
}

/// GOAWAY to everybody, then the end of health watchers, who would never finish by themselves.
async fn drain([data, admin]: [Plane; 2], health: &Health, limit: Duration) {
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
        "drain deadline reached; closing what is left"
    );
    for stage in &stages {
        stage.kill.cancel();
    }
    ended.await;
}
