//! The registry's handle: a store, a root, limits, randomness and a clock.

use crate::layout::Layout;
use crate::own_writes::OwnWrites;
use crate::random::Random;
use crate::store::{Backend, Store};
use crate::{Clock, Error, Limits, ModelName, S3Options, open};
use object_store::ObjectStore;
use object_store::path::Path;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// A registry of models: published versions and rollouts over one object store.
///
/// Cheap to clone; clones share the store's connections and the verdict on conditional writes. Every
/// call needs a tokio runtime with its timer enabled, and ends within the tries and times of [`Limits`].
///
/// Laws, whatever the store does:
/// - A version that can be read has all its parts.
/// - Numbers are never used twice, and of many writers of one number exactly one wins.
/// - Publishing changes no rollout; only [`Registry::propose`] does.
/// - Nothing is written before conditional writes of the store were verified.
/// - A failed or empty answer of the store is an error or nothing new, never an older state.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

/// What a registry can be given beside its store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes, tries and times.
    pub limits: Limits,
    /// Seed of upload ids, nonces and salts; from the system's randomness if `None`. Two writers
    /// with one seed would write into each other's uploads: for tests and golden files.
    pub seed: Option<[u8; 32]>,
    /// What `created_at` is taken from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            seed: None,
            clock: Clock::system(),
        }
    }
}

#[derive(Debug)]
struct Inner {
    store: Store,
    layout: Layout,
    limits: Limits,
    clock: Clock,
    /// What the self-test of create-only found; see `conditional_writes.rs`.
    conditional_writes: OnceCell<Result<(), String>>,
    own_writes: OwnWrites,
}

impl Registry {
    /// Opens `file:///absolute/path`, `s3://bucket/prefix` or `memory:///`; touches nothing yet. A
    /// folder that does not exist is an empty registry and is created by the first write; a bucket
    /// has to exist. The options apply to `s3://` alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other URL, and for `s3://` without credentials;
    /// [`Error::Unavailable`] where the system has no TLS certificates to trust.
    pub fn open(url: &str, s3: &S3Options) -> Result<Self, Error> {
        let (backend, root) = open::open(url, s3)?;
        Ok(Self::assemble(backend, root, Options::default()))
    }

    /// Whether `url` is well-formed; looks at nothing else.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_url(url: &str) -> Result<(), Error> {
        open::check(url)
    }

    /// The same registry over connections of its own. A connection is driven by the runtime that
    /// opened it, so a caller on a short-lived runtime takes such a handle: no call of
    /// others then ends with that runtime. Conditional writes are verified again.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn detached(&self) -> Result<Self, Error> {
        let backend = self.inner.store.backend.reopened()?;
        let options = Options {
            limits: self.inner.limits.clone(),
            seed: None,
            clock: self.inner.clock.clone(),
        };
        Ok(Self::assemble(
            backend,
            self.inner.layout.root().clone(),
            options,
        ))
    }

    /// Over a store of the caller's, below `root` in it.
    #[must_use]
    pub fn with_store(store: Arc<dyn ObjectStore>, root: Path) -> Self {
        Self::assemble(Backend::other(store), root, Options::default())
    }

    /// The same store with other options; conditional writes are verified again.
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        let backend = self.inner.store.backend.clone();
        Self::assemble(backend, self.inner.layout.root().clone(), options)
    }

    fn assemble(backend: Backend, root: Path, options: Options) -> Self {
        let Options {
            limits,
            seed,
            clock,
        } = options;
        let store = Store {
            backend,
            retry: limits.retry.clone(),
            random: Random::new(seed),
        };
        let layout = Layout::new(root);
        let inner = Inner {
            store,
            layout,
            limits,
            clock,
            conditional_writes: OnceCell::new(),
            own_writes: OwnWrites::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The models that have anything in this registry, sorted. Costs one listing of the root.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn models(&self) -> Result<Vec<ModelName>, Error> {
        let folders = self
            .store()
            .folders("the models", self.layout().root())
            .await?;
        Ok(folders
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect())
    }

    /// The models that have versions in this registry, sorted. Costs one listing, and one for each
    /// model.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn models_with_versions(&self) -> Result<Vec<ModelName>, Error> {
        let mut models = self.models().await?;
        for at in (0..models.len()).rev() {
            if self.version_numbers(&models[at]).await?.is_empty() {
                models.remove(at);
            }
        }
        Ok(models)
    }

    /// Whether there is a registry to read: the folder, or the bucket. Costs one listing where it is a
    /// bucket.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn exists(&self) -> Result<bool, Error> {
        self.store().exists(self.layout().root()).await
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn own_writes(&self) -> &OwnWrites {
        &self.inner.own_writes
    }

    pub(crate) fn conditional_writes(&self) -> &OnceCell<Result<(), String>> {
        &self.inner.conditional_writes
    }
}
