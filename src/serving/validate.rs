//! Validates the fields of requests: reports every bad one, not just the first.

use crate::error::{BadField, CallError};

/// Longest id, in bytes; the artifact format has the same limit.
const ID_BYTES_MAX: usize = 256;
/// Longest name of a model, in bytes; the registry has the same limit.
const MODEL_BYTES_MAX: usize = 63;

/// Collects bad fields.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<BadField>);

impl Violations {
    pub(crate) fn add(&mut self, field: impl Into<String>, why: String) {
        self.0.push(BadField {
            field: field.into(),
            why,
        });
    }

    pub(crate) fn finish(self) -> Result<(), CallError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CallError::BadFields(self.0))
        }
    }

    /// Checks only the length: an unknown name is NOT_FOUND, but must fit into a header that names it.
    pub(crate) fn model(&mut self, name: &str) {
        self.at_most("model", name, MODEL_BYTES_MAX);
    }

    pub(crate) fn at_most(&mut self, field: &str, value: &str, bytes_max: usize) {
        if value.len() > bytes_max {
            let why = format!("{} bytes exceed the limit of {bytes_max}", value.len());
            self.add(field, why);
        }
    }

    /// An id that is required.
    pub(crate) fn id(&mut self, field: &str, id: &str) {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            let why = format!("{} bytes are not within 1 to {ID_BYTES_MAX}", id.len());
            self.add(field, why);
        }
    }

    pub(crate) fn optional_id(&mut self, field: &str, id: &str) {
        self.at_most(field, id, ID_BYTES_MAX);
    }

    pub(crate) fn count(&mut self, field: &str, given: Option<u32>, default: u32, max: u32) -> u32 {
        let n = given.unwrap_or(default);
        if n == 0 || n > max {
            self.add(field, format!("{n} is not within 1 to {max}"));
        }
        n
    }

    /// One of a closed set, as the edge read it; `Err` says why the value is none of them.
    pub(crate) fn choice<T>(&mut self, field: &str, read: Result<Option<T>, String>) -> Option<T> {
        read.unwrap_or_else(|why| {
            self.add(field, why);
            None
        })
    }

    /// A list whose values are required ids; names the first bad one.
    pub(crate) fn ids(&mut self, field: &str, ids: &[String], len_max: usize) {
        if ids.len() > len_max {
            let why = format!("{} values exceed the limit of {len_max}", ids.len());
            self.add(field, why);
            return;
        }
        let is_bad = |id: &String| id.is_empty() || id.len() > ID_BYTES_MAX;
        if let Some(index) = ids.iter().position(is_bad) {
            self.id(&format!("{field}[{index}]"), &ids[index]);
        }
    }
}
