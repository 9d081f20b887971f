//! Turns requests as they came into requests as they may be: every bad field is found, not the first.

use super::proto::{ProductFilter, RecommendRequest, Strategy as WireStrategy};
use crate::error::{BadField, CallError};
use hotshelf_model::Strategy;

/// Longest id, in bytes; the artifact format has the same limit.
const ID_BYTES_MAX: usize = 256;
/// Longest name of a model, in bytes; the registry has the same limit.
const MODEL_BYTES_MAX: usize = 63;
/// Products a Recommend may ask for.
const RECOMMEND_N_MAX: u32 = 100;
/// Products a Recommend gets unless it says otherwise.
const RECOMMEND_N_DEFAULT: u32 = 10;
/// Recent products of one request.
const RECENTS_MAX: usize = 100;
/// Categories, and brands, of one filter.
const FILTER_VALUES_MAX: usize = 100;
/// Excluded products of one request.
const EXCLUSIONS_MAX: usize = 1_000;

/// A Recommend that passed.
pub(super) struct RecommendCall {
    pub(super) request: RecommendRequest,
    pub(super) n: usize,
    pub(super) strategy: Strategy,
}

impl RecommendCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all of them, or else `NotServed` with the first field that this release does
    /// not serve.
    pub(super) fn parse(request: RecommendRequest) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.optional_id("user_id", &request.user_id);
        bad.optional_id("session_id", &request.session_id);
        bad.optional_id("request_id", &request.request_id);
        bad.model(&request.model);
        let n = bad.count("n", request.n, RECOMMEND_N_DEFAULT, RECOMMEND_N_MAX);
        let strategy = bad.strategy(request.strategy);
        if let Some(alpha) = request.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            bad.add("alpha", format!("{alpha} is not within 0 to 1"));
        }
        bad.ids(
            "recent_product_ids",
            &request.recent_product_ids,
            RECENTS_MAX,
        );
        if let Some(filter) = &request.filter {
            bad.filter(filter);
        }
        bad.finish()?;
        not_served(&request)?;
        Ok(Self {
            request,
            n,
            strategy,
        })
    }

    /// The excluded ids.
    pub(super) fn exclusions(&self) -> &[String] {
        self.request
            .filter
            .as_ref()
            .map_or(&[], |filter| &filter.exclude_product_ids)
    }

    /// What splits the traffic.
    pub(super) fn sticky_key(&self) -> &str {
        let keys = [
            &self.request.user_id,
            &self.request.session_id,
            &self.request.request_id,
        ];
        keys.into_iter()
            .find(|key| !key.is_empty())
            .map_or("", String::as_str)
    }
}

fn not_served(request: &RecommendRequest) -> Result<(), CallError> {
    if !request.recent_product_ids.is_empty() {
        return Err(CallError::NotServed(
            "field recent_product_ids of RecommendRequest",
        ));
    }
    let Some(filter) = &request.filter else {
        return Ok(());
    };
    if !filter.categories.is_empty() {
        return Err(CallError::NotServed(
            "field filter.categories of RecommendRequest",
        ));
    }
    if !filter.brands.is_empty() {
        return Err(CallError::NotServed(
            "field filter.brands of RecommendRequest",
        ));
    }
    if filter.price.is_some() {
        return Err(CallError::NotServed(
            "field filter.price of RecommendRequest",
        ));
    }
    Ok(())
}

/// Collects bad fields.
#[derive(Default)]
pub(super) struct Violations(Vec<BadField>);

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, why: String) {
        self.0.push(BadField {
            field: field.into(),
            why,
        });
    }

    pub(super) fn finish(self) -> Result<(), CallError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(CallError::BadFields(self.0))
        }
    }

    /// Only its length: an unknown name is NOT_FOUND, but must fit a header to be named there.
    pub(super) fn model(&mut self, name: &str) {
        self.at_most("model", name, MODEL_BYTES_MAX);
    }

    /// A text that goes into a rollout record, as the registry judges it.
    pub(super) fn words(&mut self, field: &str, judged: Result<(), hotshelf_registry::Error>) {
        if let Err(error) = judged {
            self.add(field, error.to_string());
        }
    }

    pub(super) fn at_most(&mut self, field: &str, value: &str, bytes_max: usize) {
        if value.len() > bytes_max {
            self.add(
                field,
                format!("{} bytes are more than {bytes_max}", value.len()),
            );
        }
    }

    fn optional_id(&mut self, field: &str, id: &str) {
        self.at_most(field, id, ID_BYTES_MAX);
    }

    pub(super) fn count(
        &mut self,
        field: &str,
        given: Option<u32>,
        default: u32,
        max: u32,
    ) -> usize {
        let n = given.unwrap_or(default);
        if n == 0 || n > max {
            self.add(field, format!("{n} is not within 1 to {max}"));
        }
        n as usize
    }

    fn strategy(&mut self, wire: i32) -> Strategy {
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

    /// Values that must not be empty and not be too many; names the first bad one of each kind.
    fn ids(&mut self, field: &str, ids: &[String], len_max: usize) {
        if ids.len() > len_max {
            self.add(
                field,
                format!("{} values are more than {len_max}", ids.len()),
            );
            return;
        }
        let too_long = |id: &String| id.is_empty() || id.len() > ID_BYTES_MAX;
        if let Some(index) = ids.iter().position(too_long) {
            let len = ids[index].len();
            let why = format!("{len} bytes are not within 1 to {ID_BYTES_MAX}");
            self.add(format!("{field}[{index}]"), why);
        }
    }

    fn filter(&mut self, filter: &ProductFilter) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bad_fields(request: RecommendRequest) -> Vec<String> {
        match RecommendCall::parse(request) {
            Err(CallError::BadFields(fields)) => fields.into_iter().map(|bad| bad.field).collect(),
            Err(other) => panic!("refused for another reason: {other:?}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let request = RecommendRequest {
            user_id: "u".repeat(257),
            n: Some(0),
            alpha: Some(f64::NAN),
            strategy: 9,
            filter: Some(ProductFilter {
                exclude_product_ids: vec!["a".into(), String::new()],
                ..ProductFilter::default()
            }),
            ..RecommendRequest::default()
        };
        let expected = [
            "user_id",
            "n",
            "strategy",
            "alpha",
            "filter.exclude_product_ids[1]",
        ]
        .map(String::from);
        assert_eq!(bad_fields(request), expected);
    }

    #[test]
    fn bounds_are_inclusive() {
        for (n, is_good) in [(1, true), (100, true), (101, false), (0, false)] {
            let request = RecommendRequest {
                n: Some(n),
                ..RecommendRequest::default()
            };
            assert_eq!(bad_fields(request).is_empty(), is_good, "n = {n}");
        }
        for (alpha, is_good) in [(0.0, true), (1.0, true), (-0.1, false), (1.1, false)] {
            let request = RecommendRequest {
                alpha: Some(alpha),
                ..RecommendRequest::default()
            };
            assert_eq!(bad_fields(request).is_empty(), is_good, "alpha = {alpha}");
        }
    }

    #[test]
    fn too_many_exclusions_are_refused() {
        let filter = ProductFilter {
            exclude_product_ids: vec!["p".to_owned(); 1_001],
            ..ProductFilter::default()
        };
        let request = RecommendRequest {
            filter: Some(filter),
            ..RecommendRequest::default()
        };
        assert_eq!(bad_fields(request), ["filter.exclude_product_ids"]);
    }

    #[test]
    fn fields_of_later_releases_are_named_and_not_ignored() {
        let request = RecommendRequest {
            recent_product_ids: vec!["p".into()],
            ..RecommendRequest::default()
        };
        let refused = RecommendCall::parse(request).err();
        let expected = CallError::NotServed("field recent_product_ids of RecommendRequest");
        assert_eq!(refused, Some(expected));
    }
}
