//! A filter compiled to codes: a test per product that costs a few loads, and a bound on how many
//! products pass.

use super::{Facet, Facets};
use crate::{Filter, row_set::RowSet};

/// Working memory of compiling; it grows with the number of categories and brands.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterScratch {
    categories: Codes,
    brands: Codes,
}

/// Distinct codes, as a set and as a list.
#[derive(Clone, Debug, Default)]
struct Codes {
    set: RowSet,
    list: Vec<u32>,
}

impl Codes {
    /// Looks names up; those that no product has are left out. `None` where none are given.
    fn of(&mut self, facet: &Facet, names: &[String]) -> Option<&Self> {
        if names.is_empty() {
            return None;
        }
        self.set.start(facet.len());
        self.list.clear();
        for code in names.iter().filter_map(|name| facet.find(name)) {
            if !self.set.contains(code) {
                self.set.insert(code);
                self.list.push(code);
            }
        }
        Some(self)
    }
}

/// A [`Filter`] against the facets of one model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompiledFilter<'a> {
    facets: &'a Facets,
    categories: Option<&'a Codes>,
    brands: Option<&'a Codes>,
    min: Option<f64>,
    max: Option<f64>,
    shortest: Shortest<'a>,
    matches_max: usize,
}

/// The shortest list that holds every product that passes.
#[derive(Clone, Copy, Debug)]
enum Shortest<'a> {
    All(&'a [u32]),
    Codes(&'a Facet, &'a [u32]),
}

impl Facets {
    /// O((categories + brands) × log names + log products).
    pub(crate) fn compile<'a>(
        &'a self,
        filter: &Filter<'_>,
        scratch: &'a mut FilterScratch,
    ) -> CompiledFilter<'a> {
        let FilterScratch { categories, brands } = scratch;
        let categories = categories.of(&self.categories, filter.categories);
        let brands = brands.of(&self.brands, filter.brands);
        let (min, max) = (
            filter.price_min.map(as_priced),
            filter.price_max.map(as_priced),
        );
        let mut shortest = (self.len(), Shortest::All(&self.popular));
        let mut offer = |len: usize, list| {
            if len < shortest.0 {
                shortest = (len, list);
            }
        };
        for (facet, codes) in [(&self.categories, categories), (&self.brands, brands)] {
            if let Some(codes) = codes {
                let lens = codes.list.iter().map(|code| facet.products(*code).len());
                offer(lens.sum(), Shortest::Codes(facet, &codes.list));
            }
        }
        if min.is_some() || max.is_some() {
            let priced = self.priced(min, max);
            offer(priced.len(), Shortest::All(priced));
        }
        CompiledFilter {
            facets: self,
            categories,
            brands,
            min,
            max,
            matches_max: shortest.0,
            shortest: shortest.1,
        }
    }
}

/// A bound as the catalogue would hold that price: the catalogue's 9.99 is the nearest f32, which
/// lies below 9.99 and yet is not cheaper.
fn as_priced(bound: f64) -> f64 {
    f64::from(bound as f32)
}

impl CompiledFilter<'_> {
    /// Whether a product passes; O(1).
    pub(crate) fn passes(&self, row: u32) -> bool {
        let has = |facet: &Facet, codes: Option<&Codes>| {
            codes.is_none_or(|codes| facet.code(row).is_some_and(|code| codes.set.contains(code)))
        };
        has(&self.facets.categories, self.categories)
            && has(&self.facets.brands, self.brands)
            && self.is_priced_right(row)
    }

    fn is_priced_right(&self, row: u32) -> bool {
        if self.min.is_none() && self.max.is_none() {
            return true;
        }
        self.facets.price(row).is_some_and(|price| {
            self.min.is_none_or(|min| price >= min) && self.max.is_none_or(|max| price <= max)
        })
    }

    /// No more products than these pass.
    pub(crate) fn matches_max(&self) -> usize {
        self.matches_max
    }

    /// Products among which all are that pass, each once: [`Self::matches_max`] of them.
    pub(crate) fn shortest(&self) -> impl Iterator<Item = u32> {
        let (all, facet, codes): (&[u32], &Facet, &[u32]) = match self.shortest {
            Shortest::All(rows) => (rows, &self.facets.categories, &[]),
            Shortest::Codes(facet, codes) => (&[], facet, codes),
        };
        let listed = codes.iter().flat_map(|code| facet.products(*code));
        all.iter().chain(listed).copied()
    }
}
