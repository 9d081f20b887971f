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
            let numbers = rows[1..].iter().flat_map(|at| row(at)).collect();
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
        admitted_max: case.rows.rows(),
    };
    let admits = |row: u32| !case.excluded[row as usize];
    let mut scratch = SearchScratch::default();
    let mut scored = Vec::new();
    for path in CpuPath::available() {
        let found: Vec<(u32, u32)> = index
            .search_on(path, &search, admits, &mut scratch)
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

#[test]
fn skewed_norms_stop_the_scan_early() {
    let numbers: Vec<f32> = (0..4096).map(|row| 1.0 / (1.0 + row as f32)).collect();
    let rows = Matrix::new(Column::from_vec(numbers), 4096, 1).unwrap();
    let mut scratch = SearchScratch::default();
    let search = Search {
        query: &[2.0],
        n: 3,
        admitted_max: 4096,
    };
    let found: Vec<u32> = ItemIndex::exact(&rows)
        .search(&search, |_| true, &mut scratch)
        .map(|(row, _)| row)
        .collect();
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(scratch.retrieval().scored, 64);
}
