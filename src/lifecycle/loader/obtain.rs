//! The first half of a load: from the registry or the cache folder into memory that is this process's own,
//! within the memory budget.

use super::{Load, Source, Steps, card};
use crate::lifecycle::budget::{Need, Reservation};
use crate::lifecycle::event::Supply;
use crate::lifecycle::state::{LoadError, LoadErrorKind, VersionState};
use bytes::Bytes;
use hotshelf_registry::{Damaged, LocalParts, Manifest, Registry};
use std::collections::BTreeMap;

/// A version's parts, their bytes proved.
pub(super) struct Obtained {
    pub(super) manifest: Manifest,
    pub(super) parts: BTreeMap<String, Bytes>,
    pub(super) reservation: Reservation,
    /// Not empty: what was damaged, in the cache or on the way, and was fetched again.
    pub(super) refetched: String,
}

/// A version on disk, and the memory that it will take.
struct Fetched {
    manifest: Manifest,
    local: LocalParts,
    reservation: Reservation,
}

pub(super) fn parts_bytes(manifest: &Manifest) -> u64 {
    let sizes = manifest.parts.iter().map(|part| part.size_bytes);
    sizes.fold(0, u64::saturating_add)
}

/// Who hears of a load: of Verifying, and of every piece of work.
type Hearers<'a> = (&'a mut dyn FnMut(VersionState), &'a mut dyn FnMut(usize));

impl Load {
    /// Fetches and seals. What sealing refuses is fetched once more where that can help, within the
    /// reservation: what was sealed by then is dropped first.
    pub(super) fn obtain(
        &self,
        source: &Source,
        steps: &mut Steps,
        (progress, breathe): Hearers<'_>,
    ) -> Result<Obtained, LoadError> {
        let Fetched {
            manifest,
            mut local,
            reservation,
        } = steps.run("fetch", || match self.supply {
            Supply::Registry => self.fetch(source),
            Supply::Cache => self.held(source),
        })?;
        let mut refetched = String::new();
        loop {
            progress(VersionState::Verifying);
            let sealed = steps.run("verify", || {
                let sealed = local.seal(breathe);
                sealed.map_err(|error| LoadError::from(&error))
            });
            match (sealed, local.damaged()) {
                (Ok(parts), _) => {
                    return Ok(Obtained {
                        manifest,
                        parts,
                        reservation,
                        refetched,
                    });
                }
                (Err(error), Some(damaged)) if self.supply == Supply::Registry => {
                    refetched = self.told_of(damaged, &error);
                }
                (Err(error), _) => return Err(error),
            }
            steps.run("fetch", || {
                on_own_runtime(source, async |registry| {
                    let fetched = registry.refetch(&manifest, &source.cache, &mut local).await;
                    fetched.map_err(|error| LoadError::from(&error))
                })
            })?;
        }
    }

    /// From the registry, what the cache has already left where it is.
    fn fetch(&self, source: &Source) -> Result<Fetched, LoadError> {
        on_own_runtime(source, async |registry| {
            let manifest = registry.manifest(&self.model, self.version).await;
            let manifest = match manifest {
                Ok(manifest) => manifest,
                // A manifest never changes: the one that is remembered is as good.
                Err(error) if error.is_retryable() => {
                    return self.held(source).map_err(|_| LoadError::from(&error));
                }
                Err(error) => return Err(LoadError::from(&error)),
            };
            let reservation = self.reserve(source, &manifest)?;
            self.make_room(source, &manifest);
            let local = registry.fetch(&manifest, &source.cache).await;
            let local = local.map_err(|error| LoadError::from(&error))?;
            Ok(Fetched {
                manifest,
                local,
                reservation,
            })
        })
    }

    /// Tells the log, and returns what the version will be told of.
    fn told_of(&self, damaged: Damaged, error: &LoadError) -> String {
        let (model, error) = (&self.model, &error.message);
        match damaged {
            Damaged::InCache => {
                tracing::warn!(%model, error, "damaged in the cache; fetched again");
                format!("damaged in the cache and fetched again: {error}")
            }
            Damaged::InTransit => {
                tracing::warn!(%model, error, "damaged on the way; fetched again");
                format!("damaged on the way and fetched again: {error}")
            }
        }
    }

    /// From the cache alone, by what is remembered there.
    fn held(&self, source: &Source) -> Result<Fetched, LoadError> {
        let set = source.restore(&self.model).map_err(|message| LoadError {
            kind: LoadErrorKind::Cache,
            message,
            is_retryable: true,
        })?;
        let manifest = set.as_ref().and_then(|set| set.manifest(self.version));
        let manifest = manifest.cloned().ok_or_else(|| LoadError {
            kind: LoadErrorKind::Cache,
            message: format!("version {} is no longer persisted on disk", self.version),
            is_retryable: true,
        })?;
        let reservation = self.reserve(source, &manifest)?;
        let held = source.cache.held(&manifest);
        let local = held.map_err(|error| LoadError::from(&error))?;
        Ok(Fetched {
            manifest,
            local,
            reservation,
        })
    }

    /// By the manifest alone: nothing is fetched or allocated for a version that would not fit.
    fn reserve(&self, source: &Source, manifest: &Manifest) -> Result<Reservation, LoadError> {
        let need = Need {
            parts_bytes: parts_bytes(manifest),
            working_bytes: card(manifest)?.working_bytes(),
        };
        source.budget.reserve(self.version, need)
    }

    /// Removes what the cache holds of other versions, so that it does not grow with every reload.
    /// One load of a model runs at a time, so nothing is removed under another one.
    fn make_room(&self, source: &Source, manifest: &Manifest) {
        let mut kept = self.kept.clone();
        kept.insert(manifest.upload);
        match source.cache.evict_except(&self.model, &kept) {
            Ok(evicted) if evicted.uploads == 0 => {}
            Ok(evicted) => {
                let (uploads, bytes) = (evicted.uploads, evicted.bytes);
                tracing::info!(model = %self.model, uploads, bytes, "removed from the cache");
            }
            // A cache that cannot be cleared may still take this version; if not, fetch says so.
            Err(error) => {
                let error = crate::error::with_causes(&error);
                tracing::warn!(model = %self.model, error, "cannot clear the cache");
            }
        }
    }
}

/// Asks the registry on a runtime of this thread's own: fetching never takes a turn from requests. The
/// runtime ends with the work, and with it the connections that it opened.
fn on_own_runtime<T>(
    source: &Source,
    work: impl AsyncFnOnce(Registry) -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| LoadError {
        kind: LoadErrorKind::Resources,
        message: format!("cannot start the loader's runtime: {error}"),
        is_retryable: true,
    })?;
    runtime.block_on(async {
        let registry = source.registry.detached();
        work(registry.map_err(|error| LoadError::from(&error))?).await
    })
}
