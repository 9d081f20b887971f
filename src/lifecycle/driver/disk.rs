//! The driver's work on the cache folder, each on a thread of its own: persists the live set, and restores
//! it.

use super::{Driver, Input};
use crate::lifecycle::event::{Event, PersistedRollout};
use hotshelf_registry::{Manifest, RolloutRecord};

impl Driver {
    /// Asks what was live here before; ends with `Event::Restored`.
    pub(super) fn restore(&mut self) {
        let source = self.source.clone();
        let model = self.handle.slot.name.clone();
        let work = move || {
            let recalled = source.restore(&model);
            let outcome = recalled.map(|set| {
                set.map(|set| PersistedRollout {
                    record: set.record,
                    since: set.saved_at,
                })
            });
            Input::Event(Event::Restored { outcome })
        };
        self.spawn("restore", work, |_, why| {
            let outcome = Err(why.to_owned());
            Input::Event(Event::Restored { outcome })
        });
    }

    /// Persists this record as live; ends with `Event::Persisted`.
    pub(super) fn persist(&mut self, record: RolloutRecord) {
        let source = self.source.clone();
        let arms = record.arms.iter();
        // A missing version is detected by the check of the set.
        let loaded = arms.filter_map(|arm| self.resident.get(&arm.version));
        let manifests: Vec<Manifest> = loaded
            .map(|loaded| loaded.manifest.as_ref().clone())
            .collect();
        let rollout = record.number;
        let model = self.handle.slot.name.clone();
        let metrics = self.metrics.clone();
        let work = move || {
            let outcome = source.persist(record, manifests);
            match &outcome {
                Ok(()) => {
                    tracing::info!(%model, %rollout, "live set persisted");
                }
                Err(error) => {
                    let failed = &metrics.lifecycle.persist_errors;
                    failed.with_label_values(&[model.as_str()]).inc();
                    tracing::warn!(%model, %rollout, error, "cannot persist the live set");
                }
            }
            Input::Event(Event::Persisted { rollout, outcome })
        };
        self.spawn("persist", work, move |_, why| {
            let outcome = Err(why.to_owned());
            Input::Event(Event::Persisted { rollout, outcome })
        });
    }
}
