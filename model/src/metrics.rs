//! Ranking metrics over one user's list; means over users are the caller's.
//!
//! `ranked` holds product rows best first, without duplicates; `relevant` the held-out rows in
//! ascending order. Relevance is binary. An empty relevant set scores 0 everywhere: leave such
//! users out of a mean.

/// Hits among the first `k` divided by `k`, however short the list is.
#[must_use]
pub fn precision_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    if k == 0 {
        0.0
    } else {
        hits(ranked, relevant, k).count() as f64 / k as f64
    }
}

/// Hits among the first `k` divided by the number of relevant rows.
#[must_use]
pub fn recall_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    if relevant.is_empty() {
        return 0.0;
    }
    hits(ranked, relevant, k).count() as f64 / relevant.len() as f64
}

/// Normalised discounted cumulative gain with gain 1 and discount `1 / log2(rank + 1)`, rank from
/// 1, over the gain of the best possible list of length `k`. Järvelin and Kekäläinen, "Cumulated
/// gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002, with the discount that starts
/// at the first rank.
#[must_use]
pub fn ndcg_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    let best: f64 = (0..k.min(relevant.len())).map(discount).sum();
    if best == 0.0 {
        return 0.0;
    }
    hits(ranked, relevant, k).map(discount).sum::<f64>() / best
}

/// Average precision: the precision at the rank of each hit among the first `k`, summed and divided by
/// the most hits that `k` allows, `min(k, relevant)`. Its mean is MAP@k, as implicit's
/// `mean_average_precision_at_k` defines it.
#[must_use]
pub fn average_precision_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    let most = k.min(relevant.len());
    if most == 0 {
        return 0.0;
    }
    let hits = hits(ranked, relevant, k).enumerate();
    let precisions = hits.map(|(earlier, position)| (earlier + 1) as f64 / (position + 1) as f64);
    precisions.sum::<f64>() / most as f64
}

/// One over the rank of the first hit among the first `k`, 0 without one; its mean is MRR@k.
#[must_use]
pub fn reciprocal_rank_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    let first = hits(ranked, relevant, k).next();
    first.map_or(0.0, |position| 1.0 / (position + 1) as f64)
}

/// 1 where at least one of the first `k` is relevant, else 0; its mean is the hit rate.
#[must_use]
pub fn hit_at_k(ranked: &[u32], relevant: &[u32], k: usize) -> f64 {
    f64::from(u8::from(hits(ranked, relevant, k).next().is_some()))
}

/// Positions of the hits, from 0.
fn hits(ranked: &[u32], relevant: &[u32], k: usize) -> impl Iterator<Item = usize> {
    debug_assert!(relevant.is_sorted(), "relevant rows ascend");
    let first = ranked.iter().take(k).enumerate();
    first
        .filter(|(_, row)| relevant.binary_search(row).is_ok())
        .map(|(position, _)| position)
}

fn discount(position: usize) -> f64 {
    1.0 / (position as f64 + 2.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type AtK = fn(&[u32], &[u32], usize) -> f64;
    const METRICS: [AtK; 6] = [
        precision_at_k,
        recall_at_k,
        ndcg_at_k,
        average_precision_at_k,
        reciprocal_rank_at_k,
        hit_at_k,
    ];
    const RANKED: [u32; 5] = [7, 1, 9, 4, 2];

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn hand_worked_list() {
        // Relevant 1, 4, 8: hits at ranks 2 and 4.
        let relevant = [1, 4, 8];
        assert!(close(precision_at_k(&RANKED, &relevant, 5), 2.0 / 5.0));
        assert!(close(recall_at_k(&RANKED, &relevant, 5), 2.0 / 3.0));
        // DCG = 1/log2(3) + 1/log2(5) = 0.630930 + 0.430677, ideal = 1 + 0.630930 + 0.5.
        let ndcg = ndcg_at_k(&RANKED, &relevant, 5);
        assert!(
            (ndcg - 1.061_606_311_644 / 2.130_929_753_571).abs() < 1e-9,
            "{ndcg}"
        );
        assert!(close(hit_at_k(&RANKED, &relevant, 5), 1.0));
        assert!(close(hit_at_k(&RANKED, &relevant, 1), 0.0));
        assert!(close(precision_at_k(&RANKED, &relevant, 2), 0.5));
        // Precision 1/2 at rank 2 and 2/4 at rank 4, over the three that were wanted.
        assert!(close(
            average_precision_at_k(&RANKED, &relevant, 5),
            1.0 / 3.0
        ));
        // Of a list of two at most two can be found.
        assert!(close(average_precision_at_k(&RANKED, &relevant, 2), 0.25));
        assert!(close(reciprocal_rank_at_k(&RANKED, &relevant, 5), 0.5));
        assert!(close(reciprocal_rank_at_k(&RANKED, &relevant, 1), 0.0));
    }

    #[test]
    fn short_lists_lose_precision_and_perfect_lists_score_one() {
        assert!(close(precision_at_k(&[3], &[3], 10), 0.1));
        assert!(close(ndcg_at_k(&[3], &[3], 10), 1.0));
        assert!(close(average_precision_at_k(&[3], &[3], 10), 1.0));
        assert!(close(ndcg_at_k(&[3, 5], &[3, 4, 5], 2), 1.0));
    }

    #[test]
    fn no_relevant_items_or_k_zero_score_zero() {
        for metric in METRICS {
            assert!(close(metric(&RANKED, &[], 5), 0.0));
            assert!(close(metric(&RANKED, &[1], 0), 0.0));
            assert!(close(metric(&[], &[1], 5), 0.0));
        }
    }

    proptest! {
        #[test]
        fn every_metric_stays_between_zero_and_one(
            ranked in proptest::collection::hash_set(0u32..40, 0..20),
            relevant in proptest::collection::btree_set(0u32..40, 0..20),
            k in 0usize..25,
        ) {
            let ranked: Vec<u32> = ranked.into_iter().collect();
            let relevant: Vec<u32> = relevant.into_iter().collect();
            for metric in METRICS {
                let value = metric(&ranked, &relevant, k);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value));
            }
        }
    }
}
