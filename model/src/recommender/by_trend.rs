//! The trend side: what is popular recently, the same for every user.

use super::eligibility::Eligibility;
use crate::{Retrieval, RetrievalPlan, Trend, ids::ProductRow, topk::TopK};

/// Offers the best eligible products, at least as many as `top` takes, where there are so many.
pub(super) fn retrieve(
    (trend, most): (&Trend, usize),
    eligibility: &Eligibility<'_>,
    top: &mut TopK,
) -> Retrieval {
    let mut offer = |row: u32| top.offer(trend.score(ProductRow(row)), row);
    match eligibility.matches {
        Some(matches) => {
            let above_zero = |row: &&u32| trend.score(ProductRow(**row)) > 0.0;
            matches
                .iter()
                .filter(above_zero)
                .for_each(|row| offer(*row));
            Retrieval {
                plan: RetrievalPlan::Matches,
                scored: matches.len(),
            }
        }
        None => {
            let mut scored = 0;
            let order = trend.order().iter().inspect(|_| scored += 1);
            let eligible = order.filter(|row| eligibility.is_eligible(**row));
            eligible.take(most).for_each(|row| offer(*row));
            Retrieval {
                plan: RetrievalPlan::Popularity,
                scored,
            }
        }
    }
}
