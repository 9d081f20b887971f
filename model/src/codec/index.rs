//! The parts `als_index.safetensors` and `content_index.safetensors`.

use bytes::Bytes;

use super::{
    PackError, UnpackError,
    check::{Location, each_row},
    container::{Container, Tensor, write},
    error::refused,
};
use crate::{
    Breathe, IndexCard, Matrix,
    column::Column,
    index::{EF_RANGE, Exact, Graph, ItemIndex, Metric, NO_EDGE, NORM_TOLERANCE, STRIDE, norm},
};

const EXACT: &str = "exact";
const HNSW: &str = "hnsw";

pub(super) fn pack(part: &'static str, index: &ItemIndex) -> Result<Vec<u8>, PackError> {
    let exact = index.as_exact();
    let mut tensors = vec![
        Tensor::column("order", &exact.order),
        Tensor::column("norms", &exact.norms),
    ];
    let Some(graph) = index.as_graph() else {
        return write(part, &tensors);
    };
    let (entry, ef) = (
        Column::from_vec(vec![graph.entry]),
        Column::from_vec(vec![graph.ef as u32]),
    );
    tensors.push(Tensor {
        shape: vec![exact.norms.as_slice().len(), STRIDE],
        ..Tensor::column("edges", &graph.edges)
    });
    tensors.push(Tensor::column("entry", &entry));
    tensors.push(Tensor::column("ef", &ef));
    write(part, &tensors)
}

/// Reads what the card's plan needs: `order` is a permutation of the rows by norm descending, then
/// row ascending, and `norms` are the norms of the rows it names; for a graph also `edges`, `entry`
/// and `ef`. That every node can be reached and recall is what the card says was proved when the
/// version was packed and is not proved again: a graph without that gives poor answers, no panic
/// and no endless search.
pub(super) fn unpack(
    [part, of_part]: [&'static str; 2],
    bytes: &Bytes,
    rows: &Matrix,
    card: &IndexCard,
    breathe: Breathe<'_>,
) -> Result<ItemIndex, UnpackError> {
    let refuse = |what, value: &str, expected| Err(refused(what, &value, expected));
    let names: &[&str] = match card.plan.as_str() {
        EXACT => &["order", "norms"],
        HNSW => &["order", "norms", "edges", "entry", "ef"],
        plan => return refuse("index.plan", plan, format!("{EXACT} or {HNSW}")),
    };
    if let Some(graph) = &card.graph {
        let known = Metric::ALL.map(Metric::as_str);
        if !known.contains(&graph.metric.as_str()) {
            return refuse("index.graph.metric", &graph.metric, known.join(", "));
        }
    }
    let container = Container::open(part, bytes, names)?;
    let exact = unpack_exact([part, of_part], &container, rows, breathe)?;
    let graph = match card.plan.as_str() {
        HNSW => Some(unpack_graph(part, &container, &exact, breathe)?),
        _ => None,
    };
    Ok(ItemIndex::new(rows, exact, graph, card.clone()))
}

fn unpack_exact(
    [part, of_part]: [&'static str; 2],
    container: &Container<'_>,
    rows: &Matrix,
    breathe: Breathe<'_>,
) -> Result<Exact, UnpackError> {
    let order: Column<u32> = container.tensor("order", &[rows.rows()])?;
    let norms: Column<f32> = container.tensor("norms", &[rows.rows()])?;
    let (of, sorted) = (order.as_slice(), norms.as_slice());
    let location = Location {
        part,
        what: "order",
    };
    let mut is_placed = vec![false; rows.rows()];
    each_row(rows.rows(), rows.cols() * size_of::<f32>(), breathe, |at| {
        let row = of[at];
        match is_placed.get_mut(row as usize) {
            None => return Err(location.out_of_range(at, &row, &format!("below {}", rows.rows()))),
            Some(true) => return Err(location.order(at, &row, &"every row once")),
            Some(placed) => *placed = true,
        }
        let true_norm = norm(rows.row(row as usize));
        let deviation = (f64::from(sorted[at]) - true_norm).abs();
        // Written so that NaN fails, too; the second summand is the grain of subnormal norms.
        let is_close = deviation <= true_norm * NORM_TOLERANCE + f64::from(f32::from_bits(1));
        if !is_close {
            let location = Location {
                part,
                what: "norms",
            };
            let expected = format!("{true_norm:e}, the norm of row {row} in {of_part}");
            return Err(location.out_of_range(at, &sorted[at], &expected));
        }
        let Some(before) = at.checked_sub(1) else {
            return Ok(());
        };
        let descends =
            sorted[before] > sorted[at] || (sorted[before] == sorted[at] && of[before] < row);
        if descends {
            return Ok(());
        }
        Err(location.order(at, &row, &"norms descending, among equals rows ascending"))
    })?;
    Ok(Exact::new(rows, order, norms, breathe))
}

/// Every edge leads from a row that is not zeros to another such row, none twice, and padding
/// comes last; so a search visits a row at most once and ends.
fn unpack_graph(
    part: &'static str,
    container: &Container<'_>,
    exact: &Exact,
    breathe: Breathe<'_>,
) -> Result<Graph, UnpackError> {
    let count = exact.norms.as_slice().len();
    let edges: Column<u32> = container.tensor("edges", &[count, STRIDE])?;
    let mut is_node = vec![false; count];
    for row in exact.nonzero() {
        is_node[*row as usize] = true;
    }
    let is_node = |row: u32| is_node.get(row as usize).copied().unwrap_or(false);
    let location = |what| Location { part, what };
    let mut from = vec![u32::MAX; count];
    each_row(count, STRIDE * size_of::<u32>(), breathe, |row| {
        let own = &edges.as_slice()[row * STRIDE..][..STRIDE];
        let degree = own.iter().position(|to| *to == NO_EDGE).unwrap_or(STRIDE);
        let location = location("edges");
        if degree > 0 && !is_node(row as u32) {
            return Err(location.out_of_range(row, &own[0], &"no edges from a row of zeros"));
        }
        for to in &own[..degree] {
            if !is_node(*to) {
                let expected = format!("a row below {count} that is not zeros");
                return Err(location.out_of_range(row, to, &expected));
            }
            if *to as usize == row {
                return Err(location.out_of_range(row, to, &"an edge to another row"));
            }
            if std::mem::replace(&mut from[*to as usize], row as u32) == row as u32 {
                return Err(location.order(row, to, &"every neighbour once"));
            }
        }
        match own[degree..].iter().find(|to| **to != NO_EDGE) {
            None => Ok(()),
            Some(to) => Err(location.order(row, to, &format!("{NO_EDGE} after the last edge"))),
        }
    })?;
    let entry = container.tensor::<u32>("entry", &[1])?.as_slice()[0];
    if !is_node(entry) {
        let expected = format!("a row below {count} that is not zeros");
        return Err(location("entry").out_of_range(0, &entry, &expected));
    }
    let ef = container.tensor::<u32>("ef", &[1])?.as_slice()[0];
    if !EF_RANGE.contains(&(ef as usize)) {
        let expected = format!("{} to {}", EF_RANGE.start(), EF_RANGE.end());
        return Err(location("ef").out_of_range(0, &ef, &expected));
    }
    Ok(Graph {
        entry,
        ef: ef as usize,
        edges,
    })
}
