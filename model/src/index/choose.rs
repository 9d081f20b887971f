//! Choosing a plan by what is measured: recall, and work in rows scored.
//!
//! ```text
//!  exact plan on the sample ─▶ true top 10s, rows scored
//!      └─▶ could a graph be cheaper? ─▶ build ─▶ raise ef until recall@10 ≥ 0.98 ─▶ cheaper?
//! ```
//!
//! Wall time decides nothing, so the same rows give the same plan on every machine. If the caller
//! has a clock, speed is measured and reported.

use super::{
    Exact, Graph, ItemIndex, Metric, Search, SearchScratch,
    graph::{EF_CONSTRUCTION, STRIDE, build},
};
use crate::{Clock, GraphCard, IndexCard, IndexChoice, Matrix, PlanCard, lanes::CpuPath};

/// Least recall@10 of a graph that answers. Inherited from the design: the loss that a filter, a
/// blend and an evaluation tolerate.
const RECALL_MIN: f64 = 0.98;

/// Rows of the lists that recall is measured on.
const TOP: usize = 10;

/// Most queries measured. Chosen: 400 lists of ten give recall to within half a percent.
const SAMPLE_MAX: usize = 400;

/// Pool lengths tried, shortest first.
const EF_LADDER: [usize; 10] = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384];

/// Rows that the cheapest graph search scores. Measured: with mild norms 460 reach a recall@10 of
/// 0.98 among 15,000 rows and 950 among 100,000. So no graph is built below 16,000 rows of 64
/// elements, or 9,000 of 501.
const GRAPH_ROWS_LEAST: f64 = 400.0;

/// How to build an index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Build<'a> {
    /// Which plan.
    pub choice: IndexChoice,
    /// Clock that measures speed; `None`: not measured.
    pub clock: Option<Clock>,
    /// Representative queries, one per row, of which a sample is measured; `None` or no rows: the
    /// rows themselves.
    pub queries: Option<&'a Matrix>,
}

impl Build<'_> {
    /// Indexes `rows`.
    ///
    /// # Panics
    /// If the queries have not the length of a row.
    #[must_use]
    pub fn index(&self, rows: &Matrix) -> ItemIndex {
        self.index_on(CpuPath::detected(), rows)
    }

    /// [`Self::index`] on a chosen path.
    pub(crate) fn index_on(&self, path: CpuPath, rows: &Matrix) -> ItemIndex {
        let exact = Exact::build(rows);
        let nodes = exact.nonzero().len();
        let mut index = ItemIndex::new(rows, exact, None, IndexCard::default());
        let mut card = IndexCard {
            plan: "exact".to_owned(),
            recall_at_10: Some(1.0),
            choice: Some(self.choice),
            rows: rows.rows(),
            zero_rows: rows.rows() - nodes,
            ..IndexCard::default()
        };
        if self.choice == IndexChoice::Exact || nodes == 0 {
            index.card = card;
            return index;
        }
        let sample = Sample::new(path, self, &index);
        let exact = sample.exact.clone();
        card.queries_per_s = exact.queries_per_s;
        let least = GRAPH_ROWS_LEAST * graph_row_cost(rows.cols());
        let is_cheap = exact.cost.is_some_and(|cost| cost <= least);
        let mut graphs = if self.choice == IndexChoice::Auto && is_cheap {
            vec![Candidate::not_built(format!(
                "no graph is cheaper than {least:.0} rows scored by their codes"
            ))]
        } else {
            sample.candidates(&index)
        };
        let forced = self.choice == IndexChoice::Hnsw;
        for candidate in &mut graphs {
            if candidate.graph.is_some() && candidate.card.cost >= exact.cost {
                "costs more than the exact plan".clone_into(&mut candidate.card.note);
            }
        }
        let best = graphs
            .iter()
            .filter(|candidate| candidate.graph.is_some())
            .filter(|candidate| forced || candidate.card.cost < exact.cost)
            .min_by(|a, b| a.cost().total_cmp(&b.cost()));
        if let Some(Candidate {
            graph: Some((graph, graph_card)),
            card: plan,
        }) = best
        {
            index.graph = Some(graph.clone());
            card.plan = plan.plan.clone();
            card.recall_at_10 = plan.recall_at_10;
            card.queries_per_s = plan.queries_per_s;
            card.graph = Some(graph_card.clone());
        }
        card.candidates = vec![exact];
        card.candidates
            .extend(graphs.into_iter().map(|candidate| candidate.card));
        index.card = card;
        index
    }
}

/// What scoring one row of a graph costs, in rows scored by their codes. Measured (benches/ann.rs,
/// AVX-512 VNNI): 40 at 64 elements (50 ns a row that lies anywhere in memory, bookkeeping
/// included, against 1.3 ns a row of codes read straight ahead) and 22 at 501; what lies between
/// follows from a part per row and a part per element.
fn graph_row_cost(cols: usize) -> f64 {
    20.0 + 1280.0 / cols.max(1) as f64
}

/// The metrics worth trying: where all rows are equally long they are one.
fn metrics(index: &ItemIndex) -> &'static [Metric] {
    let norms = index.exact.norms.as_slice();
    let nodes = index.exact.nonzero().len();
    let is_even = norms[0] <= norms[nodes - 1] * 1.001;
    &Metric::ALL[..if is_even { 1 } else { Metric::ALL.len() }]
}

/// A graph with what was measured of it.
struct Candidate {
    graph: Option<(Graph, GraphCard)>,
    card: PlanCard,
}

impl Candidate {
    fn not_built(note: String) -> Self {
        let card = PlanCard {
            plan: "hnsw".to_owned(),
            note,
            ..PlanCard::default()
        };
        Self { graph: None, card }
    }

    fn cost(&self) -> f64 {
        self.card.cost.unwrap_or(f64::INFINITY)
    }
}

/// Queries with their true answers.
struct Sample<'a> {
    path: CpuPath,
    clock: Option<Clock>,
    queries: Vec<&'a [f32]>,
    /// True top 10 of each query.
    truth: Vec<Vec<u32>>,
    exact: PlanCard,
}

impl<'a> Sample<'a> {
    /// Takes queries at even distances and answers them by the exact plan.
    fn new(path: CpuPath, build: &Build<'a>, index: &'a ItemIndex) -> Self {
        let queries: Vec<&[f32]> = match build.queries {
            Some(queries) if queries.rows() > 0 => spread(queries.rows(), |at| queries.row(at)),
            _ => {
                let nodes = index.exact.nonzero();
                spread(nodes.len(), |at| index.rows.row(nodes[at] as usize))
            }
        };
        let mut sample = Self {
            path,
            clock: build.clock,
            queries,
            truth: Vec::new(),
            exact: PlanCard::default(),
        };
        let measured = sample.measure(index);
        sample.exact = PlanCard {
            plan: "exact".to_owned(),
            queries: sample.queries.len(),
            recall_at_10: Some(1.0),
            rows_scored: Some(measured.rows_scored),
            cost: Some(measured.rows_scored),
            queries_per_s: measured.queries_per_s,
            built: true,
            ..PlanCard::default()
        };
        sample.truth = measured.lists;
        sample
    }

    /// Graphs by one metric after the other, until one reaches its recall: building is what costs.
    fn candidates(&self, index: &ItemIndex) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for metric in metrics(index) {
            candidates.push(self.candidate(index, *metric));
            if candidates.iter().any(|candidate| candidate.graph.is_some()) {
                break;
            }
        }
        candidates
    }

    /// Builds a graph and raises its ef until recall is reached.
    fn candidate(&self, index: &ItemIndex, metric: Metric) -> Candidate {
        let built = build::build(&index.rows, &index.exact, (self.path, metric));
        let mut card = PlanCard {
            plan: "hnsw".to_owned(),
            metric: Some(metric.as_str().to_owned()),
            queries: self.queries.len(),
            built: true,
            ..PlanCard::default()
        };
        let Some((graph, added_edges)) = built else {
            "some rows cannot be reached".clone_into(&mut card.note);
            return Candidate { graph: None, card };
        };
        let exact = index.exact.clone();
        let mut tried = ItemIndex::new(&index.rows, exact, Some(graph), IndexCard::default());
        for ef in EF_LADDER {
            if let Some(graph) = &mut tried.graph {
                graph.ef = ef;
            }
            let measured = self.measure(&tried);
            let recall = self.recall(&measured.lists);
            card.ef = Some(ef);
            card.recall_at_10 = Some(recall);
            card.rows_scored = Some(measured.rows_scored);
            card.cost = Some(measured.rows_scored * graph_row_cost(index.rows.cols()));
            card.queries_per_s = measured.queries_per_s;
            if recall >= RECALL_MIN {
                let graph = GraphCard {
                    metric: metric.as_str().to_owned(),
                    m: STRIDE / 2,
                    ef_construction: EF_CONSTRUCTION,
                    ef_search: ef,
                    nodes: index.exact.nonzero().len(),
                    added_edges,
                    self_found: self.self_found(&tried),
                };
                return Candidate {
                    graph: tried.graph.map(|flat| (flat, graph)),
                    card,
                };
            }
        }
        card.note = format!("recall@10 stays below {RECALL_MIN}");
        Candidate { graph: None, card }
    }

    /// Asks every query.
    fn measure(&self, index: &ItemIndex) -> Measured {
        let mut scratch = SearchScratch::default();
        let mut rows_scored = 0;
        let start = self.clock.map(|clock| clock());
        let mut lists = Vec::with_capacity(self.queries.len());
        for query in &self.queries {
            let search = Search {
                query,
                n: TOP,
                eligible_max: index.rows.rows(),
            };
            let found = index.search_on(self.path, &search, |_| true, &mut scratch);
            lists.push(found.map(|(row, _)| row).collect());
            rows_scored += scratch.retrieval().scored;
        }
        let taken = self.clock.zip(start).map(|(clock, start)| clock() - start);
        let queries = self.queries.len() as f64;
        Measured {
            lists,
            rows_scored: rows_scored as f64 / queries,
            queries_per_s: taken.map(|taken| queries / taken.as_secs_f64().max(1e-9)),
        }
    }

    fn recall(&self, lists: &[Vec<u32>]) -> f64 {
        let pairs = self.truth.iter().zip(lists);
        let found =
            pairs.map(|(truth, list)| truth.iter().filter(|row| list.contains(row)).count());
        let truths: usize = self.truth.iter().map(Vec::len).sum();
        found.sum::<usize>() as f64 / truths as f64
    }

    /// Share of sampled rows that a search with the row itself finds, or something scoring as high.
    fn self_found(&self, index: &ItemIndex) -> f64 {
        let nodes = index.exact.nonzero();
        let sample = spread(nodes.len(), |at| index.rows.row(nodes[at] as usize));
        let mut scratch = SearchScratch::default();
        let found = sample.iter().filter(|row| {
            let search = Search {
                query: row,
                n: 1,
                eligible_max: index.rows.rows(),
            };
            let own = crate::dot::dot_on(self.path, row, row);
            let mut found = index.search_on(self.path, &search, |_| true, &mut scratch);
            found.any(|(_, score)| score >= own)
        });
        found.count() as f64 / sample.len() as f64
    }
}

/// Results of one plan on the sample.
struct Measured {
    lists: Vec<Vec<u32>>,
    rows_scored: f64,
    queries_per_s: Option<f64>,
}

/// Up to [`SAMPLE_MAX`] of `count` things, at even distances.
fn spread<T>(count: usize, mut thing: impl FnMut(usize) -> T) -> Vec<T> {
    let taken = count.min(SAMPLE_MAX);
    (0..taken).map(|at| thing(at * count / taken)).collect()
}
