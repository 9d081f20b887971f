//! The one dot product: fitting, scoring and re-ranking all sum this way.
//!
//! Element `i` goes to lane `i mod 16` by fused multiply-add, in ascending order from +0; a tail
//! is padded with zeros; the lanes are added in one fixed tree (see `lanes.rs`). The three
//! entry points differ in which rows they take, never in a bit of what they return.

use crate::lanes::{CpuPath, Kernel, LANES, Lanes, run};

/// Inner product of two vectors of one length; 2 flops an element.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_on(CpuPath::detected(), a, b)
}

/// [`dot`] on a chosen path.
pub(crate) fn dot_on(path: CpuPath, a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "an inner product needs equal lengths");
    run(path, Dot { a, b })
}

/// Inner products of `query` with row-major `rows`, one per element of `out`.
///
/// # Panics
/// If `rows` does not hold `out.len()` rows of `query.len()`.
pub fn scores_into(query: &[f32], rows: &[f32], out: &mut [f32]) {
    scores_into_on(CpuPath::detected(), query, rows, out);
}

/// [`scores_into`] on a chosen path.
pub(crate) fn scores_into_on(path: CpuPath, query: &[f32], rows: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), query.len() * out.len(), "one row per score");
    run(path, Scores { query, rows, out });
}

/// Inner products of `query` with the listed rows of row-major `numbers`, one per element of `out`.
///
/// # Panics
/// If a listed row does not exist, or `out` has not one element for each.
pub(crate) fn listed_scores_on(
    path: CpuPath,
    query: &[f32],
    (numbers, listed): (&[f32], &[u32]),
    out: &mut [f32],
) {
    assert_eq!(listed.len(), out.len(), "one row per score");
    run(
        path,
        Listed {
            query,
            numbers,
            listed,
            out,
        },
    );
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        let ((a, a_tail), (b, b_tail)) = (self.a.as_chunks(), self.b.as_chunks());
        let mut acc = lanes.splat(0.0);
        for (a, b) in a.iter().zip(b) {
            acc = lanes.fma(lanes.load(a), lanes.load(b), acc);
        }
        if !a_tail.is_empty() {
            acc = lanes.fma(
                lanes.load(&padded(a_tail)),
                lanes.load(&padded(b_tail)),
                acc,
            );
        }
        lanes.sum(acc)
    }
}

struct Scores<'a> {
    query: &'a [f32],
    rows: &'a [f32],
    out: &'a mut [f32],
}

/// Rows whose sums run side by side. Chosen: enough independent chains to hide the latency of a
/// multiply-add, few enough for the sixteen registers of AVX2.
const ROWS_AT_ONCE: usize = 4;

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let cols = self.query.len();
        if cols == 0 {
            return self.out.fill(0.0);
        }
        let (query, query_tail) = self.query.as_chunks::<LANES>();
        let query_tail = padded(query_tail);
        let (groups, rest) = self.out.as_chunks_mut::<ROWS_AT_ONCE>();
        let group_rows = groups.len() * ROWS_AT_ONCE * cols;
        let rows = self.rows[..group_rows].chunks_exact(ROWS_AT_ONCE * cols);
        for (rows, out) in rows.zip(groups) {
            let row: [&[f32]; ROWS_AT_ONCE] =
                std::array::from_fn(|which| &rows[which * cols..][..cols]);
            *out = side_by_side(lanes, (query, &query_tail), row);
        }
        for (row, out) in self.rows[group_rows..].chunks_exact(cols).zip(rest) {
            *out = Dot {
                a: self.query,
                b: row,
            }
            .run(lanes);
        }
    }
}

struct Listed<'a> {
    query: &'a [f32],
    numbers: &'a [f32],
    listed: &'a [u32],
    out: &'a mut [f32],
}

impl Kernel for Listed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let cols = self.query.len();
        let row = |row: u32| &self.numbers[row as usize * cols..][..cols];
        let (query, query_tail) = self.query.as_chunks::<LANES>();
        let query_tail = padded(query_tail);
        let (groups, rest) = self.out.as_chunks_mut::<ROWS_AT_ONCE>();
        let (listed, listed_rest) = self.listed.as_chunks::<ROWS_AT_ONCE>();
        for (listed, out) in listed.iter().zip(groups) {
            *out = side_by_side(lanes, (query, &query_tail), listed.map(row));
        }
        for (listed, out) in listed_rest.iter().zip(rest) {
            let (a, b) = (self.query, row(*listed));
            *out = Dot { a, b }.run(lanes);
        }
    }
}

/// Inner products of one query, given as whole chunks and a padded tail, with some rows.
#[inline(always)]
fn side_by_side<L: Lanes>(
    lanes: L,
    (query, query_tail): (&[[f32; LANES]], &[f32; LANES]),
    row: [&[f32]; ROWS_AT_ONCE],
) -> [f32; ROWS_AT_ONCE] {
    let mut acc = [lanes.splat(0.0); ROWS_AT_ONCE];
    for (chunk, query) in query.iter().enumerate() {
        let query = lanes.load(query);
        for (row, acc) in row.iter().zip(&mut acc) {
            let (chunks, _) = row.as_chunks();
            *acc = lanes.fma(query, lanes.load(&chunks[chunk]), *acc);
        }
    }
    let mut out = [0.0; ROWS_AT_ONCE];
    for ((row, acc), out) in row.iter().zip(acc).zip(&mut out) {
        let (_, tail) = row.as_chunks::<LANES>();
        let acc = if tail.is_empty() {
            acc
        } else {
            lanes.fma(lanes.load(query_tail), lanes.load(&padded(tail)), acc)
        };
        *out = lanes.sum(acc);
    }
    out
}

#[inline(always)]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut line = [0.0; LANES];
    line[..tail.len()].copy_from_slice(tail);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers over the whole range in which no inner product overflows: subnormals, both zeros,
    /// tiny and huge.
    fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
        let any = prop_oneof![
            4 => -2.0f32..2.0,
            1 => (0u32..0x0080_0000).prop_map(f32::from_bits),
            1 => (0u32..0x0080_0000).prop_map(|bits| -f32::from_bits(bits)),
            1 => -1e17f32..1e17,
            1 => Just(-0.0f32),
        ];
        proptest::collection::vec(any, count)
    }

    /// The definition, in the plainest words.
    fn reference(a: &[f32], b: &[f32]) -> f32 {
        let mut lanes = [0.0f32; 16];
        for i in 0..a.len().next_multiple_of(16) {
            let (a, b) = (a.get(i).unwrap_or(&0.0), b.get(i).unwrap_or(&0.0));
            lanes[i % 16] = a.mul_add(*b, lanes[i % 16]);
        }
        for width in [8, 4, 2, 1] {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        lanes[0]
    }

    proptest! {
        #[test]
        fn every_path_and_layout_gives_the_same_bits(
            (query, rows, count) in (0usize..70, 0usize..37).prop_flat_map(|(cols, count)| {
                (numbers(cols), numbers(cols * count), Just(count))
            }),
        ) {
            let cols = query.len();
            let expected: Vec<u32> = (0..count)
                .map(|row| reference(&query, &rows[row * cols..][..cols]).to_bits())
                .collect();
            for path in CpuPath::available() {
                let mut out = vec![f32::NAN; count];
                scores_into_on(path, &query, &rows, &mut out);
                let scores: Vec<u32> = out.iter().map(|score| score.to_bits()).collect();
                prop_assert_eq!(&scores, &expected, "scores_into on {}", path.as_str());
                let listed: Vec<u32> = (0..count as u32).rev().collect();
                listed_scores_on(path, &query, (&rows, &listed), &mut out);
                let scores: Vec<u32> = out.iter().rev().map(|score| score.to_bits()).collect();
                prop_assert_eq!(&scores, &expected, "listed_scores_on on {}", path.as_str());
                for row in 0..count {
                    let one = dot_on(path, &query, &rows[row * cols..][..cols]);
                    prop_assert_eq!(one.to_bits(), expected[row], "dot on {}", path.as_str());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "equal lengths")]
    fn unequal_lengths_panic() {
        let _ = dot(&[1.0], &[]);
    }
}
