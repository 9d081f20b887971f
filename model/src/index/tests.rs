//! The exact plan against the plainest scan there is.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{column::Column, dot::dot_on};

/// Scores every row, sorts all of them.
fn naive(path: CpuPath, rows: &Matrix, search: &Search<'_>, excluded: &[bool]) -> Vec<(u32, u32)> {
    let mut all: Vec<(f32, u32)> = (0..rows.rows() as u32)
        .filter(|row| !excluded[*row as usize])
        .map(|row| {
            (
                dot_on(path, search.query, rows.row(row as usize)) + 0.0,
                row,
            )
        })
        .collect();
    all.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap().then(a.1.cmp(&b.1)));
    all.truncate(search.n);
    all.into_iter()
        .map(|(score, row)| (row, score.to_bits()))
        .collect()
}

#[derive(Clone, Debug)]
struct Case {
    rows: Matrix,
    query: Vec<f32>,
    n: usize,
    excluded: Vec<bool>,
}

/// Few distinct directions and lengths, so that ties and zero rows are common; `skew` decides
/// whether norms are mild or differ by powers of ten.
fn cases() -> impl Strategy<Value = Case> {
    (1usize..40, 0usize..300, 0i32..3, 0usize..2).prop_flat_map(|(cols, count, skew, all)| {
        let row = proptest::collection::vec(-2i8..3, cols);
        let scale = (0..4 * skew + 1).prop_map(|power| 10f32.powi(-power));
        let rows = proptest::collection::vec((row, scale), count);
        let query = proptest::collection::vec(prop_oneof![-1.0f32..1.0, Just(0.0)], cols);
        let excluded = proptest::collection::vec(proptest::bool::weighted(0.3), count);
        (rows, query, 0usize..320, excluded).prop_map(move |(rows, query, n, mut excluded)| {
            if all == 1 && n % 7 == 0 {
                excluded.fill(true);
            }
            let numbers: Vec<f32> = rows
                .iter()
                .flat_map(|(row, scale)| row.iter().map(move |x| f32::from(*x) * scale))
                .collect();
            let rows = Matrix::new(Column::from_vec(numbers), count, cols).unwrap();
            Case {
                rows,
                query,
                n,
                excluded,
            }
        })
    })
}

/// Rows whose lengths range from the subnormal to the greatest that is accepted, of up to 600
/// elements, each row with its own power of ten, and queries alike.
fn extreme_cases() -> impl Strategy<Value = Case> {
    let element = prop_oneof![4 => -1.0f32..1.0, 1 => Just(0.0), 1 => Just(-0.0), 1 => Just(1.0)];
    let power = prop_oneof![2 => Just(0i32), 1 => -46i32..-30, 1 => -3i32..3, 1 => 10i32..17];
    (1usize..600, 1usize..70).prop_flat_map(move |(cols, count)| {
        let elements = proptest::collection::vec(element.clone(), cols * 4 + 131);
        let rows = proptest::collection::vec((0..3 * cols + 131, power.clone()), count + 1);
        (elements, rows, 0usize..80).prop_map(move |(elements, rows, n)| {
            // A row is a window of the elements, so that few numbers make many rows.
            let row = |(start, power): &(usize, i32)| {
                let scale = 10f64.powi(*power);
                let window = elements[*start..].iter().take(cols);
                let row = window.map(move |x| (f64::from(*x) * scale) as f32);
                row.collect::<Vec<f32>>()
            };
            let numbers = rows[1..].iter().flat_map(&row).collect();
            Case {
                rows: Matrix::from_vec(numbers, cols).unwrap(),
                query: row(&rows[0]),
                n,
                excluded: (0..count).map(|at| at % 11 == n % 11).collect(),
            }
        })
    })
}

fn check_exact(case: &Case) -> Result<(), TestCaseError> {
    let index = ItemIndex::exact(&case.rows);
    let search = Search {
        query: &case.query,
        n: case.n,
        eligible_max: case.rows.rows(),
    };
    let is_eligible = |row: u32| !case.excluded[row as usize];
    let mut scratch = SearchScratch::default();
    let mut scored = Vec::new();
    for path in CpuPath::available() {
        let found: Vec<(u32, u32)> = index
            .search_on(path, &search, is_eligible, &mut scratch)
            .map(|(row, score)| (row, score.to_bits()))
            .collect();
        prop_assert_eq!(
            found,
            naive(path, &case.rows, &search, &case.excluded),
            "on {}",
            path.as_str()
        );
        scored.push(scratch.retrieval().scored);
    }
    prop_assert!(scored.windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}

proptest! {
    #[test]
    fn scan_in_norm_order_equals_the_naive_scan_to_the_bit(case in cases()) {
        check_exact(&case)?;
    }

    #[test]
    fn neither_huge_nor_subnormal_rows_escape_the_bounds(case in extreme_cases()) {
        check_exact(&case)?;
    }
}

/// What every plan owes: min(n, eligible) rows, eligible ones, each once, with their scores, in
/// order; the whole truth where the exact plan answered.
fn check_contract(index: &ItemIndex, case: &Case) -> Result<(), TestCaseError> {
    let search = Search {
        query: &case.query,
        n: case.n,
        eligible_max: case.rows.rows(),
    };
    let is_eligible = |row: u32| !case.excluded[row as usize];
    let all = Search {
        n: usize::MAX,
        ..search
    };
    let mut scratch = SearchScratch::default();
    let mut answers = Vec::new();
    for path in CpuPath::available() {
        let found: Vec<(u32, u32)> = index
            .search_on(path, &search, is_eligible, &mut scratch)
            .map(|(row, score)| (row, score.to_bits()))
            .collect();
        let truth = naive(path, &case.rows, &all, &case.excluded);
        prop_assert_eq!(found.len(), truth.len().min(case.n));
        let mut rest = truth.iter();
        // A subsequence of the true ranking: eligible, once, rightly scored, in order.
        prop_assert!(found.iter().all(|found| rest.any(|row| row == found)));
        if scratch.retrieval().plan == RetrievalPlan::Exact {
            prop_assert_eq!(&found[..], &truth[..found.len()]);
        }
        answers.push((found, scratch.retrieval()));
    }
    prop_assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let listed: Vec<u32> = (0..case.rows.rows() as u32).step_by(2).collect();
    let is_out = |row: u32| row % 2 == 1 || case.excluded[row as usize];
    let odd: Vec<bool> = (0..case.rows.rows() as u32).map(is_out).collect();
    let found: Vec<(u32, u32)> = index
        .search_among(&search, &listed, is_eligible, &mut scratch)
        .map(|(row, score)| (row, score.to_bits()))
        .collect();
    prop_assert_eq!(found, naive(CpuPath::detected(), &case.rows, &search, &odd));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_choice_keeps_the_contract(case in cases(), small in 0usize..20) {
        for choice in [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw] {
            let index = ItemIndex::build(&case.rows, choice, None);
            check_contract(&index, &case)?;
            check_contract(&index, &Case { n: small, ..case.clone() })?;
        }
    }
}

/// Rows without skew: what a graph is for.
fn even_rows(count: usize, cols: usize) -> Matrix {
    use rand_chacha::rand_core::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut unit = || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
    let mut numbers = Vec::new();
    for _ in 0..count {
        let row: Vec<f64> = (0..cols).map(|_| unit()).collect();
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        numbers.extend(row.iter().map(|x| (x / length) as f32));
    }
    Matrix::from_vec(numbers, cols).unwrap()
}

#[test]
fn graph_reaches_every_row_and_its_card_says_what_was_measured() {
    let rows = even_rows(3000, 16);
    let index = ItemIndex::build(&rows, IndexChoice::Hnsw, None);
    let card = index.card();
    assert_eq!(card.plan, "hnsw");
    assert!(card.recall_at_10.unwrap() >= 0.98);
    let graph = card.graph.as_ref().unwrap();
    assert_eq!((graph.nodes, graph.metric.as_str()), (3000, "l2_reduced"));
    assert!(graph.self_found >= 0.98);
    assert_eq!(card.candidates.len(), 2);
    let flat = index.as_graph().unwrap();
    let mut is_reached = vec![false; 3000];
    let mut open = vec![flat.entry];
    while let Some(row) = open.pop() {
        if !std::mem::replace(&mut is_reached[row as usize], true) {
            let own = &flat.edges.as_slice()[row as usize * STRIDE..][..STRIDE];
            open.extend(own.iter().filter(|to| **to != NO_EDGE));
        }
    }
    assert!(is_reached.iter().all(|is| *is));
    // So small a catalogue is not worth a graph where the choice is free.
    let auto = ItemIndex::build(&rows, IndexChoice::Auto, None);
    assert_eq!(auto.card().plan, "exact");
    assert!(!auto.card().candidates[1].built);
}

#[test]
fn recall_holds_under_filters_of_every_selectivity() {
    let rows = even_rows(10_000, 16);
    let index = ItemIndex::build(&rows, IndexChoice::Hnsw, None);
    let mut scratch = SearchScratch::default();
    let mut plans = Vec::new();
    for share in [10_000u32, 5_000, 1_000, 100, 10, 1] {
        let is_eligible = |row: u32| row.wrapping_mul(7919) % 10_000 < share;
        let excluded: Vec<bool> = (0..10_000).map(|row| !is_eligible(row)).collect();
        let (mut hits, mut wanted) = (0, 0);
        for at in (0..10_000).step_by(97) {
            let search = Search {
                query: rows.row(at),
                n: 10,
                eligible_max: share as usize,
            };
            let truth = naive(CpuPath::detected(), &rows, &search, &excluded);
            let found: Vec<u32> = index
                .search(&search, is_eligible, &mut scratch)
                .map(|(row, _)| row)
                .collect();
            assert_eq!(found.len(), 10.min(share as usize));
            hits += truth.iter().filter(|(row, _)| found.contains(row)).count();
            wanted += truth.len();
        }
        plans.push(scratch.retrieval().plan);
        let recall = hits as f64 / wanted as f64;
        assert!(recall >= 0.98, "{share} of 10,000: {recall}");
    }
    assert_eq!(plans[0], RetrievalPlan::Hnsw);
    assert_eq!(plans[5], RetrievalPlan::Exact);
}

#[test]
fn equal_rows_and_rows_of_zeros_are_found_under_every_choice() {
    let mut numbers = vec![0.0; 40];
    numbers.extend((0..400).map(|at| [1.0, 0.5][at % 2]));
    let rows = Matrix::from_vec(numbers, 2).unwrap();
    for choice in [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw] {
        let index = ItemIndex::build(&rows, choice, None);
        assert_eq!(index.card().zero_rows, 20);
        let search = Search {
            query: &[-1.0, 0.0],
            n: 21,
            eligible_max: 220,
        };
        let mut scratch = SearchScratch::default();
        let found: Vec<u32> = index
            .search(&search, |_| true, &mut scratch)
            .map(|(row, _)| row)
            .collect();
        assert_eq!(found, (0..21).collect::<Vec<u32>>(), "{choice:?}");
    }
}

#[test]
fn skewed_norms_stop_the_scan_early() {
    let numbers: Vec<f32> = (0..4096).map(|row| 1.0 / (1.0 + row as f32)).collect();
    let rows = Matrix::new(Column::from_vec(numbers), 4096, 1).unwrap();
    let mut scratch = SearchScratch::default();
    let search = Search {
        query: &[2.0],
        n: 3,
        eligible_max: 4096,
    };
    let found: Vec<u32> = ItemIndex::exact(&rows)
        .search(&search, |_| true, &mut scratch)
        .map(|(row, _)| row)
        .collect();
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(scratch.retrieval().scored, 64);
}
