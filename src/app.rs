//! The server as a whole: [`App::bind`] takes what it needs, [`App::run`] serves until it is told to stop.

mod background;
mod descriptors;
mod error;
mod listeners;
mod planes;

pub use error::AppError;
pub use listeners::Addresses;

use crate::config::{Config, memory_budget_bytes};
use crate::events::{Events, OpenEvents, UploadEvents};
use crate::fleet::{Fleet, FleetConfig, Heartbeats, Identity};
use crate::grpc::{Health, Operations, Plane as Services};
use crate::lifecycle::{Lifecycle, LifecycleConfig, MemoryBudget, Models, Policy, Source};
use crate::metrics::Metrics;
use crate::net::Plane;
use crate::net::http_plane::HttpPlane;
use crate::readiness::Readiness;
use crate::recents::Recents;
use crate::serving::DataPath;
use crate::serving::cache::{CacheLimits, ResponseCache};
use crate::supervisor::Supervisor;
use background::{Background, BecomeReady, pages};
use hotshelf_registry::{CacheDir, CacheLock, Registry};
use listeners::Listeners;
use planes::{Starter, drain};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::sync::Arc;

/// Callers of `ReloadModel` that may wait at once for one model.
const PROPOSALS_MAX: usize = 64;

/// A server that has its sockets and folders and does nothing yet.
pub struct App {
    config: Config,
    addresses: Addresses,
    listeners: Listeners,
    models: Arc<Models>,
    source: Source,
    identity: Identity,
    jitter: ChaCha8Rng,
    supervisor: Supervisor,
    events: Option<OpenEvents>,
    cache_lock: CacheLock,
}

impl App {
    /// Opens the registry, the cache folder and the event log, and binds all three listeners. Makes no request to
    /// the store: if it is down, the running server waits for it.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn bind(mut config: Config) -> Result<Self, AppError> {
        config.connections_max = descriptors::connections_max(config.connections_max);
        let registry = Registry::open(&config.registry, &config.s3).map_err(AppError::Registry)?;
        let cache = CacheDir::open(&config.cache_dir).map_err(AppError::Cache)?;
        let cache_lock = cache.lock().map_err(AppError::Cache)?;
        let models = Models::new(&config.models).ok_or(AppError::NoModel)?;
        let metrics = Metrics::new().expect("the families have distinct names; a test makes them");
        let listeners = Listeners::bind(&config)?;
        let addresses = listeners.addresses(&config);
        let named = (config.replica.clone(), config.advertise_addr.as_str());
        let identity = Identity::find(named, &config.cache_dir, addresses.data);
        let identity = identity.map_err(AppError::Identity)?;
        let models = Arc::new(models);
        let replica = identity.replica.as_str();
        let events = OpenEvents::open(
            &config.events,
            replica,
            &models,
            (&metrics.events, &metrics.recents),
        );
        let supervisor = Supervisor::new(metrics.lifecycle.task_restarts.clone());
        let source = Source {
            registry,
            origin: config.origin().into(),
            cache: Arc::new(cache),
            budget: budget(&config, &metrics),
            metrics: Arc::new(metrics),
            other_revision: config.other_revision,
        };
        Ok(Self {
            addresses,
            listeners,
            models,
            source,
            identity,
            events: events.map_err(AppError::Events)?,
            jitter: jitter()?,
            supervisor,
            cache_lock,
            config,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown`, then reports NOT_SERVING, gives callers `drain_delay` to go elsewhere,
    /// finishes the calls under way, and returns. Calls that outlive `drain_timeout` are closed.
    ///
    /// # Errors
    /// The system refuses threads, or a serving thread panicked. Then, too, the calls of the other threads
    /// are finished first.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), AppError> {
        let running = self.start().await?;
        let [data, admin] = &running.planes;
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            () = data.core_ended() => Err(AppError::ThreadEnded("data")),
            () = admin.core_ended() => Err(AppError::ThreadEnded("admin")),
        };
        running.shut_down().await;
        outcome
    }

    async fn start(mut self) -> Result<Running, AppError> {
        let health = Health::new().await;
        let lifecycle = self.lifecycle();
        let (fleet, heartbeats) = self.fleet(&lifecycle);
        let open = self.events.take();
        let recents = open.as_ref().and_then(|open| open.recents.clone());
        let (events, upload) = open.map(|open| (open.events, open.upload)).unzip();
        let data_path = Services::Data {
            path: Arc::new(self.data_path(recents)),
            events: events.clone(),
        };
        let operations = Services::Admin(self.operations(&lifecycle, fleet, events));
        let origin = Arc::clone(&self.source.origin);
        let readiness = Arc::new(Readiness::new(Arc::clone(&lifecycle.handles), origin));
        let board = Arc::clone(self.supervisor.board());
        let parts = (&readiness, &self.source.metrics);
        let pages = pages(parts, board, &mut self.jitter);
        let mut starter = Starter {
            config: &self.config,
            health: &health,
            metrics: &self.source.metrics,
            supervisor: &self.supervisor,
            jitter: self.jitter,
        };
        let Listeners { data, admin, http } = self.listeners;
        let data = starter.plane(data_path, data, self.config.data_threads)?;
        let admin = starter.plane(operations, admin, 1)?;
        let become_ready = BecomeReady {
            lives: lifecycle.live_flags(),
            readiness: Arc::clone(&readiness),
            registry: self.source.registry.clone(),
            health: health.clone(),
        };
        let http = HttpPlane {
            listener: http,
            pages,
        };
        let supervisor = &self.supervisor;
        let http = Background::start(supervisor, "http", http);
        let becoming_ready = Background::start(supervisor, "readiness", become_ready);
        let uploading = upload.map(|upload| {
            let task = Background::start(supervisor, "events", upload.clone());
            (task, upload)
        });
        let addresses = self.addresses;
        tracing::info!(data = %addresses.data, admin = %addresses.admin, http = %addresses.http,
            replica = %self.identity.replica, version = env!("CARGO_PKG_VERSION"), "listening");
        for (listener, address) in addresses.exposed() {
            tracing::warn!(listener, %address,
                "listener is reachable from other hosts and has no authentication");
        }
        Ok(Running {
            config: self.config,
            health,
            readiness,
            lifecycle,
            heartbeats,
            planes: [data, admin],
            http,
            becoming_ready,
            uploading,
            _cache_lock: self.cache_lock,
        })
    }

    fn operations(
        &self,
        lifecycle: &Lifecycle,
        fleet: Fleet,
        events: Option<Arc<Events>>,
    ) -> Operations {
        let default_model = self.config.models.first().map(ToString::to_string);
        Operations {
            models: Arc::clone(&lifecycle.handles),
            default_model: default_model.unwrap_or_default(),
            registry: self.source.registry.clone(),
            fleet,
            reload_timeout: self.config.reload_timeout,
            events,
        }
    }

    fn data_path(&mut self, recents: Option<Arc<Recents>>) -> DataPath {
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
            recents,
            recents_metrics: Arc::clone(&metrics.recents),
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
            supervisor: self.supervisor.clone(),
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
            supervisor: self.supervisor.clone(),
        })
    }
}

/// A server that serves.
struct Running {
    config: Config,
    health: Health,
    readiness: Arc<Readiness>,
    lifecycle: Lifecycle,
    heartbeats: Heartbeats,
    planes: [Plane; 2],
    http: Background,
    becoming_ready: Background,
    /// Where this server takes events.
    uploading: Option<(Background, UploadEvents)>,
    /// Another server may use the cache folder once this one has ended.
    _cache_lock: CacheLock,
}

impl Running {
    /// Each step once the one before is done, but for the replica's last report, which runs beside them
    /// and so takes time of its own only where nothing else does.
    async fn shut_down(self) {
        tracing::info!("shutting down");
        // Before the health, which it would set otherwise.
        self.becoming_ready.stop().await;
        self.readiness.set_draining();
        self.health.set_ready(false).await;
        let ended = async {
            tokio::time::sleep(self.config.drain_delay).await;
            // Before the drain, which would wait for callers of a reload otherwise.
            self.lifecycle.stop().await;
            drain(self.planes, &self.health, self.config.drain_timeout).await;
            // No caller is left who could record more.
            if let Some((task, upload)) = self.uploading {
                task.stop().await;
                upload.finish().await;
            }
        };
        tokio::join!(self.heartbeats.stop(), ended);
        self.http.stop().await;
    }
}

/// Spreads replicas that start together; nothing reproducible depends on it.
fn jitter() -> Result<ChaCha8Rng, AppError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(AppError::Randomness)?;
    Ok(ChaCha8Rng::from_seed(seed))
}

fn budget(config: &Config, metrics: &Metrics) -> Arc<MemoryBudget> {
    let limit_bytes = memory_budget_bytes(config.memory_bytes_max);
    let lifecycle = &metrics.lifecycle;
    let shown = i64::try_from(limit_bytes).unwrap_or(i64::MAX);
    lifecycle.memory_budget_bytes.set(shown);
    MemoryBudget::new(limit_bytes, lifecycle.memory_reserved_bytes.clone())
}
