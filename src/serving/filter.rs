//! The product filter of a request.

use super::key::KeyWriter;
use super::validate::Violations;
use hotshelf_model::Filter;

/// Categories, and brands, of one filter.
const VALUES_MAX: usize = 100;
/// Excluded products of one request.
const EXCLUSIONS_MAX: usize = 1_000;

/// Which products may be returned; the default lets every product through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProductFilter {
    /// Any of these; empty: any.
    pub categories: Vec<String>,
    /// Any of these; empty: any.
    pub brands: Vec<String>,
    /// Lowest price, inclusive.
    pub price_min: Option<f64>,
    /// Highest price, inclusive.
    pub price_max: Option<f64>,
    /// Products to leave out.
    pub exclude_product_ids: Vec<String>,
}

impl ProductFilter {
    /// Adds every bad field to `bad`.
    pub(super) fn check(&self, bad: &mut Violations) {
        bad.ids("filter.categories", &self.categories, VALUES_MAX);
        bad.ids("filter.brands", &self.brands, VALUES_MAX);
        let exclusions = &self.exclude_product_ids;
        bad.ids("filter.exclude_product_ids", exclusions, EXCLUSIONS_MAX);
        for (field, bound) in [
            ("filter.price.min", self.price_min),
            ("filter.price.max", self.price_max),
        ] {
            if let Some(value) = bound.filter(|value| !value.is_finite() || *value < 0.0) {
                bad.add(
                    field,
                    format!("{value} is not a finite number of 0 or more"),
                );
            }
        }
        if let (Some(min), Some(max)) = (self.price_min, self.price_max)
            && min > max
        {
            let why = format!("{min} is above filter.price.max, {max}");
            bad.add("filter.price.min", why);
        }
    }

    /// The same filter, written one way: values sorted and each listed once, no negative zero.
    #[must_use]
    pub(super) fn canonical(mut self) -> Self {
        for values in [
            &mut self.categories,
            &mut self.brands,
            &mut self.exclude_product_ids,
        ] {
            values.sort_unstable();
            values.dedup();
        }
        self.price_min = self.price_min.map(positive_zero);
        self.price_max = self.price_max.map(positive_zero);
        self
    }

    /// As the model takes it; exclusions go to the query beside it.
    pub(super) fn as_model(&self) -> Filter<'_> {
        Filter {
            categories: &self.categories,
            brands: &self.brands,
            price_min: self.price_min,
            price_max: self.price_max,
        }
    }

    pub(super) fn write_key(&self, key: &mut KeyWriter) {
        let Self {
            categories,
            brands,
            price_min,
            price_max,
            exclude_product_ids,
        } = self;
        key.texts(categories);
        key.texts(brands);
        key.optional_f64(*price_min);
        key.optional_f64(*price_max);
        key.texts(exclude_product_ids);
    }
}

/// -0 means the same as 0 and has other bits.
pub(super) fn positive_zero(number: f64) -> f64 {
    number + 0.0
}
