//! Making every node reachable.
//!
//! hnsw_rs lets a node's list of edges overflow and drops the longest one, so that some nodes end
//! up with no edge that leads to them, at any ef. Edges are added in free slots: first the reverse
//! of every edge whose end has room, then edges to what a walk from the entry still cannot reach.

use super::{EF_CONSTRUCTION, Graph, GraphScratch, NO_EDGE, STRIDE};
use crate::{Matrix, column::Column, lanes::CpuPath};

/// Adds the reverse of every edge where its end has room, nodes in the order given; returns how
/// many.
pub(super) fn add_reverse_edges(nodes: &[u32], edges: &mut [u32]) -> usize {
    let mut added = 0;
    for row in nodes {
        for slot in 0..STRIDE {
            let to = edges[*row as usize * STRIDE + slot];
            if to == NO_EDGE {
                break;
            }
            added += usize::from(add(edges, to, *row));
        }
    }
    added
}

/// Adds edges until a walk from the entry visits every node; `None` where no reached node has room
/// for one. Each node that was out of reach gets its edge from the nearest node with room that a
/// search for it visits, else from the first one.
pub(super) fn connect(
    (rows, path): (&Matrix, CpuPath),
    nodes: &[u32],
    graph: &mut Graph,
) -> Option<usize> {
    let mut edges = graph.edges.as_slice().to_vec();
    let mut is_reached = vec![false; rows.rows()];
    walk(&edges, graph.entry, &mut is_reached);
    let mut scratch = GraphScratch::default();
    let mut added = 0;
    for node in nodes {
        if is_reached[*node as usize] {
            continue;
        }
        scratch.start(rows.rows(), EF_CONSTRUCTION);
        let query = rows.row(*node as usize);
        graph.walk(path, (rows, query), std::iter::empty(), &mut scratch);
        let near = scratch.found().chain(nodes.iter().copied());
        let mut reached = near.filter(|row| is_reached[*row as usize]);
        reached.find(|row| add(&mut edges, *row, *node))?;
        added += 1;
        walk(&edges, *node, &mut is_reached);
    }
    graph.edges = Column::from_vec(edges);
    Some(added)
}

/// Marks everything that can be reached from `start`.
fn walk(edges: &[u32], start: u32, is_reached: &mut [bool]) {
    let mut open = vec![start];
    is_reached[start as usize] = true;
    while let Some(row) = open.pop() {
        let own = &edges[row as usize * STRIDE..][..STRIDE];
        for to in own.iter().take_while(|to| **to != NO_EDGE) {
            if !std::mem::replace(&mut is_reached[*to as usize], true) {
                open.push(*to);
            }
        }
    }
}

/// Adds one edge where there is room and it is not there yet.
fn add(edges: &mut [u32], from: u32, to: u32) -> bool {
    let own = &mut edges[from as usize * STRIDE..][..STRIDE];
    for edge in own {
        if *edge == to {
            return false;
        }
        if *edge == NO_EDGE {
            *edge = to;
            return true;
        }
    }
    false
}
