//! The exact plan against plainer ways to the same top 10.
//!
//! `cargo bench -p hotshelf-model --bench scan [-- --json]`: one query at a time on one thread,
//! over skewed norms (as ALS fits them) and mild ones, 10,000 and 100,000 products of 64 factors.
//! Every method's answers are compared with the naive scan's before anything is timed.

#![allow(clippy::print_stdout)] // A bench prints to standard output.

use std::{hint::black_box, time::Instant};

use hotshelf_model::{
    CpuPath, Matrix,
    dot::{dot, scores_into},
    index::{ItemIndex, Search, SearchScratch},
};
use ndarray::ArrayView1;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;

const FACTORS: usize = 64;
const TOP: usize = 10;
const QUERIES: usize = 64;
/// Timed rounds over all queries; the median counts.
const ROUNDS: usize = 9;

struct Case {
    norms: &'static str,
    rows: Matrix,
    /// Rows by norm descending, and their norms.
    order: Vec<(u32, f32)>,
    index: ItemIndex,
    queries: Vec<Vec<f32>>,
}

type Method = fn(&Case, &[f32], &mut Work) -> Vec<u32>;

#[derive(Default)]
struct Work {
    scores: Vec<f32>,
    scratch: SearchScratch,
    scored: usize,
}

const METHODS: [(&str, Method); 5] = [
    ("naive: dot per row", naive),
    ("scores_into, all rows", all_rows),
    ("ndarray dot, all rows", ndarray_dot),
    ("norm order, rows gathered", gathered),
    ("norm order, codes (ItemIndex)", indexed),
];

fn main() {
    let as_json = std::env::args().any(|argument| argument == "--json");
    let mut results = Vec::new();
    for count in [10_000, 100_000] {
        for norms in ["skewed", "mild"] {
            let case = Case::new(norms, count);
            for (name, method) in METHODS {
                check(&case, name, method);
            }
            results.extend(time(&case));
        }
    }
    if as_json {
        println!("{}", serde_json::Value::from(results));
        return;
    }
    println!(
        "{}, 1 thread, {}, top {TOP} of {FACTORS} factors, medians of {ROUNDS} rounds of \
         {QUERIES} queries\n",
        cpu(),
        CpuPath::detected().as_str()
    );
    println!("| products | norms | method | µs a query | rows scored | naive ÷ this |");
    println!("|---:|---|---|---:|---:|---:|");
    for row in &results {
        println!(
            "| {} | {} | {} | {:.1} | {:.1} % | {:.1} |",
            row["products"],
            row["norms"].as_str().unwrap_or(""),
            row["method"].as_str().unwrap_or(""),
            row["us_per_query"].as_f64().unwrap_or(0.0),
            row["scored_share"].as_f64().unwrap_or(0.0) * 100.0,
            row["speedup_over_naive"].as_f64().unwrap_or(0.0),
        );
    }
}

impl Case {
    fn new(norms: &'static str, count: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut unit = || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
        let mut numbers = Vec::with_capacity(count * FACTORS);
        for row in 0..count {
            let direction: Vec<f64> = (0..FACTORS).map(|_| unit()).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            // Skewed: norms fall with the rank as popularity does. Mild: within 20 % of each other.
            let norm = if norms == "skewed" {
                (1.0 + row as f64 / 50.0).powf(-0.7)
            } else {
                1.0 + 0.4 * unit()
            };
            numbers.extend(direction.iter().map(|x| (x / length * norm) as f32));
        }
        let queries = (0..QUERIES).map(|_| (0..FACTORS).map(|_| unit() as f32).collect());
        let queries: Vec<Vec<f32>> = queries.collect();
        let rows = Matrix::from_vec(numbers, FACTORS).expect("whole rows");
        let norm = |row: usize| dot(rows.row(row), rows.row(row)).sqrt();
        let mut order: Vec<(u32, f32)> = (0..count).map(|row| (row as u32, norm(row))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let index = ItemIndex::exact(&rows);
        Self {
            norms,
            rows,
            order,
            index,
            queries,
        }
    }
}

fn check(case: &Case, name: &str, method: Method) {
    let mut work = Work::default();
    for query in &case.queries {
        let expected = naive(case, query, &mut work);
        let found = method(case, query, &mut work);
        // ndarray sums in another order, so that near ties may trade places.
        let same = expected.iter().filter(|row| found.contains(row)).count();
        let least = if name.starts_with("ndarray") {
            TOP - 1
        } else {
            TOP
        };
        assert!(same >= least, "{name}: {found:?} instead of {expected:?}");
    }
}

fn time(case: &Case) -> Vec<serde_json::Value> {
    let mut naive_us = 0.0;
    let mut rows = Vec::new();
    for (name, method) in METHODS {
        let mut work = Work::default();
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                work.scored = 0;
                let start = Instant::now();
                for query in &case.queries {
                    black_box(method(case, black_box(query), &mut work));
                }
                start.elapsed().as_secs_f64() * 1e6 / QUERIES as f64
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds[ROUNDS / 2];
        if rows.is_empty() {
            naive_us = median;
        }
        rows.push(json!({
            "products": case.rows.rows(), "factors": FACTORS, "norms": case.norms, "n": TOP,
            "method": name, "us_per_query": median,
            "scored_share": work.scored as f64 / (QUERIES * case.rows.rows()) as f64,
            "speedup_over_naive": naive_us / median,
            "cpu": cpu(), "path": CpuPath::detected().as_str(), "threads": 1,
            "median_of": ROUNDS, "queries": QUERIES,
        }));
    }
    rows
}

/// The best ten so far, best first; equal scores keep the lower row.
#[derive(Default)]
struct Best(Vec<(f32, u32)>);

impl Best {
    fn bar(&self) -> f32 {
        if self.0.len() < TOP {
            f32::NEG_INFINITY
        } else {
            self.0[TOP - 1].0
        }
    }

    fn offer(&mut self, score: f32, row: u32) {
        let at = self
            .0
            .partition_point(|(s, r)| *s > score || (*s == score && *r < row));
        if at < TOP {
            self.0.truncate(TOP - 1);
            self.0.insert(at, (score, row));
        }
    }

    fn rows(self) -> Vec<u32> {
        self.0.into_iter().map(|(_, row)| row).collect()
    }
}

fn select(scores: impl Iterator<Item = f32>) -> Vec<u32> {
    let mut best = Best::default();
    for (score, row) in scores.zip(0..) {
        if score >= best.bar() {
            best.offer(score, row);
        }
    }
    best.rows()
}

fn naive(case: &Case, query: &[f32], work: &mut Work) -> Vec<u32> {
    work.scored += case.rows.rows();
    select((0..case.rows.rows()).map(|row| dot(query, case.rows.row(row))))
}

fn all_rows(case: &Case, query: &[f32], work: &mut Work) -> Vec<u32> {
    work.scored += case.rows.rows();
    work.scores.resize(case.rows.rows(), 0.0);
    scores_into(query, case.rows.as_slice(), &mut work.scores);
    select(work.scores.iter().copied())
}

#[allow(clippy::disallowed_methods)] // What the one dot product is compared with.
fn ndarray_dot(case: &Case, query: &[f32], work: &mut Work) -> Vec<u32> {
    work.scored += case.rows.rows();
    let scores = case.rows.view().dot(&ArrayView1::from(query));
    select(scores.iter().copied())
}

fn gathered(case: &Case, query: &[f32], work: &mut Work) -> Vec<u32> {
    let length = dot(query, query).sqrt();
    let mut best = Best::default();
    for (row, norm) in &case.order {
        if norm * length * 1.0001 < best.bar() {
            break;
        }
        work.scored += 1;
        let score = dot(query, case.rows.row(*row as usize));
        if score >= best.bar() {
            best.offer(score, *row);
        }
    }
    best.rows()
}

fn indexed(case: &Case, query: &[f32], work: &mut Work) -> Vec<u32> {
    let search = Search {
        query,
        n: TOP,
        eligible_max: case.rows.rows(),
    };
    let found = case.index.search(&search, |_| true, &mut work.scratch);
    let rows = found.map(|(row, _)| row).collect();
    work.scored += work.scratch.retrieval().scored;
    rows
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
