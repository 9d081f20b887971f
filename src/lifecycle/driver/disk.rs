//! The driver's errands to the cache folder, each on a thread of its own: what is live is written
//! down, and what was live is asked for.

use super::{Driver, Input};
use crate::lifecycle::event::{Event, PersistedRollout};
use hotshelf_registry::{Manifest, RolloutRecord};

impl Driver {
    /// Asks what was live here before; the answer is `Event::Restored`.
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

    /// Writes down that this record is live; the answer is `Event::Persisted`.
    pub(super) fn persist(&mut self, record: RolloutRecord) {
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        let arms = record.arms.iter();
        // A version that is missing here is found out by the check of the set.
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
