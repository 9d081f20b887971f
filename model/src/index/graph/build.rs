//! Building a graph with hnsw_rs, one node after the other, and reading it out.
//!
//! Nodes are inserted by descending norm on one thread, levels come from the crate's fixed seed,
//! and distances from the one dot product: two builds are equal. The crate stores row numbers
//! alone; what lies between two rows is computed from the matrix.
//!
//! Inner products are no metric: a graph built over them has hubs and lacks return edges. Appending
//! √(M² − |x|²) to every row makes all rows equally long, so that the nearest by distance has the
//! greatest inner product with any query (Bachrach et al., "Speeding up the Xbox recommender system
//! using a Euclidean transformation for inner-product spaces", RecSys 2014); cosine forgets the
//! lengths instead. Searches rank by inner product under either.

use hnsw_rs::prelude::{Distance, Hnsw};

use super::{EF_CONSTRUCTION, Graph, NO_EDGE, STRIDE, repair};
use crate::{
    Matrix,
    column::Column,
    dot::dot_on,
    index::{Exact, norm},
    lanes::CpuPath,
};

/// Layers that may come about: the crate's own bound.
const LAYERS_MAX: usize = 16;

/// The metric by which rows are near each other when a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Euclidean, all rows made equally long.
    L2Reduced,
    /// By angle.
    Cosine,
    /// The inner product itself.
    InnerProduct,
}

impl Metric {
    pub(crate) const ALL: [Self; 3] = [Self::L2Reduced, Self::Cosine, Self::InnerProduct];

    /// The name in cards.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::L2Reduced => "l2_reduced",
            Self::Cosine => "cosine",
            Self::InnerProduct => "inner_product",
        }
    }
}

/// Half a squared distance between rows, from 0 up, in units of the greatest squared norm.
struct Between<'a> {
    rows: &'a Matrix,
    path: CpuPath,
    /// What inner products are divided by, per row.
    scales: Vec<f64>,
    /// What is appended to each row.
    heights: Vec<f64>,
}

impl<'a> Between<'a> {
    fn new(rows: &'a Matrix, path: CpuPath, metric: Metric) -> Self {
        let norms: Vec<f64> = (0..rows.rows()).map(|row| norm(rows.row(row))).collect();
        let greatest = norms.iter().fold(0.0, |most: f64, norm| most.max(*norm));
        let (scales, heights) = norms
            .iter()
            .map(|norm| match metric {
                Metric::L2Reduced => {
                    let share = norm / greatest;
                    (1.0 / greatest, (1.0 - share * share).max(0.0).sqrt())
                }
                Metric::Cosine => (1.0 / norm, 0.0),
                Metric::InnerProduct => (1.0 / greatest, 0.0),
            })
            .unzip();
        Self {
            rows,
            path,
            scales,
            heights,
        }
    }
}

impl Distance<u32> for Between<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        let (a, b) = (a[0] as usize, b[0] as usize);
        let product = f64::from(dot_on(self.path, self.rows.row(a), self.rows.row(b)));
        let near = product * self.scales[a] * self.scales[b] + self.heights[a] * self.heights[b];
        // The crate asserts that no distance is negative, and rounding can make it so.
        (1.0 - near).max(0.0) as f32
    }
}

/// Builds, reads out and repairs; `None` where no repair makes every node reachable. The rows of
/// `exact` down to the first of zeros become nodes. Costs about 75 s of one core for 100,000 × 64
/// and memory for a row number, 16 lists and their locks per node while it lasts.
pub(in crate::index) fn build(
    rows: &Matrix,
    exact: &Exact,
    (path, metric): (CpuPath, Metric),
) -> Option<(Graph, usize)> {
    let nodes = exact.nonzero();
    let entry = *nodes.first()?;
    let between = Between::new(rows, path, metric);
    let crate_graph: Hnsw<'_, u32, Between<'_>> = Hnsw::new(
        STRIDE / 2,
        nodes.len(),
        LAYERS_MAX,
        EF_CONSTRUCTION,
        between,
    );
    for row in nodes {
        crate_graph.insert((&[*row], *row as usize));
    }
    let mut edges = vec![NO_EDGE; rows.rows() * STRIDE];
    for point in crate_graph.get_point_indexation() {
        let row = point.get_origin_id();
        let neighbours = &point.get_neighborhood_id()[0];
        let mut count = 0;
        for neighbour in neighbours {
            let to = neighbour.get_origin_id() as u32;
            let own = &mut edges[row * STRIDE..][..STRIDE];
            if to as usize != row && count < STRIDE && !own[..count].contains(&to) {
                own[count] = to;
                count += 1;
            }
        }
    }
    drop(crate_graph);
    let added = repair::add_reverse_edges(nodes, &mut edges);
    let mut graph = Graph {
        entry,
        ef: *super::EF_RANGE.start(),
        edges: Column::from_vec(edges),
    };
    let connected = repair::connect((rows, path), nodes, &mut graph)?;
    Some((graph, added + connected))
}
