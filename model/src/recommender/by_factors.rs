//! The collaborative side: products by inner product with ALS factors.

use super::{Model, eligibility::Eligibility};
use crate::{
    Retrieval,
    index::{Search, SearchScratch},
};

impl Model {
    /// Leaves the best min(n, eligible) products in `ranked`. Products without interactions have
    /// zero factors, score 0 and are ranked like any other, so this side is never short.
    pub(super) fn rank_by_factors(
        &self,
        (factors, n): (&[f32], usize),
        eligibility: &Eligibility<'_>,
        (search, ranked): (&mut SearchScratch, &mut Vec<(u32, f32)>),
    ) -> Retrieval {
        let wanted = Search {
            query: factors,
            n,
            eligible_max: eligibility.eligible_max,
        };
        ranked.clear();
        match eligibility.matches {
            Some(rows) => ranked.extend(self.index.search_among(&wanted, rows, |_| true, search)),
            None => {
                let is_eligible = |row| eligibility.is_eligible(row);
                ranked.extend(self.index.search(&wanted, is_eligible, search));
            }
        }
        search.retrieval()
    }
}
