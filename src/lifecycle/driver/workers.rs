//! The driver's threads: a load, the freeing of a version, and the work of [`super::disk`]. Each ends with one
//! input for the driver, also where it panics, so that nothing is waited for in vain.

use super::{Driver, Input};
use crate::lifecycle::event::{Event, Supply};
use crate::lifecycle::live::LoadedVersion;
use crate::lifecycle::loader::{Load, LoadResult};
use crate::lifecycle::pacing::Pacer;
use crate::lifecycle::state::{LoadError, LoadErrorKind, VersionState};
use hotshelf_registry::{Sha256Digest, Version};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Driver {
    pub(super) fn load(
        &mut self,
        (version, named): (Version, Option<Sha256Digest>),
        is_paced: bool,
        supply: Supply,
    ) {
        let load = Load {
            model: self.handle.slot.name.clone(),
            version,
            named,
            is_paced,
            supply,
            kept: self
                .resident
                .values()
                .map(|loaded| loaded.manifest.upload)
                .collect(),
        };
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        tracing::info!(model = %load.model, %version, is_paced, ?supply, "loading");
        let work = move || {
            let mut progress = |state: VersionState| {
                let _ = inputs.blocking_send(Input::Event(Event::Progress { version, state }));
            };
            Input::Loaded(version, load.run(&source, &mut progress))
        };
        self.spawn("loader", work, move |kind, why| {
            let outcome = Err(LoadError {
                kind,
                message: format!("version {version}: {why}"),
                is_retryable: true,
            });
            let phases = Vec::new();
            Input::Loaded(version, LoadResult { phases, outcome })
        });
    }

    pub(super) fn free(&mut self, version: Version, loaded: LoadedVersion) {
        let model = self.handle.slot.name.clone();
        let work = move || {
            // Low priority: freeing hundreds of megabytes takes the kernel tens of milliseconds.
            let _pacer = Pacer::begin(true);
            drop(loaded);
            tracing::info!(%model, %version, "retired");
            Input::Event(Event::Freed { version })
        };
        // Without a thread the closure is dropped, and the version with it: freed here and now.
        self.spawn("retirer", work, move |_, _| {
            Input::Event(Event::Freed { version })
        });
    }

    /// Runs `work` on a thread of its own and takes its input; where it panics, or where the system has no
    /// thread, what `failed` makes of that.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Input + Send + 'static,
        failed: impl Fn(LoadErrorKind, &str) -> Input + Send + Clone + 'static,
    ) {
        let (inputs, model) = (self.handle.inputs.clone(), self.handle.slot.name.clone());
        let (task, panicked) = (name.to_owned(), failed.clone());
        let thread = std::thread::Builder::new().name(format!("hotshelf-{name}"));
        let started = thread.spawn(move || {
            let input = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                tracing::error!(%model, task, "thread panicked");
                panicked(LoadErrorKind::Panic, "the thread panicked")
            });
            // No receiver: the server is shutting down.
            let _ = inputs.blocking_send(input);
        });
        match started {
            Ok(worker) => self.workers.push(worker),
            Err(error) => {
                tracing::warn!(%error, task = name, "cannot start a thread");
                let why = format!("cannot start a thread: {error}");
                self.take(failed(LoadErrorKind::Resources, &why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};
    use crate::lifecycle::driver::Connections;
    use crate::lifecycle::handle::ModelHandle;
    use crate::lifecycle::live::Models;
    use crate::lifecycle::loader::Source;
    use crate::lifecycle::manager::{Gate, Policy};
    use crate::lifecycle::{MemoryBudget, WriteAccess};
    use crate::metrics::Metrics;
    use hotshelf_registry::{CacheDir, Registry};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::{mpsc, watch};

    fn driver(cache: &std::path::Path) -> Driver {
        let metrics = Arc::new(Metrics::new().unwrap());
        let flags = [
            ("registry", "memory:///"),
            ("models", "toy"),
            ("cache_dir", "x"),
        ];
        let flags = flags.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let layers = Layers {
            flags: flags.into(),
            ..Layers::default()
        };
        let config = Config::build(&layers).unwrap();
        let models = Models::new(&config.models).unwrap();
        let (inputs, received) = mpsc::channel(8);
        let handle = ModelHandle {
            slot: Arc::clone(models.slot("").unwrap()),
            inputs,
            status: Arc::default(),
            breaches: Arc::default(),
            write_access: watch::channel(WriteAccess::default()).1,
            tasks: Arc::default(),
        };
        let reserved = metrics.lifecycle.memory_reserved_bytes.clone();
        let source = Source {
            registry: Registry::open("memory:///", &config.s3).unwrap(),
            origin: "memory:///".into(),
            cache: Arc::new(CacheDir::open(cache).unwrap()),
            budget: MemoryBudget::new(1 << 30, reserved),
            metrics,
            other_revision: Gate::Refuse,
        };
        let connections = Connections {
            handle,
            source,
            guardrails: config.guardrails,
            records: mpsc::channel(1).0,
            repeat: Arc::default(),
            is_live: watch::channel(false).0,
        };
        let policy = Policy {
            gate_at_start: Gate::Serve,
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(1),
            proposals_max: 4,
            keeps_previous: true,
            follow_delay: Duration::ZERO,
        };
        Driver::new(policy, connections, received)
    }

    #[tokio::test]
    async fn thread_that_panics_reports_a_failure() {
        let cache = tempfile::tempdir().unwrap();
        let mut driver = driver(cache.path());
        let work = || panic!("a thread's mistake");
        driver.spawn("restore", work, |kind, why| {
            let outcome = Err(format!("{}: {why}", kind.as_str()));
            Input::Event(Event::Restored { outcome })
        });
        let Some(Input::Event(Event::Restored { outcome })) = driver.inputs.recv().await else {
            panic!("another input");
        };
        assert_eq!(outcome, Err("panic: the thread panicked".to_owned()));
    }
}
