//! Popular products: whole answers for unknown users, and the rest of answers that ran out of
//! scored products.

use super::{Model, eligibility::Eligibility};
use crate::{
    row_set::RowSet,
    topk::{Scored, TopK},
};

/// Working memory: 4 bytes a product.
#[derive(Clone, Debug, Default)]
pub(super) struct PopularScratch {
    /// Products that the answer already has.
    taken: RowSet,
    /// Categories that come first.
    categories: Vec<u32>,
    /// How far each of their lists has been walked.
    heads: Vec<usize>,
    top: TopK,
    ranked: Vec<Scored>,
    /// What was chosen, in order.
    pub(super) rows: Vec<u32>,
}

impl PopularScratch {
    /// Begins a choice: these products are taken already.
    pub(super) fn start(&mut self, products: usize, taken: impl Iterator<Item = u32>) {
        self.taken.start(products);
        taken.for_each(|row| self.taken.insert(row));
        self.rows.clear();
        self.categories.clear();
    }
}

impl Model {
    /// Chooses up to `wanted` eligible products that are not taken: those in the categories of
    /// `alike` first, then all others, each by popularity descending and then by row. Walks the
    /// lists of popularity until it has enough.
    pub(super) fn choose_popular(
        &self,
        (alike, wanted): (&[u32], usize),
        eligibility: &Eligibility<'_>,
        work: &mut PopularScratch,
    ) {
        for code in alike
            .iter()
            .filter_map(|row| self.facets.categories.code(*row))
        {
            if !work.categories.contains(&code) {
                work.categories.push(code);
            }
        }
        match eligibility.matches {
            Some(matches) => self.rank_matches(matches, wanted, work),
            None => {
                self.walk_categories(wanted, eligibility, work);
                let PopularScratch { taken, rows, .. } = work;
                let missing = wanted.saturating_sub(rows.len());
                let others = self.facets.popular.iter().copied();
                let others =
                    others.filter(|row| !taken.contains(*row) && eligibility.is_eligible(*row));
                rows.extend(others.take(missing));
            }
        }
    }

    fn rank_matches(&self, matches: &[u32], wanted: usize, work: &mut PopularScratch) {
        for is_alike in [true, false] {
            if is_alike && work.categories.is_empty() {
                continue;
            }
            work.top.start(wanted - work.rows.len());
            for row in matches.iter().filter(|row| !work.taken.contains(**row)) {
                let code = self.facets.categories.code(*row);
                if code.is_some_and(|code| work.categories.contains(&code)) == is_alike {
                    work.top
                        .offer(self.products.popularity.value(*row as usize), *row);
                }
            }
            work.top.finish(&mut work.ranked);
            work.rows
                .extend(work.ranked.iter().map(|scored| scored.row()));
        }
    }

    /// Merges the categories' lists: the best head of all is next.
    fn walk_categories(
        &self,
        wanted: usize,
        eligibility: &Eligibility<'_>,
        work: &mut PopularScratch,
    ) {
        let facet = &self.facets.categories;
        work.heads.clear();
        work.heads.resize(work.categories.len(), 0);
        while work.rows.len() < wanted {
            let lists = work.categories.iter().zip(&work.heads).enumerate();
            let heads = lists.filter_map(|(list, (code, at))| {
                let row = *facet.products(*code).get(*at)?;
                let popularity = self.products.popularity.value(row as usize);
                Some((crate::topk::key(popularity, row), list, row))
            });
            let Some((_, list, row)) = heads.max() else {
                return;
            };
            work.heads[list] += 1;
            if !work.taken.contains(row) && eligibility.is_eligible(row) {
                work.taken.insert(row);
                work.rows.push(row);
            }
        }
    }
}
