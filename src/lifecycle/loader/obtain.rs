//! The first half of a load: from the registry or the cache folder into memory of this process, within the
//! memory budget.

use super::{Load, Source, Steps, card, check_revision, revision_refusal};
use crate::lifecycle::budget::{Need, Reservation};
use crate::lifecycle::event::Supply;
use crate::lifecycle::manager::Gate;
use crate::lifecycle::state::{LoadError, LoadErrorKind, VersionState};
use bytes::Bytes;
use hotshelf_model::Model;
use hotshelf_registry::{Damaged, LocalParts, Manifest, Registry};
use std::collections::BTreeMap;

/// A version's parts, their bytes verified.
pub(super) struct Obtained {
    pub(super) manifest: Manifest,
    /// Without those that the version does not require and this server does not know.
    pub(super) parts: BTreeMap<String, Bytes>,
    pub(super) reservation: Reservation,
    /// Not empty: what was damaged, in the cache or in transit, and was refetched.
    pub(super) refetched: String,
    /// Not empty: what the registry has in place of the manifest that was loaded.
    pub(super) restored: String,
}

/// A version on disk, and the memory reserved for it.
struct Fetched {
    manifest: Manifest,
    /// The manifest without the parts that are left out.
    needed: Manifest,
    restored: String,
    local: LocalParts,
    reservation: Reservation,
}

/// A manifest without the parts that its version does not require and this server does not know.
pub fn needed(manifest: &Manifest) -> Manifest {
    manifest.needed(Model::knows_part)
}

fn parts_bytes(manifest: &Manifest) -> u64 {
    let sizes = manifest.parts.iter().map(|part| part.size_bytes);
    sizes.fold(0, u64::saturating_add)
}

/// Callbacks of a load: for Verifying, and after every piece of work.
type Callbacks<'a> = (&'a mut dyn FnMut(VersionState), &'a mut dyn FnMut(usize));

impl Load {
    /// Fetches and seals. What sealing refuses is refetched once where that can help, within the
    /// reservation: what was sealed by then is dropped first.
    pub(super) fn obtain(
        &self,
        source: &Source,
        steps: &mut Steps,
        (progress, breathe): Callbacks<'_>,
    ) -> Result<Obtained, LoadError> {
        let Fetched {
            manifest,
            needed,
            restored,
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
                        restored,
                    });
                }
                (Err(error), Some(damaged)) if self.supply == Supply::Registry => {
                    refetched = self.damage(damaged, &error);
                }
                (Err(error), _) => return Err(error),
            }
            steps.run("fetch", || {
                on_own_runtime(source, async |registry| {
                    let fetched = registry.refetch(&needed, &source.cache, &mut local).await;
                    fetched.map_err(|error| LoadError::from(&error))
                })
            })?;
        }
    }

    /// From the registry, reusing what the cache has.
    fn fetch(&self, source: &Source) -> Result<Fetched, LoadError> {
        on_own_runtime(source, async |registry| {
            let (manifest, restored) = match self.manifest(source, &registry).await {
                Ok(found) => found,
                // A manifest never changes: the persisted one is as good.
                Err(error) if error.is_retryable() => {
                    return self.held(source).map_err(|_| LoadError::from(&error));
                }
                Err(error) => return Err(LoadError::from(&error)),
            };
            let needed = needed(&manifest);
            let reservation = self.reserve(source, &needed)?;
            self.make_room(source, &manifest);
            let local = registry.fetch(&needed, &source.cache).await;
            let local = local.map_err(|error| LoadError::from(&error))?;
            Ok(Fetched {
                manifest,
                needed,
                restored,
                local,
                reservation,
            })
        })
    }

    /// The manifest under the version's number. Where that is not the one that a rollout names, the named
    /// one, from this server's disk or from its copy in the registry, and what is wrong with the other.
    async fn manifest(
        &self,
        source: &Source,
        registry: &Registry,
    ) -> Result<(Manifest, String), hotshelf_registry::Error> {
        let stored = registry.named_manifest(&self.model, self.version, self.named);
        let (error, named) = match (stored.await, self.named) {
            (Ok(manifest), _) => return Ok((manifest, String::new())),
            (Err(error), Some(named)) if error.leaves_copy() => (error, named),
            (Err(error), _) => return Err(error),
        };
        let persisted = self.persisted(source).ok();
        let original = match persisted.filter(|one| one.sha256 == named) {
            Some(original) => Some(original),
            None => {
                let (model, version) = (&self.model, self.version);
                registry.copied_manifest(model, version, named).await?
            }
        };
        let Some(original) = original else {
            return Err(error);
        };
        let why = crate::error::with_causes(&error);
        tracing::warn!(model = %self.model, error = why, "serving the manifest that the rollout names");
        Ok((original, why))
    }

    /// Logs the damage, and returns it in words for the version's status.
    fn damage(&self, damaged: Damaged, error: &LoadError) -> String {
        let (model, error) = (&self.model, &error.message);
        match damaged {
            Damaged::InCache => {
                tracing::warn!(%model, error, "damaged in the cache; refetched");
                format!("damaged in the cache and refetched: {error}")
            }
            Damaged::InTransit => {
                tracing::warn!(%model, error, "damaged in transit; refetched");
                format!("damaged in transit and refetched: {error}")
            }
        }
    }

    /// From the cache alone, by the persisted live set.
    fn held(&self, source: &Source) -> Result<Fetched, LoadError> {
        let manifest = self.persisted(source)?;
        let checked = manifest.check_is(self.named);
        checked.map_err(|error| LoadError::from(&error))?;
        let needed = needed(&manifest);
        let reservation = self.reserve(source, &needed)?;
        let held = source.cache.held(&needed);
        let local = held.map_err(|error| LoadError::from(&error))?;
        Ok(Fetched {
            manifest,
            needed,
            restored: String::new(),
            local,
            reservation,
        })
    }

    /// The manifest in the persisted live set.
    fn persisted(&self, source: &Source) -> Result<Manifest, LoadError> {
        let failed = |message| LoadError {
            kind: LoadErrorKind::Cache,
            message,
            is_retryable: true,
        };
        let set = source.restore(&self.model).map_err(failed)?;
        let manifest = set.as_ref().and_then(|set| set.manifest(self.version));
        let missing = || {
            failed(format!(
                "version {} is no longer persisted on disk",
                self.version
            ))
        };
        manifest.cloned().ok_or_else(missing)
    }

    /// By the manifest alone: nothing is fetched or allocated for a version that does not fit.
    fn reserve(&self, source: &Source, manifest: &Manifest) -> Result<Reservation, LoadError> {
        let card = card(manifest)?;
        match check_revision(card.scoring_revision) {
            Err(why) if source.other_revision == Gate::Refuse => {
                return Err(revision_refusal(self.version, &why));
            }
            _ => {}
        }
        let need = Need {
            parts_bytes: parts_bytes(manifest),
            working_bytes: card.working_bytes(),
        };
        source.budget.reserve(self.version, need)
    }

    /// Evicts other versions from the cache, so that it does not grow with every reload. One load of a
    /// model runs at a time, so no other load loses files.
    fn make_room(&self, source: &Source, manifest: &Manifest) {
        let mut kept = self.kept.clone();
        kept.insert(manifest.upload);
        match source.cache.evict_except(&self.model, &kept) {
            Ok(evicted) if evicted.uploads == 0 => {}
            Ok(evicted) => {
                let (uploads, bytes) = (evicted.uploads, evicted.bytes);
                tracing::info!(model = %self.model, uploads, bytes, "evicted from the cache");
            }
            // A cache that cannot be cleared may still have room; if not, the fetch fails and says so.
            Err(error) => {
                let error = crate::error::with_causes(&error);
                tracing::warn!(model = %self.model, error, "cannot evict from the cache");
            }
        }
    }
}

/// Calls the registry on a runtime of this thread's own, so that fetching takes no time from requests. The
/// runtime ends with the work, and so do its connections.
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
    let outcome = runtime.block_on(async {
        let registry = source.registry.detached();
        work(registry.map_err(|error| LoadError::from(&error))?).await
    });
    // A look at a mount that hangs must not keep the load, which has its outcome.
    runtime.shutdown_background();
    outcome
}
