//! The driver's errands to the cache folder, each on a thread of its own: what is live is written
//! down, and what was live is asked for.

use super::{Driver, Input};
use crate::lifecycle::event::{Event, Remembered};
use hotshelf_registry::{Manifest, RolloutRecord};

impl Driver {
    /// Asks what was live here before; the answer is `Event::Recalled`.
    pub(super) fn recall(&mut self) {
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        let model = self.handle.slot.name.clone();
        let started = self.spawn("recall", move || {
            let recalled = source.recall(&model);
            let outcome = recalled.map(|set| {
                set.map(|set| Remembered {
                    record: set.record,
                    since: set.saved_at,
                })
            });
            let _ = inputs.blocking_send(Input::Event(Event::Recalled { outcome }));
        });
        if let Err(error) = started {
            let outcome = Err(format!("cannot start a thread: {error}"));
            self.take(Input::Event(Event::Recalled { outcome }));
        }
    }

    /// Writes down that this record is live; the answer is `Event::Kept`.
    pub(super) fn keep(&mut self, record: RolloutRecord) {
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
        let started = self.spawn("keep", move || {
            let outcome = source.keep(record, manifests);
            match &outcome {
                Ok(()) => {
                    tracing::info!(%model, %rollout, "remembered for a start without the registry");
                }
                Err(error) => {
                    let failed = &metrics.lifecycle.keep_errors;
                    failed.with_label_values(&[model.as_str()]).inc();
                    tracing::warn!(%model, %rollout, error, "cannot be remembered");
                }
            }
            let _ = inputs.blocking_send(Input::Event(Event::Kept { rollout, outcome }));
        });
        if let Err(error) = started {
            let outcome = Err(format!("cannot start a thread: {error}"));
            self.take(Input::Event(Event::Kept { rollout, outcome }));
        }
    }
}
