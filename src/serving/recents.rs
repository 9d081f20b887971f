//! Resolve: a person's recents from every source, newest first.

use super::DataPath;
use super::recommend::RecommendCall;
use crate::clock::micros;
use crate::recents::Person;
use std::time::SystemTime;

/// Recents of one query, from all sources (the same as a request may name).
const RECENTS_MAX: usize = 100;

impl DataPath {
    /// Adds what the store knows of the person behind what the request names. Without a store the request
    /// stays as it is.
    pub(super) fn add_recents(&self, call: &mut RecommendCall) {
        call.recent_sources.request = !call.recent_product_ids.is_empty();
        let Some(recents) = &self.recents else {
            return;
        };
        call.fill_from_history = true;
        let now = micros(SystemTime::now());
        if let Some(person) = recents.of(&call.user_id, call.session_id(), now) {
            call.recent_sources.memory = append(call, &person);
        }
        self.recents_metrics
            .used_request
            .inc_by(call.recent_sources.request.into());
        self.recents_metrics
            .used_memory
            .inc_by(call.recent_sources.memory.into());
    }
}

/// Appends a person's products that the request does not name; returns whether there are any.
fn append(call: &mut RecommendCall, person: &Person) -> bool {
    let before = call.recent_product_ids.len();
    for product in &person.products {
        let ids = &mut call.recent_product_ids;
        let is_named = ids[..before].iter().any(|id| **id == *product.id);
        if is_named || ids.len() >= RECENTS_MAX {
            continue;
        }
        ids.push(product.id.to_string());
        if !product.is_bought {
            call.browsed.push(product.id.to_string());
        }
    }
    call.recent_product_ids.len() > before
}
