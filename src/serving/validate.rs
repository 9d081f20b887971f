//! Judges the fields of requests: every bad one is found, not the first.

use crate::error::{BadField, CallError};
use crate::grpc::proto::{ProductFilter, SimilarityBasis, Strategy as WireStrategy};
use hotshelf_model::{Basis, Strategy};

/// Longest id, in bytes; the artifact format has the same limit.
const ID_BYTES_MAX: usize = 256;
/// Longest name of a model, in bytes; the registry has the same limit.
const MODEL_BYTES_MAX: usize = 63;
/// Categories, and brands, of one filter.
const FILTER_VALUES_MAX: usize = 100;
/// Excluded products of one request.
const EXCLUSIONS_MAX: usize = 1_000;

/// Collects bad fields.
#[derive(Default)]
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

    /// Only its length: an unknown name is NOT_FOUND, but must fit a header to be named there.
    pub(crate) fn model(&mut self, name: &str) {
        self.at_most("model", name, MODEL_BYTES_MAX);
    }

    /// A text that goes into a rollout record, as the registry judges it.
    pub(crate) fn words(&mut self, field: &str, judged: Result<(), hotshelf_registry::Error>) {
        if let Err(error) = judged {
            self.add(field, error.to_string());
        }
    }

    pub(crate) fn at_most(&mut self, field: &str, value: &str, bytes_max: usize) {
        if value.len() > bytes_max {
            self.add(
                field,
                format!("{} bytes are more than {bytes_max}", value.len()),
            );
        }
    }

    /// An id that must be given.
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

    pub(crate) fn strategy(&mut self, wire: i32) -> Strategy {
        match WireStrategy::try_from(wire) {
            Ok(WireStrategy::Unspecified | WireStrategy::Hybrid) => Strategy::Hybrid,
            Ok(WireStrategy::Collaborative) => Strategy::Collaborative,
            Ok(WireStrategy::Content) => Strategy::Content,
            Err(_) => {
                self.add(
                    "strategy",
                    format!("{wire} is none of the known strategies 0 to 3"),
                );
                Strategy::Hybrid
            }
        }
    }

    pub(crate) fn basis(&mut self, wire: i32) -> Option<Basis> {
        match SimilarityBasis::try_from(wire) {
            Ok(SimilarityBasis::Unspecified) => None,
            Ok(SimilarityBasis::Content) => Some(Basis::Content),
            Ok(SimilarityBasis::Collaborative) => Some(Basis::Collaborative),
            Err(_) => {
                let why = format!("{wire} is none of the known bases 0 to 2");
                self.add("basis", why);
                None
            }
        }
    }

    /// Values that must not be empty and not be too many; names the first bad one of each kind.
    pub(crate) fn ids(&mut self, field: &str, ids: &[String], len_max: usize) {
        if ids.len() > len_max {
            self.add(
                field,
                format!("{} values are more than {len_max}", ids.len()),
            );
            return;
        }
        let too_long = |id: &String| id.is_empty() || id.len() > ID_BYTES_MAX;
        if let Some(index) = ids.iter().position(too_long) {
            self.id(&format!("{field}[{index}]"), &ids[index]);
        }
    }

    pub(crate) fn filter(&mut self, filter: &ProductFilter) {
        self.ids("filter.categories", &filter.categories, FILTER_VALUES_MAX);
        self.ids("filter.brands", &filter.brands, FILTER_VALUES_MAX);
        self.ids(
            "filter.exclude_product_ids",
            &filter.exclude_product_ids,
            EXCLUSIONS_MAX,
        );
        let Some(price) = &filter.price else { return };
        for (field, bound) in [
            ("filter.price.min", price.min),
            ("filter.price.max", price.max),
        ] {
            if let Some(value) = bound.filter(|value| !value.is_finite() || *value < 0.0) {
                self.add(field, format!("{value} is not a price of 0 or more"));
            }
        }
        if let (Some(min), Some(max)) = (price.min, price.max)
            && min > max
        {
            self.add(
                "filter.price.min",
                format!("{min} is above filter.price.max, {max}"),
            );
        }
    }
}
