//! The driver's work on the cache folder, each on a thread of its own: persists the live set, and restores
//! it.

use super::{Driver, Input};
use crate::lifecycle::event::{Event, PersistedRollout};
use hotshelf_registry::{Manifest, RolloutRecord};

impl Driver {
    /// Asks what was live here before; ends with `Event::Restored`.
    pub(super) fn restore(&mut self) {
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        let model = self.handle.slot.name.clone();
        let started = self.spawn("restore", move || {
            let recalled = source.restore(&model);
            let outcome = recalled.map(|set| {
                set.map(|set| PersistedRollout {
                    record: set.record,
                    since: set.saved_at,
                })
            });
            let _ = inputs.blocking_send(Input::Event(Event::Restored { outcome }));
        });
        if let Err(error) = started {
            let outcome = Err(format!("cannot start a thread: {error}"));
            self.take(Input::Event(Event::Restored { outcome }));
        }
    }

    /// Persists this record as live; ends with `Event::Persisted`.
    pub(super) fn persist(&mut self, record: RolloutRecord) {
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        let arms = record.arms.iter();
        // A missing version is detected by the check of the set.
        let loaded = arms.filter_map(|arm| self.resident.get(&arm.version));
        let manifests: Vec<Manifest> = loaded
            .map(|loaded| loaded.manifest.as_ref().clone())
            .collect();
        let rollout = record.number;
        let model = self.handle.slot.name.clone();
        let metrics = self.metrics.clone();
        let started = self.spawn("persist", move || {
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
            let _ = inputs.blocking_send(Input::Event(Event::Persisted { rollout, outcome }));
        });
        if let Err(error) = started {
            let outcome = Err(format!("cannot start a thread: {error}"));
            self.take(Input::Event(Event::Persisted { rollout, outcome }));
        }
    }
}
