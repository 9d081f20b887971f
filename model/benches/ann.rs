//! The plans of an index on given vectors: recall beside queries per second.
//!
//! `cargo bench -p hotshelf-model --bench ann -- --vectors v.safetensors [--json]`, one query at a
//! time on one thread; `--plans exact,hnsw` omits `auto`. The file has `rows` [N×D] and `queries`
//! [Q×D] in f32. Optional are `truth` [Q×K] u32, the rows with the greatest inner products (else a
//! plain scan computes them), and `category` u32 [N], from 0 to 9,999, for filtered searches. A
//! filter passes categories below a limit. The measured time includes the filter, as a recommender
//! evaluates it: if few rows pass, their posting lists are searched, else the index with a
//! predicate. `bench/ann.py` makes such files and compares with other libraries.

#![allow(clippy::print_stdout, clippy::print_stderr)] // A bench prints to standard output.

use std::{hint::black_box, time::Instant};

use hotshelf_model::{
    CpuPath, IndexChoice, Matrix,
    dot::scores_into,
    index::{Build, ItemIndex, Search, SearchScratch},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Timed rounds over all queries; the median counts.
const ROUNDS: usize = 5;
const EFS: [usize; 10] = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256];
const CATEGORIES: u32 = 10_000;
/// Categories that pass, for 100, 50, 10, 1, 0.1 and 0.01 % of the rows.
const LIMITS: [u32; 6] = [10_000, 5_000, 1_000, 100, 10, 1];
/// A filter is answered by posting lists where at most one row in so many passes it.
const LISTED_SHARE: usize = 20;

struct Vectors {
    rows: Matrix,
    queries: Matrix,
    /// Best rows of each query, as many as any search asks for.
    truth: Vec<Vec<u32>>,
    category: Option<Vec<u32>>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let Some(path) = value("--vectors") else {
        eprintln!("--vectors <file.safetensors> is missing; bench/ann.py makes such files");
        return;
    };
    let vectors = Vectors::read(path);
    let mut results = Vec::new();
    let plans = value("--plans").map_or("auto,exact,hnsw", String::as_str);
    for (name, choice) in [
        ("auto", IndexChoice::Auto),
        ("exact", IndexChoice::Exact),
        ("hnsw", IndexChoice::Hnsw),
    ] {
        if !plans.split(',').any(|plan| plan == name) {
            continue;
        }
        let start = Instant::now();
        let build = Build {
            choice,
            clock: None,
            queries: Some(&vectors.queries),
        };
        let index = build.index(&vectors.rows);
        let build_s = start.elapsed().as_secs_f64();
        let mut add = |mut row: Value| {
            row["asked"] = name.into();
            row["build_s"] = build_s.into();
            results.push(row);
        };
        for n in [10, 100] {
            if name == "hnsw" && index.card().graph.is_some() {
                for ef in EFS {
                    add(time(&vectors, &index.clone().with_ef(ef), n));
                }
            } else {
                add(time(&vectors, &index, n));
            }
        }
        if name == "auto" {
            vectors.category.iter().for_each(|category| {
                filtered(&vectors, category, &index)
                    .into_iter()
                    .for_each(&mut add);
            });
        }
        if !arguments.iter().any(|argument| argument == "--json") {
            println!(
                "{name}: {}",
                serde_json::to_string(index.card()).unwrap_or_default()
            );
        }
    }
    print(
        &results,
        arguments.iter().any(|argument| argument == "--json"),
    );
}

impl Vectors {
    fn read(path: &str) -> Self {
        let bytes = std::fs::read(path).expect("--vectors names a readable file");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let matrix = |name: &str| {
            let tensor = file.tensor(name).expect("rows and queries");
            Matrix::from_vec(
                numbers(tensor.data(), f32::from_le_bytes),
                tensor.shape()[1],
            )
            .expect("whole rows")
        };
        let (rows, queries) = (matrix("rows"), matrix("queries"));
        let column = |name: &str| {
            let tensor = file.tensor(name).ok()?;
            Some(numbers(tensor.data(), u32::from_le_bytes))
        };
        let truth = match column("truth") {
            Some(truth) => {
                let width = truth.len() / queries.rows();
                truth.chunks(width).map(<[u32]>::to_vec).collect()
            }
            None => (0..queries.rows())
                .map(|at| plain(&rows, queries.row(at), 100, |_| true))
                .collect(),
        };
        Self {
            category: column("category"),
            rows,
            queries,
            truth,
        }
    }
}

fn numbers<T>(bytes: &[u8], from: fn([u8; 4]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().map(|number| from(*number)).collect()
}

/// The best rows by scoring all of them.
fn plain(rows: &Matrix, query: &[f32], n: usize, is_eligible: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut scores = vec![0.0; rows.rows()];
    scores_into(query, rows.as_slice(), &mut scores);
    let mut order: Vec<u32> = (0..rows.rows() as u32)
        .filter(|row| is_eligible(*row))
        .collect();
    let best = |a: &u32, b: &u32| {
        let (x, y) = (scores[*a as usize], scores[*b as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    };
    if n < order.len() {
        order.select_nth_unstable_by(n, best);
        order.truncate(n);
    }
    order.sort_unstable_by(best);
    order
}

fn time(vectors: &Vectors, index: &ItemIndex, n: usize) -> Value {
    let mut plans = Vec::new();
    let answer = |query: &[f32], scratch: &mut SearchScratch, list: &mut Vec<u32>| {
        let search = Search {
            query,
            n,
            eligible_max: vectors.rows.rows(),
        };
        list.extend(
            index
                .search(&search, |_| true, scratch)
                .map(|found| found.0),
        );
    };
    let mut row = measure(vectors, &vectors.truth, n, answer, &mut plans);
    row["plan"] = json!(plans);
    row["ef"] = json!(index.card().graph.as_ref().map(|graph| graph.ef_search));
    row
}

/// Searches under filters of falling selectivity.
fn filtered(vectors: &Vectors, category: &[u32], index: &ItemIndex) -> Vec<Value> {
    let mut postings = vec![Vec::new(); CATEGORIES as usize];
    for (row, category) in category.iter().enumerate() {
        postings[*category as usize].push(row as u32);
    }
    let rows = vectors.rows.rows();
    let mut results = Vec::new();
    for limit in LIMITS {
        let is_eligible = |row: u32| category[row as usize] < limit;
        // A small set may have nothing to find here, and so no recall.
        if !(0..rows as u32).any(is_eligible) {
            continue;
        }
        let truth: Vec<Vec<u32>> = (0..vectors.queries.rows())
            .map(|at| plain(&vectors.rows, vectors.queries.row(at), 10, is_eligible))
            .collect();
        let mut plans = Vec::new();
        let answer = |query: &[f32], scratch: &mut SearchScratch, list: &mut Vec<u32>| {
            let lists = &postings[..limit as usize];
            let matches = lists.iter().map(Vec::len).sum();
            let search = Search {
                query,
                n: 10,
                eligible_max: matches,
            };
            if matches * LISTED_SHARE <= rows {
                let listed: Vec<u32> = lists.concat();
                let found = index.search_among(&search, &listed, |_| true, scratch);
                list.extend(found.map(|found| found.0));
            } else {
                list.extend(
                    index
                        .search(&search, is_eligible, scratch)
                        .map(|found| found.0),
                );
            }
        };
        let mut row = measure(vectors, &truth, 10, answer, &mut plans);
        row["selectivity"] = json!(f64::from(limit) / f64::from(CATEGORIES));
        row["plan"] = json!(plans);
        results.push(row);
    }
    results
}

/// Recall and median speed of one way to answer.
fn measure(
    vectors: &Vectors,
    truth: &[Vec<u32>],
    n: usize,
    answer: impl Fn(&[f32], &mut SearchScratch, &mut Vec<u32>),
    plans: &mut Vec<&'static str>,
) -> Value {
    let queries = vectors.queries.rows();
    let mut scratch = SearchScratch::default();
    let (mut list, mut hits, mut wanted, mut scored) = (Vec::new(), 0, 0, 0);
    for (at, truth) in truth.iter().enumerate() {
        list.clear();
        answer(vectors.queries.row(at), &mut scratch, &mut list);
        let truth = &truth[..n.min(truth.len())];
        assert_eq!(list.len(), truth.len(), "min(n, eligible) rows");
        hits += truth.iter().filter(|row| list.contains(row)).count();
        wanted += truth.len();
        scored += scratch.retrieval().scored;
        let plan = scratch.retrieval().plan.as_str();
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for at in 0..queries {
                list.clear();
                answer(black_box(vectors.queries.row(at)), &mut scratch, &mut list);
                black_box(&list);
            }
            queries as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    json!({
        "rows": vectors.rows.rows(), "dims": vectors.rows.cols(), "k": n,
        "recall": hits as f64 / wanted.max(1) as f64, "queries_per_s": rounds[ROUNDS / 2],
        "rows_scored": scored as f64 / queries as f64, "queries": queries,
        "path": CpuPath::detected().as_str(), "threads": 1, "median_of": ROUNDS,
    })
}

fn print(results: &[Value], as_json: bool) {
    if as_json {
        println!("{}", Value::from(results.to_vec()));
        return;
    }
    println!(
        "{}, 1 thread, medians of {ROUNDS} rounds\n",
        CpuPath::detected().as_str()
    );
    println!("| asked | answered by | k | ef | filter passes | recall | queries/s | rows scored |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for row in results {
        println!(
            "| {} | {} | {} | {} | {} | {:.4} | {:.0} | {:.0} |",
            row["asked"],
            row["plan"],
            row["k"],
            row["ef"],
            row["selectivity"],
            row["recall"].as_f64().unwrap_or(0.0),
            row["queries_per_s"].as_f64().unwrap_or(0.0),
            row["rows_scored"].as_f64().unwrap_or(0.0),
        );
    }
}
